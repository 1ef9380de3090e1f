{{- /* Whether a counter rose within a time, also one that was not there before: root, metric, by, within,
and where, the value of a label, if not all series count. A series that
begins with 1, as those by reason do, has not risen by Prometheus' `increase`. */ -}}
{{- define "campaign-manager.rose" -}}
{{- $series := printf "%s{namespace=%q%s}" .metric .root.Release.Namespace (.where | default "") -}}
sum by ({{ .by }}) (increase({{ $series }}[{{ .within }}])) > 0 or sum by ({{ .by }}) ({{ $series }} unless {{ $series }} offset {{ .within }}) > 0
{{- end -}}

{{- /* Objectives, each with the share of what missed it in WINDOW. */ -}}
{{- define "campaign-manager.objectives" -}}
{{- $here := printf "namespace=%q" .Release.Namespace -}}
{{- with .Values.monitoring.prometheusRule.objectives -}}
{{- if $.Values.ingest.enabled }}
- name: Ingest
  series: campaign_manager:ingest_requests_failed
  objective: {{ .ingest }}
  what: of the requests to ingest are answered with 5xx
  expr: >-
    sum by (namespace) (rate(ingest_http_requests_total{status=~"5..",{{ $here }}}[WINDOW]))
    / sum by (namespace) (rate(ingest_http_requests_total{ {{- $here }}}[WINDOW]))
{{- end }}
# Prometheus 3 writes 5 as 5.0.
- name: Matches
  series: campaign_manager:matches_late
  objective: {{ .matches }}
  what: of the matches come more than {{ .matchSeconds }} s after their event
  expr: >-
    1 - sum by (namespace) (rate(matcher_event_age_seconds_bucket{le=~"{{ .matchSeconds }}([.]0)?",{{ $here }}}[WINDOW]))
    / sum by (namespace) (rate(matcher_event_age_seconds_count{ {{- $here }}}[WINDOW]))
{{- if $.Values.scylla.nodes }}
- name: Rows
  series: campaign_manager:rows_late
  objective: {{ .rows }}
  what: of the matches are in the database more than 60 s after they were decided
  expr: >-
    1 - sum by (namespace) (rate(recorder_match_age_seconds_bucket{le=~"60([.]0)?",{{ $here }}}[WINDOW]))
    / sum by (namespace) (rate(recorder_match_age_seconds_count{ {{- $here }}}[WINDOW]))
{{- end }}
{{- end }}
{{- end -}}

{{- /* The alerts, without their runbooks. */ -}}
{{- define "campaign-manager.alerts" -}}
{{- $here := printf "namespace=%q" .Release.Namespace -}}
{{- $root := . -}}
{{- with .Values.monitoring.prometheusRule }}
- alert: CampaignManagerMatcherGone
  expr: absent(build_info{service="matcher",{{ $here }}})
  for: 5m
  labels: {severity: critical}
  annotations:
    summary: No matcher is seen by Prometheus
    description: Events wait on the topic. Nothing is lost as long as retention is longer than this lasts.
- alert: CampaignManagerRecordsLost
  expr: |-
    {{ include "campaign-manager.rose" (dict "root" $ "metric" "matcher_records_lost_total" "by" "pod" "within" "1h") }}
    {{- if $.Values.scylla.nodes }}
    or
    {{ include "campaign-manager.rose" (dict "root" $ "metric" "recorder_records_lost_total" "by" "pod" "within" "1h") }}
    {{- end }}
  labels: {severity: critical}
  annotations:
    summary: '{{ "{{ $value }}" }} records were removed by retention before they were read'
    description: Make retention longer than any outage, and find out from the producer what was lost. The log names partition and offsets.
- alert: CampaignManagerTornTransactions
  expr: {{ include "campaign-manager.rose" (dict "root" $ "metric" "matcher_torn_transactions_total" "by" "pod" "within" "1h") | quote }}
  labels: {severity: critical}
  annotations:
    summary: '{{ "{{ $labels.pod }}" }} was given records whose results are committed'
    description: It skips them, so that nothing counts twice. The log was torn (KAFKA-17754), or the group's offsets were set back.
- alert: CampaignManagerMatcherStuck
  expr: sum(matcher_consumer_lag{ {{- $here }}}) > 0 and sum(rate(matcher_events_consumed_total{ {{- $here }}}[5m])) == 0
  for: 5m
  labels: {severity: critical}
  annotations:
    summary: Events wait, and none is processed
    description: /readyz of the matchers says what they wait for, most often the brokers or the campaigns.
