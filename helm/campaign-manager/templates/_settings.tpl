{{- /* A scalar as text. Numbers from files of values are doubles, which would be written as 1e+06. */ -}}
{{- define "campaign-manager.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- . | int64 -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{- /* Settings that are no secrets: root, key (of the component in the values). */ -}}
{{- define "campaign-manager.settings" -}}
{{- $values := .root.Values -}}
KAFKA_BOOTSTRAP_SERVERS: {{ required "kafka.bootstrapServers is required: brokers as host:port, several with commas" $values.kafka.bootstrapServers | quote }}
EVENTS_TOPIC: {{ $values.topics.events | quote }}
CAMPAIGNS_TOPIC: {{ $values.topics.campaigns | quote }}
CAMPAIGN_CHANGES_TOPIC: {{ $values.topics.campaignChanges | quote }}
MATCHES_TOPIC: {{ $values.topics.matches | quote }}
CLAIMS_TOPIC: {{ $values.topics.claims | quote }}
CUSTOMER_STATE_TOPIC: {{ $values.topics.customerState | quote }}
BUDGET_STATE_TOPIC: {{ $values.topics.budgetState | quote }}
REFUSALS_TOPIC: {{ $values.topics.refusals | quote }}
CAMPAIGN_EVENTS_TOPIC: {{ $values.topics.campaignEvents | quote }}
AUDIENCE_MEMBERS_TOPIC: {{ $values.topics.audienceMembers | quote }}
DEAD_LETTERS_TOPIC: {{ $values.topics.deadLetters | quote }}
{{- with $values.schemaRegistry.url }}
SCHEMA_REGISTRY_URL: {{ . | quote }}
{{- end }}
{{- if and $values.scylla.nodes (ne .key "ingest") }}
SCYLLA_NODES: {{ $values.scylla.nodes | quote }}
SCYLLA_KEYSPACE: {{ $values.scylla.keyspace | quote }}
{{- end }}
LOG_FORMAT: {{ $values.log.format | quote }}
LOG_FILTER: {{ $values.log.filter | quote }}
{{- if has .key (list "ingest" "campaignAdmin") }}
HTTP_ADDR: 0.0.0.0:8080
AUTH: {{ $values.auth.mode | quote }}
{{- if $values.auth.apiKeysSecret }}
API_KEYS_FILE: /etc/campaign-manager/keys/{{ $values.auth.apiKeysKey }}
{{- end }}
{{- with $values.auth.oidc.issuer }}
OIDC_ISSUER: {{ . | quote }}
OIDC_AUDIENCE: {{ required "auth.oidc.audience is required with auth.oidc.issuer" $values.auth.oidc.audience | quote }}
{{- end }}
{{- end }}
{{- if and (eq .key "matcher") $values.matcher.state.enabled }}
STATE_DIR: /var/lib/campaign-manager/state
STATE_MEMORY: {{ include "campaign-manager.text" $values.matcher.state.memoryBytes | quote }}
{{- end }}
{{- if has .key (list "ingest" "campaignAdmin" "matcher") }}
METRICS_ADDR: 0.0.0.0:9464
{{- with $values.tracing.otlp.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
OTEL_TRACES_SAMPLER: {{ $values.tracing.sampler | quote }}
OTEL_TRACES_SAMPLER_ARG: {{ include "campaign-manager.text" $values.tracing.samplerArg | quote }}
{{- end }}
{{- range $name, $value := (index $values .key).settings }}
{{ $name }}: {{ include "campaign-manager.text" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The secret of a user on Kafka: root, user. */ -}}
{{- define "campaign-manager.kafkaSecret" -}}
{{- if .user.existingSecret -}}
{{- .user.existingSecret -}}
{{- else if .root.Values.strimzi.users.enabled -}}
{{- .user.name -}}
{{- end -}}
{{- end -}}

{{- /* Variables with secrets: root, key, user (of kafka.users), scyllaSecret. KAFKA_CONFIG is put together by Kubernetes, so that
       no password stands in an object. */ -}}
{{- define "campaign-manager.secretEnv" -}}
{{- $values := .root.Values -}}
{{- $user := index $values.kafka.users .user -}}
{{- $secret := include "campaign-manager.kafkaSecret" (dict "root" .root "user" $user) -}}
{{- $sasl := hasPrefix "sasl_" $values.kafka.securityProtocol -}}
{{- $config := list -}}
{{- if ne $values.kafka.securityProtocol "plaintext" -}}
{{- $config = append $config (printf "security.protocol=%s" $values.kafka.securityProtocol) -}}
{{- end -}}
{{- if $values.kafka.ca.existingSecret -}}
{{- $config = append $config (printf "ssl.ca.location=/etc/campaign-manager/kafka-ca/%s" $values.kafka.ca.key) -}}
{{- end -}}
{{- if and (eq $values.kafka.securityProtocol "ssl") $secret -}}
{{- $config = append $config (printf "ssl.certificate.location=/etc/campaign-manager/kafka-user/%s" $user.certificateKey) -}}
{{- $config = append $config (printf "ssl.key.location=/etc/campaign-manager/kafka-user/%s" $user.privateKeyKey) -}}
{{- end -}}
{{- range $name, $value := $values.kafka.config -}}
{{- $config = append $config (printf "%s=%s" $name (include "campaign-manager.text" $value)) -}}
{{- end -}}
{{- if $sasl -}}
{{- $config = append $config (printf "sasl.mechanism=%s,sasl.username=$(KAFKA_USERNAME),sasl.password=$(KAFKA_PASSWORD)" $values.kafka.saslMechanism) }}
- name: KAFKA_USERNAME
  value: {{ $user.name | quote }}
- name: KAFKA_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "kafka.users.%s.existingSecret is required with kafka.securityProtocol %s" .user $values.kafka.securityProtocol) $secret }}
      key: {{ $user.passwordKey }}
{{- end }}
{{- with $config }}
- name: KAFKA_CONFIG
  value: {{ join "," . | quote }}
{{- end }}
{{- if and $values.schemaRegistry.url $values.schemaRegistry.existingSecret }}
- name: SCHEMA_REGISTRY_USER
  valueFrom: {secretKeyRef: {name: {{ $values.schemaRegistry.existingSecret }}, key: {{ $values.schemaRegistry.usernameKey }}}}
- name: SCHEMA_REGISTRY_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $values.schemaRegistry.existingSecret }}, key: {{ $values.schemaRegistry.passwordKey }}}}
{{- end }}
{{- if and (has .key (list "ingest" "campaignAdmin" "matcher")) $values.tracing.otlp.endpoint $values.tracing.otlp.existingSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ $values.tracing.otlp.existingSecret }}, key: {{ $values.tracing.otlp.headersKey }}}}
{{- end }}
{{- if and $values.scylla.nodes .scyllaSecret }}
- name: SCYLLA_USER
  valueFrom: {secretKeyRef: {name: {{ .scyllaSecret }}, key: {{ $values.scylla.usernameKey }}}}
- name: SCYLLA_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .scyllaSecret }}, key: {{ $values.scylla.passwordKey }}}}
{{- end }}
{{- end -}}

{{- /* Volumes with secrets: root, key, user. */ -}}
{{- define "campaign-manager.secretVolumes" -}}
{{- $values := .root.Values -}}
{{- $user := index $values.kafka.users .user -}}
{{- with $values.kafka.ca.existingSecret }}
- name: kafka-ca
  secret: {secretName: {{ . }}, defaultMode: 0444}
{{- end }}
{{- with include "campaign-manager.kafkaSecret" (dict "root" .root "user" $user) }}
{{- if eq $values.kafka.securityProtocol "ssl" }}
- name: kafka-user
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- if and (has .key (list "ingest" "campaignAdmin")) $values.auth.apiKeysSecret }}
- name: keys
  secret: {secretName: {{ $values.auth.apiKeysSecret }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{- define "campaign-manager.secretMounts" -}}
{{- range include "campaign-manager.secretVolumes" . | fromYamlArray }}
- {name: {{ .name }}, mountPath: /etc/campaign-manager/{{ .name }}, readOnly: true}
{{- end }}
{{- end -}}
