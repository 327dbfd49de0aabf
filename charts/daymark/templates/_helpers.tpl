{{/* The names and labels of all objects. CronJobs allow names of 52 characters, and pods of a StatefulSet add two. */}}
{{- define "daymark.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "daymark.fullname" -}}
{{- $name := include "daymark.name" . -}}
{{- $default := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $default | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "daymark.selectorLabels" -}}
app.kubernetes.io/name: {{ include "daymark.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: host
{{- end }}

{{- define "daymark.labels" -}}
app.kubernetes.io/name: {{ include "daymark.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "daymark.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "daymark.fullname" .) "default") -}}
{{- end }}

{{- define "daymark.image" -}}
{{- with .Values.image -}}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end }}

{{/* DaemonSet, StatefulSet or CronJob. */}}
{{- define "daymark.workload" -}}
{{- if eq .Values.mode "authoritative" -}}
{{- .Values.authoritative.workload -}}
{{- else -}}
{{- eq .Values.mode "cloudflare" | ternary "StatefulSet" "CronJob" -}}
{{- end -}}
{{- end }}

{{/* "true" if the configuration has a provider of this type. Arguments: list TYPE CONFIG. */}}
{{- define "daymark.has" -}}
{{- range (index . 1).providers }}{{ if eq .type (index $ 0) }}true{{ break }}{{ end }}{{ end -}}
{{- end }}

{{- define "daymark.podToken" -}}
/var/run/secrets/kubernetes.io/serviceaccount/token
{{- end }}

{{/* The pools of this cluster, as JSON: those that Daymark probes with the token of the pod. */}}
{{- define "daymark.ownPools" -}}
{{- $own := list -}}
{{- range (include "daymark.config" . | fromYaml).pools -}}
{{- if eq (dig "probe" "auth" "tokenFile" "" .) (include "daymark.podToken" $) }}{{ $own = append $own . }}{{ end -}}
{{- end -}}
{{- $own | toJson -}}
{{- end }}

{{/* The permissions that the token needs, as YAML: the same as `daymark manifest rbac` prints for these pools. */}}
{{- define "daymark.reads" -}}
{{- $paths := list -}}
{{- $nodes := false -}}
{{- $slices := false -}}
{{- range include "daymark.ownPools" . | fromJsonArray -}}
  {{- $paths = append $paths (dig "probe" "path" "/readyz" . | splitList "?" | first) -}}
  {{- if kindIs "map" .nodes -}}
    {{- if eq (dig "fromKubernetes" "source" "nodes" .nodes) "endpoints" }}{{ $slices = true }}{{ else }}{{ $nodes = true }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- dict "paths" ($paths | uniq | sortAlpha) "nodes" $nodes "slices" $slices | toYaml -}}
{{- end }}

{{- define "daymark.needsToken" -}}
{{- if include "daymark.ownPools" . | fromJsonArray }}true{{ end -}}
{{- end }}

{{- define "daymark.stateKind" -}}
{{- .Values.state.kind | default (eq .Values.mode "cloudflareCron" | ternary "persistentVolumeClaim" "emptyDir") -}}
{{- end }}

{{/* The port of an address. */}}
{{- define "daymark.port" -}}
{{- regexFind "[0-9]+$" . -}}
{{- end }}

{{- define "daymark.dnsPort" -}}
{{- $port := "53" -}}
{{- range .Values.config.providers }}{{ if eq .type "authoritative" }}{{ with .listen }}{{ $port = include "daymark.port" (first .) }}{{ end }}{{ end }}{{ end -}}
{{- $port -}}
{{- end }}

{{- define "daymark.adminListen" -}}
{{- $default := eq (include "daymark.workload" .) "DaemonSet" | ternary "127.0.0.1:9353" "[::]:9353" -}}
{{- dig "admin" "listen" $default .Values.config -}}
{{- end }}

{{- define "daymark.adminIsLocal" -}}
{{- if regexMatch "^(127\\.|\\[::1\\])" (include "daymark.adminListen" .) }}true{{ end -}}
{{- end }}

{{/* The name of the port with the metrics. */}}
{{- define "daymark.metricsPort" -}}
{{- ternary "metrics" "admin" (ne "" (dig "admin" "metricsListen" "" .Values.config)) -}}
{{- end }}

{{- define "daymark.gossipPort" -}}
{{- include "daymark.port" (dig "peers" "listen" "[::]:7946" .Values.config) -}}
{{- end }}

{{/* The Secret and the key of a secret, as YAML: the operator's, or the one that the chart generates. */}}
{{- define "daymark.secretRef" -}}
{{- $root := index . 0 -}}
{{- $secret := index $root.Values.secrets (index . 1) -}}
{{- if $secret.existingSecret -}}
{name: {{ $secret.existingSecret | quote }}, key: {{ $secret.key | quote }}}
{{- else -}}
{name: {{ include "daymark.fullname" $root | quote }}, key: {{ index . 1 | quote }}}
{{- end -}}
{{- end }}

{{/* The secrets that this release needs, as a YAML list: the name in the values, and the path below /etc/daymark. */}}
{{- define "daymark.secretsInUse" -}}
{{- $config := .Values.config -}}
{{- $isCron := eq .Values.mode "cloudflareCron" -}}
{{- $needsCloudflare := false -}}
{{- range $config.providers }}
{{- if and (eq .type "cloudflare") (not .tokenFile) (not .tokenVariable) }}{{ $needsCloudflare = true }}{{ end }}
{{- end }}
{{- if $needsCloudflare }}
- {name: cloudflareToken, path: secrets/cloudflare.token}
{{- end }}
{{- if and (or (eq (include "daymark.workload" .) "StatefulSet") $config.peers) (not (dig "peers" "keyFile" "" $config)) (not $isCron) }}
- {name: gossipKey, path: secrets/gossip.key}
{{- end }}
{{- if and (not (dig "admin" "tokenFile" "" $config)) (not $isCron) }}
- {name: adminToken, path: secrets/admin.token}
{{- end }}
{{- end }}
