{{/* Annotations of the objects that only a hook of the chart needs; none of those of other components. Their weight lets
them exist before what uses them. Takes "component". */}}
{{- define "pgops.hook" -}}
{{- with get (dict "uninstall" "pre-delete" "self-test" "test") . }}
annotations:
  helm.sh/hook: {{ . }}
  helm.sh/hook-weight: "-5"
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
{{- end -}}

{{/* A service account. Takes (list $ "component"). */}}
{{- define "pgops.serviceAccount" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "pgops.fullname" $root }}-{{ index . 1 }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "pgops.labels" . | nindent 4 }}
  {{- with include "pgops.hook" (index . 1) }}
  {{- trim . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Grants rules to a component's service account in every namespace, or in those of watchNamespaces.
Takes (list $ "component" "RULES"). */}}
{{- define "pgops.grantInNamespaces" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.watchNamespaces }}
{{- range $root.Values.watchNamespaces }}
{{ include "pgops.grant" (list $root (index $ 1) (index $ 2) "Role" "-databases" .) }}
---
{{- end }}
{{- else }}
{{ include "pgops.grant" (list $root (index . 1) (index . 2) "ClusterRole" "" "") }}
{{- end }}
{{- end -}}

{{/* A role and its binding to a component's service account.
Takes (list $ "component" "RULES" "Role" "-suffix" "namespace"). */}}
{{- define "pgops.grant" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $account := printf "%s-%s" (include "pgops.fullname" $root) $component -}}
{{- $kind := index . 3 -}}
{{- $name := printf "%s%s" $account (index . 4) -}}
{{- $namespace := index . 5 -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ $name }}
  {{- with $namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "pgops.labels" (list $root $component) | nindent 4 }}
  {{- with include "pgops.hook" $component }}
  {{- trim . | nindent 2 }}
  {{- end }}
rules:
  {{- index . 2 | trim | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $name }}
  {{- with $namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "pgops.labels" (list $root $component) | nindent 4 }}
  {{- with include "pgops.hook" $component }}
  {{- trim . | nindent 2 }}
  {{- end }}
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: {{ $kind }}, name: {{ $name }} }
subjects:
  - { kind: ServiceAccount, name: {{ $account }}, namespace: {{ $root.Release.Namespace }} }
{{- end -}}