- alert: CampaignManagerSettlerStuck
  expr: sum(settler_consumer_lag{ {{- $here }}}) > 0 and sum(rate(settler_claim_age_seconds_count{ {{- $here }}}[5m])) == 0
  for: 5m
  labels: {severity: critical}
  annotations:
    summary: Claims on budgets wait, and none is settled
    description: What wins a campaign with a budget is no match yet. /readyz of the matchers says what they wait for.
- alert: CampaignManagerBreakerTripped
  expr: {{ include "campaign-manager.rose" (dict "root" $ "metric" "settler_breakers_tripped_total" "by" "namespace" "within" "1h") | quote }}
  labels: {severity: warning}
  annotations:
    summary: '{{ "{{ $value }}" }} campaigns went past their breaker and have paused themselves'
    description: A person must look and resume them. campaignctl get and the topic campaign-events say which they are, and why.
- alert: CampaignManagerPoolEmpty
  expr: {{ include "campaign-manager.rose" (dict "root" $ "metric" "settler_claims_total" "where" ",outcome=\"pool_empty\"" "by" "namespace" "within" "15m") | quote }}
  labels: {severity: warning}
  annotations:
    summary: '{{ "{{ $value }}" }} events would have won a coupon, and their pool has none left'
    description: Fill the pool with campaignctl coupons load, or pause its campaigns. settler_pool_codes_left says which pools are empty.
- alert: CampaignManagerPartitionsUnread
  expr: sum(matcher_assigned_partitions{ {{- $here }}}) < {{ int $.Values.topics.partitions }}
  for: 10m
  labels: {severity: critical}
  annotations:
    summary: 'Matchers read {{ "{{ $value }}" }} of {{ int $.Values.topics.partitions }} partitions'
    description: Customers of the others wait. A matcher that is bringing customers back, or a topic with fewer partitions than topics.partitions says.
- alert: CampaignManagerLagGrows
  expr: sum(matcher_consumer_lag{ {{- $here }}}) > {{ int .lagRecords }} and deriv(sum(matcher_consumer_lag{ {{- $here }}})[15m:1m]) > 0
  for: 15m
  labels: {severity: warning}
  annotations:
    summary: '{{ "{{ $value }}" }} events wait, and they become more'
    description: More matchers, up to the number of partitions; or campaigns that campaignctl check calls slow.
- alert: CampaignManagerMatchesLate
  expr: histogram_quantile(0.99, sum by (le) (rate(matcher_event_age_seconds_bucket{ {{- $here }}}[5m]))) > {{ .matchAgeSeconds }}
  for: 10m
  labels: {severity: warning}
  annotations:
    summary: 'The slowest percent of matches comes {{ "{{ $value | humanizeDuration }}" }} after its event'
    description: More matchers, up to the number of partitions; or campaigns that campaignctl check calls slow.
- alert: CampaignManagerPartitionsWaitForSchema
  expr: sum by (pod) (matcher_partitions_waiting_for_schema{ {{- $here }}}) > 0
  for: 5m
  labels: {severity: critical}
  annotations:
    summary: '{{ "{{ $labels.pod }}" }} does not read {{ "{{ $value }}" }} partitions on'
    description: Their next record has a schema that the registry has not told. They go on by themselves when it does.
- alert: CampaignManagerDeadLetters
  expr: {{ include "campaign-manager.rose" (dict "root" $ "metric" "matcher_dead_letters_total" "by" "reason" "within" "15m") | quote }}
  labels: {severity: warning}
  annotations:
    summary: 'Events cannot be processed: {{ "{{ $labels.reason }}" }}'
    description: campaignctl dead-letters list shows them. When upstream is mended, campaignctl dead-letters redrive sends them again.
- alert: CampaignManagerCampaignRefused
  expr: {{ include "campaign-manager.rose" (dict "root" $ "metric" "matcher_campaigns_refused_total" "by" "reason" "within" "15m") | quote }}
  labels: {severity: warning}
  annotations:
    summary: 'A campaign on the topic is not in force: {{ "{{ $labels.reason }}" }}'
    description: The log of the matchers names it. Its last good version stays in force.
{{- if $.Values.campaignAdmin.enabled }}
- alert: CampaignManagerCampaignsOld
  expr: scalar(max(admin_campaigns_offset{ {{- $here }}})) - max by (pod) (matcher_campaigns_offset{ {{- $here }}}) > 0
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: '{{ "{{ $labels.pod }}" }} decides without the last {{ "{{ $value }}" }} records of the campaigns'
    description: A change is in force within a second. The log of the matcher says what keeps it from reading the topic.
