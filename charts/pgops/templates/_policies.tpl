{{/* Head of an admission policy, up to its spec. Takes (list $ "name" "why" "component"). */}}
{{- define "pgops.policy" -}}
{{- $root := index . 0 -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ include "pgops.fullname" $root }}-{{ index . 1 }}
  labels: {{- include "pgops.labels" (list $root (index . 3)) | nindent 4 }}
  annotations:
    pgops.dev/why: {{ index . 2 | quote }}
spec:
  failurePolicy: Fail
{{- end -}}

{{/* Enforces the policy of that name everywhere. Takes (list $ "name" "component"). */}}
{{- define "pgops.policyBinding" -}}
{{- $root := index . 0 -}}
{{- $name := printf "%s-%s" (include "pgops.fullname" $root) (index . 1) -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
  labels: {{- include "pgops.labels" (list $root (index . 2)) | nindent 4 }}
spec:
  policyName: {{ $name }}
  validationActions: [Deny]
{{- end -}}

{{/* Whether two objects differ at most in these fields. Takes (list "NEW" "OLD" (list "field")). The objects are compared
as maps, so that fields that a later version of Kubernetes adds are compared too. */}}
{{- define "pgops.sameExcept" -}}
{{- $new := printf "dyn(%s)" (index . 0) -}}
{{- $old := printf "dyn(%s)" (index . 1) -}}
{{- $fields := printf "['%s']" (join "', '" (index . 2)) -}}
{{ $new }}.all(k, k in {{ $fields }} || (k in {{ $old }} && {{ $new }}[k] == {{ $old }}[k])) && {{ $old }}.all(k, k in {{ $fields }} || k in {{ $new }})
{{- end -}}

{{/* Whether the metadata is unchanged, apart from what the API server counts and records. */}}
{{- define "pgops.sameMetadata" -}}
{{ include "pgops.sameExcept" (list "object.metadata" "oldObject.metadata" (list "generation" "managedFields" "resourceVersion")) }}
{{- end -}}

{{/* The field of an object, or an empty map if it is not set. Takes (list "OBJECT" "field"). */}}
{{- define "pgops.map" -}}
'{{ index . 1 }}' in dyn({{ index . 0 }}) ? dyn({{ index . 0 }}).{{ index . 1 }} : dyn({})
{{- end -}}

{{/* The field of an object, or an empty list if it is not set. Takes (list "OBJECT" "field"). */}}
{{- define "pgops.list" -}}
'{{ index . 1 }}' in dyn({{ index . 0 }}) ? dyn({{ index . 0 }}).{{ index . 1 }} : dyn([])
{{- end -}}

{{/* Head of an admission policy about the workers of upgrades, up to its validations. Takes (list $ "name" "why"). */}}
{{- define "pgops.workerPolicy" -}}
{{- include "pgops.policy" (append . "worker") }}
  matchConditions:
    # The launcher gives this prefix to the service account of every worker.
    - name: by-a-worker
      expression: >-
        request.userInfo.username.startsWith('system:serviceaccount:') &&
        request.userInfo.username.contains(':pgops-worker-')
{{- end -}}

{{/* Whether the plan of the worker that sent the request has this value: the launcher writes it as rights of the worker's
Role. Takes (list "resource" "verb" "EXPRESSION"). An expression may ask twice: a third question exceeds its budget. */}}
{{- define "pgops.planned" -}}
authorizer.group('plan.pgops.dev').resource('{{ index . 0 }}').namespace(request.namespace).name({{ index . 2 }}).check('{{ index . 1 }}').allowed()
{{- end -}}
