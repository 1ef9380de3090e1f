{{- define "campaign-manager.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The components that run, each with its key in the values. */ -}}
{{- define "campaign-manager.components" -}}
matcher: matcher
{{- if .Values.ingest.enabled }}
ingest: ingest
{{- end }}
{{- if .Values.campaignAdmin.enabled }}
campaign-admin: campaignAdmin
{{- end }}
{{- end -}}

{{- /* Labels by which pods are selected; they can never change. */ -}}
{{- define "campaign-manager.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "campaign-manager.labels" -}}
{{ include "campaign-manager.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: campaign-manager
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_") }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Metadata: root, component, and perhaps suffix, namespace, labels, annotations. */ -}}
{{- define "campaign-manager.metadata" -}}
name: {{ default (printf "%s-%s%s" (include "campaign-manager.fullname" .root) .component (default "" .suffix)) .name }}
namespace: {{ default .root.Release.Namespace .namespace }}
labels:
  {{- include "campaign-manager.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* An image: root, image. */ -}}
{{- define "campaign-manager.image" -}}
{{- $registry := default .root.Values.image.registry .image.registry -}}
{{- $path := .image.repository -}}
{{- with $registry }}{{ $path = printf "%s/%s" . $path }}{{ end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $path .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $path (coalesce .image.tag .root.Values.image.tag .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "campaign-manager.serviceAccountName" -}}
{{- $values := .values.serviceAccount -}}
{{- if $values.create -}}
{{- default (printf "%s-%s" (include "campaign-manager.fullname" .root) .component) $values.name -}}
{{- else -}}
{{- default "default" $values.name -}}
{{- end -}}
{{- end -}}