- alert: CampaignManagerAdminGone
  expr: absent(build_info{service="campaign-admin",{{ $here }}})
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: No campaign-admin is seen by Prometheus
    description: Nobody can change campaigns over the API. Those in force stay in force.
{{- end }}
- alert: CampaignManagerRebalances
  expr: sum by (pod) (increase(matcher_rebalances_total{ {{- $here }}}[30m])) > {{ int .rebalances }}
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: '{{ "{{ $labels.pod }}" }} was given or lost partitions {{ "{{ $value }}" }} times in half an hour'
    description: Members come and go. Look for pods that restart, for an autoscaler that cannot decide, and for brokers that are away.
- alert: CampaignManagerWorkersFail
  expr: sum by (pod) (increase(matcher_worker_rebuilds_total{ {{- $here }}}[15m])) > 3
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: 'Workers of {{ "{{ $labels.pod }}" }} were made anew {{ "{{ $value }}" }} times in a quarter of an hour'
    description: Each time after an error that its log names, most often of the brokers. Nothing of it is lost or doubled.
{{- if $.Values.matcher.state.enabled }}
- alert: CampaignManagerStateDiskFailed
  expr: sum by (pod) (matcher_state_disk_failed{ {{- $here }}}) > 0
  labels: {severity: warning}
  annotations:
    summary: 'The disk of {{ "{{ $labels.pod }}" }} failed'
    description: It goes on with customers in memory, as far as that is enough. Make room, or a larger volume, and delete the pod.
{{- end }}
{{- if $.Values.scylla.nodes }}
- alert: CampaignManagerDatabaseAway
  expr: max(recorder_database_up{ {{- $here }}}) == 0
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: No recorder reaches the database
    description: Matching goes on; matches wait on the topic, and are recorded when the database is back. Retention of the topic is the time there is.
- alert: CampaignManagerDatabaseSlow
  expr: histogram_quantile(0.99, sum by (le) (rate(recorder_write_duration_seconds_bucket{ {{- $here }}}[5m]))) > 1
  for: 15m
  labels: {severity: warning}
  annotations:
    summary: 'The slowest percent of writes to the database takes {{ "{{ $value | humanizeDuration }}" }}'
    description: Matching goes on. Rows come late when this lasts.
- alert: CampaignManagerForeignMatches
  expr: {{ include "campaign-manager.rose" (dict "root" $ "metric" "recorder_dead_letters_total" "by" "reason" "within" "15m") | quote }}
  labels: {severity: warning}
  annotations:
    summary: 'There are records among the matches that are none: {{ "{{ $labels.reason }}" }}'
    description: Somebody else writes to the topic. Only the matcher may; reward services should refuse such records, too.
{{- end }}
{{- if $.Values.schemaRegistry.url }}
- alert: CampaignManagerSchemaRegistryAway
  expr: max(schema_registry_up{ {{- $here }}}) == 0
  for: 10m
  labels: {severity: warning}
  annotations:
    summary: The schema registry does not answer
    description: Known schemas go on to work. A service that starts now is not ready.
{{- end }}
{{- if $.Values.ingest.enabled }}
- alert: CampaignManagerIngestGone
  expr: absent(build_info{service="ingest",{{ $here }}})
  for: 5m
  labels: {severity: critical}
  annotations:
    summary: No ingest is seen by Prometheus
    description: Producers over HTTP are not answered, and must keep what they have.
- alert: CampaignManagerIngestFails
  expr: >-
    sum(rate(ingest_events_produced_total{result="failed",{{ $here }}}[5m]))
    / sum(rate(ingest_events_produced_total{ {{- $here }}}[5m])) > {{ .ingestErrorRatio }}
  for: 5m
  labels: {severity: critical}
  annotations:
    summary: '{{ "{{ $value | humanizePercentage }}" }} of the events over HTTP are not acknowledged by the brokers'
    description: Producers are told so with 503 and send again. /readyz of ingest says what is wrong with the brokers.
{{- end }}
{{- if and $.Values.auth.apiKeysSecret (or $.Values.ingest.enabled $.Values.campaignAdmin.enabled) }}
- alert: CampaignManagerKeysBroken
  expr: max by (pod) ({__name__=~"(ingest|admin)_auth_keys_file_broken",{{ $here }}}) > 0
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: '{{ "{{ $labels.pod }}" }} cannot use the file of API keys'
    description: The keys before it are in force, until the next start. The log says which line is wrong.
{{- end }}
{{- end }}
{{- end -}}
