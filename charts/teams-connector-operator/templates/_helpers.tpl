{{- define "operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains (include "operator.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "operator.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "operator.serviceAccountName" -}}
{{- default (include "operator.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The path of the CA bundle in the container; empty without one. */}}
{{- define "operator.caBundle" -}}
{{- if or .Values.caBundle.configMap.name .Values.caBundle.secret.name -}}
/etc/teams-connector/ca/ca.crt
{{- else -}}
{{- .Values.caBundle.file -}}
{{- end -}}
{{- end -}}

{{/* What the operator may do in the namespaces it serves. Nothing here is a wildcard. */}}
{{- define "operator.rules" -}}
# People write these two; the operator sets only their finalizer, their status and a policy's annotations adopted and disconnected.
- apiGroups: [teamsconnector.dev]
  resources: [teamsconnectoraccounts, usersyncpolicies]
  verbs: [get, list, watch, patch]
# These two are the operator's own. A run is made once and never changed: its decision belongs to people.
- apiGroups: [teamsconnector.dev]
  resources: [usersyncruns]
  verbs: [get, list, watch, create, delete]
- apiGroups: [teamsconnector.dev]
  resources: [teamsconnectorusers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [teamsconnector.dev]
  resources:
    - teamsconnectoraccounts/status
    - usersyncpolicies/status
    - usersyncruns/status
    - teamsconnectorusers/status
  verbs: [patch]
# Credentials are read by name, when they are needed; there is no list and no watch.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
# The one Secret that is written: rotated refresh tokens. A create cannot be limited to a name.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [teams-connector-tokens]
  verbs: [patch]
# Whether the namespace of a policy is being deleted: then nobody loses service with the policy.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
