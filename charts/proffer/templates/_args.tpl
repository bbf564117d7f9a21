{{/* The operator's options. `node src/main.ts --help` lists them all. */}}
{{- define "proffer.args" -}}
- --namespace={{ .Release.Namespace }}
- --lease-name={{ include "proffer.leaseName" . }}
- --log-level={{ .Values.logLevel }}
- --http-port={{ .Values.http.port }}
- --round-min-interval-ms={{ int64 .Values.round.minIntervalMs }}
- --hold-after-seconds={{ int64 .Values.round.holdAfterSeconds }}
- --top-order={{ .Values.queues.topOrder }}
{{- with .Values.queues.topFairResource }}
- {{ printf "--top-fair-resource=%s" . | quote }}
{{- end }}
- --lease-seconds={{ int64 .Values.leaderElection.leaseSeconds }}
- --renew-deadline-seconds={{ int64 .Values.leaderElection.renewDeadlineSeconds }}
- --retry-seconds={{ int64 .Values.leaderElection.retrySeconds }}
- --node-settle-seconds={{ int64 .Values.nodes.settleSeconds }}
{{- range $key, $value := .Values.nodes.selector }}
- {{ printf "--node-selector=%s=%s" $key $value | quote }}
{{- end }}
{{- range $name, $quantity := .Values.nodes.headroom }}
- {{ printf "--node-headroom=%s=%v" $name $quantity | quote }}
{{- end }}
{{- with .Values.http.audience }}
- {{ printf "--audience=%s" . | quote }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
