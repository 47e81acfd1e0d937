{{- define "pgops.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels used by selectors; they never change. Takes (list $ "component"). */}}
{{- define "pgops.selectorLabels" -}}
app.kubernetes.io/name: pgops
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of every object. Takes (list $ "component"). */}}
{{- define "pgops.labels" -}}
{{- $root := index . 0 -}}
{{ include "pgops.ownLabels" . }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The same with these labels, which replace common ones: a key must be unique. Takes (list $ "component" LABELS). */}}
{{- define "pgops.labelsWith" -}}
{{- $root := index . 0 -}}
{{ include "pgops.ownLabels" . }}
{{- with merge (dict) (index . 2 | default dict) ($root.Values.commonLabels | default dict) }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of the pods of a component. Takes (list $ "component"). */}}
{{- define "pgops.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "pgops.labelsWith" (list $root (index . 1) $root.Values.podLabels) }}
{{- end -}}

{{/* Annotations of the pods of a component, whose container has its name. Takes (list $ "component"). */}}
{{- define "pgops.podAnnotations" -}}
{{- $root := index . 0 -}}
{{- $own := dict "kubectl.kubernetes.io/default-container" (index . 1) -}}
{{ toYaml (merge (dict) ($root.Values.podAnnotations | default dict) $own) }}
{{- end -}}

{{/* Labels of every object without those of users. Takes (list $ "component"). */}}
{{- define "pgops.ownLabels" -}}
{{- $root := index . 0 -}}
{{ include "pgops.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Reference of one of pgops' images. Takes (list $ "webhook"). */}}
{{- define "pgops.image" -}}
{{- $root := index . 0 -}}
{{- $images := $root.Values.images -}}
{{- with $images.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- get $images (index . 1) }}:{{ $images.tag | default $root.Chart.AppVersion -}}
{{- end -}}

{{/* Scheduling of a component's pods. Takes (list $ $values "component"). */}}
{{- define "pgops.scheduling" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- $selector := $values.nodeSelector | default dict }}
{{- with $root.Values.images.architecture }}
{{- $selector = merge (dict) $selector (dict "kubernetes.io/arch" .) }}
{{- end }}
{{- with $selector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- with $values.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "pgops.selectorLabels" (list $root (index $ 2)) | nindent 8 }}
  {{- end }}
  {{- end }}
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Flags about the images of pods that pgops creates in namespaces of databases. Takes $. */}}
{{- define "pgops.imageFlags" -}}
{{- with .Values.databases.imagePullSecrets }}
- --image-pull-secrets={{ join "," . }}
{{- end }}
{{- with .Values.images.architecture }}
- --image-architecture={{ . }}
{{- end }}
{{- end -}}

{{/* Pod Security "restricted": the programs need no particular user, no files and no capabilities. */}}
{{- define "pgops.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "pgops.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* A pod's identity, for leases and Events. */}}
{{- define "pgops.podEnvironment" -}}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
{{- end -}}

{{/* Fields that all webhooks share. Takes (list $ "/path"). */}}
{{- define "pgops.admission" -}}
{{- $root := index . 0 -}}
clientConfig:
  service:
    name: {{ include "pgops.fullname" $root }}-webhook
    namespace: {{ $root.Release.Namespace }}
    path: {{ index . 1 }}
    port: 443
admissionReviewVersions: [v1]
matchPolicy: Equivalent
sideEffects: None
timeoutSeconds: {{ $root.Values.webhook.timeoutSeconds }}
{{- end -}}

{{/* Limits a webhook for namespaced objects to watchNamespaces, if set: databases of others are not reviewed. */}}
{{- define "pgops.watchedNamespaces" -}}
{{- with .Values.watchNamespaces -}}
namespaceSelector:
  matchExpressions:
    - { key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }} }
{{- end -}}
{{- end -}}

{{/* Limits a webhook for databases to those that pgops manages: those of KubeDB do not wait for it. */}}
{{- define "pgops.managedDatabases" -}}
objectSelector:
  matchExpressions:
    {{- if eq .Values.managedDatabases "labelled" }}
    - { key: pgops.dev/managed, operator: In, values: ["true"] }
    {{- else }}
    - { key: pgops.dev/managed, operator: NotIn, values: ["false"] }
    {{- end }}
{{- end -}}

{{/* What a program watches: namespaces, all if empty, and databases; and whether something executes the requests that need
the provisioner. */}}
{{- define "pgops.watchEnvironment" -}}
{{- with .Values.watchNamespaces -}}
- name: PGOPS_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{ end -}}
- name: PGOPS_MANAGED_DATABASES
  value: {{ .Values.managedDatabases }}
{{- if not .Values.provisioner.enabled }}
- name: PGOPS_EXECUTED_REQUESTS
  value: upgrades
{{- end }}
{{- end -}}

{{/* Writes by pgops itself (its objects, and the claim of a request) skip admission. Those of an upgrade's worker do
not: only the worker may change a version, and only while its request is active. */}}
{{- define "pgops.notByPgops" -}}
{{- $accounts := list -}}
{{- range list "launcher" "provisioner" -}}
{{- $accounts = append $accounts (printf "'system:serviceaccount:%s:%s-%s'" $.Release.Namespace (include "pgops.fullname" $) .) -}}
{{- end -}}
- name: not-by-pgops
  expression: "!(request.userInfo.username in [{{ join ", " $accounts }}])"
{{- end -}}
