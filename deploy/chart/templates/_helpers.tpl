{{- define "tenios.labels" -}}
app.kubernetes.io/name: tenios-operator
app.kubernetes.io/part-of: tenios
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* What the operator may do in a namespace that it watches; once for all, or in a Role for each. */ -}}
{{- define "tenios.watchRules" -}}
- apiGroups: [tenios.dev]
  resources: [phoneverifications, phonenumberorders]
  verbs: [get, list, watch]
- apiGroups: [tenios.dev]
  resources: [phoneverifications/status, phonenumberorders/status]
  verbs: [patch]
# By name only: list and watch would reveal every Secret's content.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
# The claim of this operator's ledger to a namespace: made once, and never taken from another.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [tenios-operator-ledger]
  verbs: [get, list, watch]
{{- end }}

{{- /* For spec.writeNumberTo. */ -}}
{{- define "tenios.numberConfigMapsRules" -}}
# By name only, and nothing is deleted: Kubernetes does that with the order.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, patch]
{{- end }}

{{- /* The port of each proxy, as a NetworkPolicy has it. */ -}}
{{- define "tenios.proxyPorts" -}}
{{- $ports := list }}
{{- with .Values.proxy }}
{{- range $url := compact (list .https .http) }}
{{- $proxy := urlParse $url }}
{{- $default := get (dict "http" "80" "https" "443" "socks5" "1080") $proxy.scheme }}
{{- $ports = append $ports (regexFind ":[0-9]+$" $proxy.host | trimPrefix ":" | default $default) }}
{{- end }}
{{- end }}
{{- range uniq $ports }}
- protocol: TCP
  port: {{ . }}
{{- end }}
{{- end }}
