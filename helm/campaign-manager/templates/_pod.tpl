{{- define "campaign-manager.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "campaign-manager.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* The template of the pods of a service: root, component, key. */ -}}
{{- define "campaign-manager.podTemplate" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .key -}}
{{- $secrets := dict "root" $root "key" .key "user" .key "scyllaSecret" (ternary "" $root.Values.scylla.existingSecret (eq .key "ingest")) -}}
metadata:
  labels:
    {{- include "campaign-manager.labels" . | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/settings: {{ include "campaign-manager.settings" . | sha256sum }}
    {{- with merge (dict) $values.podAnnotations $root.Values.commonAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "campaign-manager.serviceAccountName" (dict "root" $root "component" .component "values" $values) }}
  automountServiceAccountToken: false
  # Services' addresses come by name; the variables of links would only be noise.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- include "campaign-manager.podSecurity" $root | nindent 4 }}
  {{- with $values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "campaign-manager.image" (dict "root" $root "image" $values.image) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      securityContext:
        {{- include "campaign-manager.containerSecurity" $root | nindent 8 }}
      envFrom:
        - configMapRef: {name: {{ include "campaign-manager.fullname" $root }}-{{ .component }}}
        {{- with $values.extraEnvFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- $env := include "campaign-manager.secretEnv" $secrets | fromYamlArray }}
      {{- if eq .component "matcher" }}
      {{- $env = concat (list (dict "name" "MATCHER_INSTANCE" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")))) $env }}
      {{- end }}
      {{- with concat $env $values.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- if ne .component "matcher" }}
        - {name: http, containerPort: 8080}
        {{- end }}
        - {name: metrics, containerPort: 9464}
      startupProbe: {{ toYaml $values.startupProbe | nindent 8 }}
      livenessProbe: {{ toYaml $values.livenessProbe | nindent 8 }}
      readinessProbe: {{ toYaml $values.readinessProbe | nindent 8 }}
      {{- with $values.preStopSleepSeconds }}
      lifecycle: {preStop: {sleep: {seconds: {{ . }}}}}
      {{- end }}
      resources: {{ toYaml $values.resources | nindent 8 }}
      {{- $mounts := include "campaign-manager.secretMounts" $secrets | fromYamlArray }}
      {{- if and (eq .component "matcher") $values.state.enabled }}
      {{- $mounts = append $mounts (dict "name" "state" "mountPath" "/var/lib/campaign-manager") }}
      {{- end }}
      {{- with concat $mounts $values.extraVolumeMounts }}
      volumeMounts:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- with $values.sidecars }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with concat (include "campaign-manager.secretVolumes" $secrets | fromYamlArray) $values.extraVolumes }}
  volumes:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- $selector := dict "labelSelector" (dict "matchLabels" (include "campaign-manager.selector" $ | fromYaml)) }}
    - {{- merge (dict) . $selector | toYaml | nindent 6 }}
    {{- end }}
  {{- end }}
{{- end -}}
