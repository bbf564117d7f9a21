{{- define "proffer.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "proffer.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "proffer.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "proffer.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "proffer.selectorLabels" -}}
app.kubernetes.io/name: {{ include "proffer.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "proffer.labels" -}}
app.kubernetes.io/name: {{ include "proffer.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: proffer
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "proffer.serviceAccountName" -}}
{{- default (include "proffer.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The account of the pre-delete hook that takes the tracking finalizer off. */}}
{{- define "proffer.releaserName" -}}
{{- printf "%s-releaser" (include "proffer.fullname" .) -}}
{{- end -}}

{{/* Who the operator is to the API server: the admission policies compare with this name. */}}
{{- define "proffer.operatorUsername" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "proffer.serviceAccountName" . }}
{{- end -}}

{{- define "proffer.releaserUsername" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "proffer.releaserName" . }}
{{- end -}}

{{- define "proffer.leaseName" -}}
proffer-operator
{{- end -}}

{{- define "proffer.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- if .Values.image.digest -}}
{{- printf "%s:%s@%s" .Values.image.repository $tag .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/* What JSON schema cannot say: how values fit together. */}}
{{- define "proffer.validate" -}}
{{- $election := .Values.leaderElection -}}
{{- if gt (add $election.renewDeadlineSeconds 2) (int64 $election.leaseSeconds) -}}
{{- fail (printf "leaderElection.renewDeadlineSeconds (%v) must be at least 2 s (one request) less than leaderElection.leaseSeconds (%v): else two leaders could act at once" $election.renewDeadlineSeconds $election.leaseSeconds) -}}
{{- end -}}
{{- if ge (int64 $election.retrySeconds) (int64 $election.renewDeadlineSeconds) -}}
{{- fail (printf "leaderElection.retrySeconds (%v) must be less than leaderElection.renewDeadlineSeconds (%v): else one failed renewal loses the lease" $election.retrySeconds $election.renewDeadlineSeconds) -}}
{{- end -}}
{{- end -}}

{{/*
Policies have the same names whatever the release is called, and are there as long as it is. Helm would stumble over one object or
another of the other release; with --take-ownership it would take them away from it.
*/}}
{{- define "proffer.onlyOne" -}}
{{- if .Release.IsInstall -}}
{{- $policy := lookup "admissionregistration.k8s.io/v1" "ValidatingAdmissionPolicy" "" "pods.proffer.dev" | default dict -}}
{{- $owner := ($policy.metadata | default dict).annotations | default dict -}}
{{- $name := index $owner "meta.helm.sh/release-name" | default "" -}}
{{- $namespace := index $owner "meta.helm.sh/release-namespace" | default "" -}}
{{- if and $name (or (ne $name .Release.Name) (ne $namespace .Release.Namespace)) -}}
{{- fail (printf "Proffer is installed in this cluster already, as release %s in namespace %s, and there is one in a cluster: upgrade that one, or uninstall it first" $name $namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Part of CEL: was nothing under proffer.dev/ added, changed or removed between two maps? Takes the names of two policy variables.
*/}}
{{- define "proffer.unchangedKeys" -}}
variables.{{ .new }}.all(k, !k.startsWith('proffer.dev/') || k in variables.{{ .old }} && variables.{{ .old }}[k] == variables.{{ .new }}[k])
&& variables.{{ .old }}.all(k, !k.startsWith('proffer.dev/') || k in variables.{{ .new }})
{{- end -}}

{{/* The control loops of Kubernetes that maintain owner references and finalizers. */}}
{{- define "proffer.controllers" -}}
['system:serviceaccount:kube-system:generic-garbage-collector', 'system:serviceaccount:kube-system:namespace-controller', 'system:kube-controller-manager']
{{- end -}}

{{- define "proffer.admissionBinding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ with .suffix }}{{ . }}.{{ end }}{{ .name }}
  labels: {{- include "proffer.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny, Audit]
{{- end -}}
