{{- /* What the schema of the values cannot say. Each failure names the value to set. */ -}}
{{- define "campaign-manager.checks" -}}
{{- $values := .Values -}}
{{- if and (eq $values.auth.mode "required") (or $values.ingest.enabled $values.campaignAdmin.enabled) (not $values.auth.apiKeysSecret) (not $values.auth.oidc.issuer) -}}
{{- fail "auth.apiKeysSecret or auth.oidc.issuer is required; or auth.mode: none, for development only" -}}
{{- end -}}
{{- if and $values.matcher.keda.enabled (gt (int $values.matcher.keda.maxReplicas) (int $values.topics.partitions)) -}}
{{- fail (printf "matcher.keda.maxReplicas (%d) may not be more than topics.partitions (%d): the rest would stand idle" (int $values.matcher.keda.maxReplicas) (int $values.topics.partitions)) -}}
{{- end -}}
{{- if and (or $values.strimzi.topics.enabled $values.strimzi.users.enabled) (not $values.strimzi.cluster) -}}
{{- fail "strimzi.cluster is required with strimzi.topics.enabled or strimzi.users.enabled" -}}
{{- end -}}
{{- if and $values.setup.enabled $values.setup.hook (or $values.strimzi.users.enabled $values.externalSecrets.enabled) -}}
{{- fail "setup.hook must be false with strimzi.users.enabled or externalSecrets.enabled: a hook runs before their secrets are there" -}}
{{- end -}}
{{- range $key := list "ingest" "campaignAdmin" "matcher" -}}
{{- $component := index $values $key -}}
{{- $deadline := div (int (default 10000 (index $component.settings "SHUTDOWN_DEADLINE_MS"))) 1000 -}}
{{- if le (int $component.terminationGracePeriodSeconds) (add $deadline (int (default 0 $component.preStopSleepSeconds)) | int) -}}
{{- fail (printf "%s.terminationGracePeriodSeconds must be more than preStopSleepSeconds and SHUTDOWN_DEADLINE_MS together" $key) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "ingest" "campaignAdmin" -}}
{{- $component := index $values $key -}}
{{- if and $component.enabled $component.ingress.enabled (not $component.ingress.hosts) -}}
{{- fail (printf "%s.ingress.hosts is required with %s.ingress.enabled" $key $key) -}}
{{- end -}}
{{- if and $component.enabled $component.httpRoute.enabled (not $component.httpRoute.parentRefs) -}}
{{- fail (printf "%s.httpRoute.parentRefs is required with %s.httpRoute.enabled" $key $key) -}}
{{- end -}}
{{- end -}}
{{- if and $values.tests.enabled $values.ingest.enabled $values.campaignAdmin.enabled (eq $values.auth.mode "required") (not $values.tests.tokenSecret) -}}
{{- fail "tests.tokenSecret is required, or tests.enabled: false: without a key the APIs refuse `helm test`" -}}
{{- end -}}
{{- if and $values.externalSecrets.enabled (not $values.externalSecrets.secretStoreRef.name) -}}
{{- fail "externalSecrets.secretStoreRef.name is required with externalSecrets.enabled" -}}
{{- end -}}
{{- end -}}
