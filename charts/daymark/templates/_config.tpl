{{/* The configuration of the operator, with the chart's additions. */}}
{{- define "daymark.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $workload := include "daymark.workload" . -}}
{{- $paths := dict -}}
{{- range include "daymark.secretsInUse" . | fromYamlArray }}{{ $_ := set $paths .name .path }}{{ end -}}
{{- $_ := set $config "stateDir" ($config.stateDir | default "/var/lib/daymark") -}}
{{- if ne $workload "CronJob" -}}
  {{- $admin := $config.admin | default dict -}}
  {{- $_ := set $admin "listen" (include "daymark.adminListen" .) -}}
  {{- with $paths.adminToken }}{{ $_ := set $admin "tokenFile" . }}{{ end -}}
  {{- $_ := set $config "admin" $admin -}}
{{- end -}}
{{- if eq $workload "StatefulSet" -}}
  {{- $peers := $config.peers | default dict -}}
  {{- $_ := set $peers "members" (include "daymark.members" . | fromYamlArray) -}}
  {{- $_ := set $config "peers" $peers -}}
{{- end -}}
{{- with $config.peers -}}
  {{- $peers := . -}}
  {{- with $paths.gossipKey }}{{ $_ := set $peers "keyFile" . }}{{ end -}}
{{- end -}}
{{- range $config.pools -}}
  {{- if and (kindIs "map" .nodes) (not (dig "probe" "auth" "" .)) -}}
    {{- $_ := set . "probe" (merge (.probe | default dict) (dict "auth" (dict "tokenFile" (include "daymark.podToken" $)))) -}}
  {{- end -}}
{{- end -}}
{{- range $config.providers -}}
  {{- if and (eq .type "cloudflare") (not .tokenFile) (not .tokenVariable) }}{{ $_ := set . "tokenFile" $paths.cloudflareToken }}{{ end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{/* The configuration with a placeholder for every credential, because a Secret may be part of the release itself. */}}
{{- define "daymark.checkedConfig" -}}
{{- $config := include "daymark.config" . | fromYaml -}}
{{- range $config.pools -}}
  {{- if dig "probe" "auth" "" . }}{{ $_ := set .probe "auth" (dict "tokenFile" "placeholder") }}{{ end -}}
{{- end -}}
{{- range $config.providers -}}
  {{- if .tokenFile }}{{ $_ := set . "tokenFile" "placeholder" }}{{ end -}}
{{- end -}}
{{- with $config.peers }}{{ $_ := set . "keyFile" "placeholder" }}{{ end -}}
{{- with $config.admin }}{{ $_ := set . "tokenFile" "placeholder" }}{{ end -}}
{{- toYaml $config -}}
{{- end }}

{{/* "true" if `daymark check` can read the configuration, with no CA and no zone file in a Secret. */}}
{{- define "daymark.isChecked" -}}
{{- $needed := list -}}
{{- range .Values.config.pools }}{{ $needed = append $needed (dig "probe" "ca" "" .) }}{{ end -}}
{{- range .Values.config.providers }}{{ $needed = append $needed (.zoneFile | default "") }}{{ end -}}
{{- if and .Values.check.enabled (not (contains "secrets/" (join " " $needed))) }}true{{ end -}}
{{- end }}

{{/* The members of a StatefulSet. Its pods have stable names, and a headless Service gives each an address. */}}
{{- define "daymark.members" -}}
{{- $name := include "daymark.fullname" . -}}
{{- $domain := printf "%s-peers.%s.svc.%s" $name .Release.Namespace .Values.clusterDomain -}}
{{- range until (int .Values.replicas) }}
- {name: {{ $name }}-{{ . }}, address: "{{ $name }}-{{ . }}.{{ $domain }}:{{ include "daymark.gossipPort" $ }}"}
{{- end }}
{{- end }}

{{/* A checksum of the settings that Daymark cannot reload, so that only their change restarts the hosts. */}}
{{- define "daymark.restartChecksum" -}}
{{- $config := include "daymark.config" . | fromYaml -}}
{{- $providers := list -}}
{{- range $config.providers -}}
  {{- $providers = append $providers (eq .type "authoritative" | ternary (pick . "type" "listen" "freebind" "maxTcpConnections" "maxTcpConnectionsPerClient" "udpWorkers" "identity" "nsid" "chaos") .) -}}
{{- end -}}
{{- $pools := list -}}
{{- if include "daymark.has" (list "cloudflare" $config) -}}
  {{- range $config.pools }}{{ $pools = append $pools (pick . "name" "port") }}{{ end -}}
{{- end -}}
{{- dict "pools" $pools "providers" $providers "rest" (omit $config "pools" "providers") | toJson | sha256sum -}}
{{- end }}

{{/* Fails if values contradict each other, with all messages at once. */}}
{{- define "daymark.validate" -}}
{{- $v := .Values -}}
{{- $workload := include "daymark.workload" . -}}
{{- $state := include "daymark.stateKind" . -}}
{{- $authoritative := include "daymark.has" (list "authoritative" $v.config) -}}
{{- $cloudflare := include "daymark.has" (list "cloudflare" $v.config) -}}
{{- $peers := $v.config.peers | default dict -}}
{{- $errors := list -}}
{{- if and (eq $v.mode "authoritative") (not $authoritative) -}}
  {{- $errors = append $errors "config.providers: mode authoritative needs a provider with `type: authoritative`" -}}
{{- end -}}
{{- if and (ne $v.mode "authoritative") (not $cloudflare) -}}
  {{- $errors = append $errors (printf "config.providers: mode %s needs a provider with `type: cloudflare`" $v.mode) -}}
{{- end -}}
{{- if and (ne $v.mode "authoritative") $authoritative -}}
  {{- $errors = append $errors (printf "config.providers: mode %s serves no DNS; use mode authoritative, which may write to Cloudflare as well" $v.mode) -}}
{{- end -}}
{{- if and (eq $workload "StatefulSet") (or $peers.members $peers.self) -}}
  {{- $errors = append $errors "config.peers: the chart makes `members` and `self` of a StatefulSet; leave them out" -}}
{{- end -}}
{{- if and (eq $workload "DaemonSet") $peers.self -}}
  {{- $errors = append $errors "config.peers.self: each host of a DaemonSet has the name of its node; leave it out" -}}
{{- end -}}
{{- if and (eq $workload "DaemonSet") (hasKey $v.config "peers") (not $peers.members) -}}
  {{- $errors = append $errors "config.peers.members: name every node of the DaemonSet and its address" -}}
{{- end -}}
{{- if and (eq $workload "DaemonSet") $cloudflare (not $peers) -}}
  {{- $errors = append $errors "config.peers: without it every host of the DaemonSet writes to Cloudflare; name every node and its address in `members`" -}}
{{- end -}}
{{- if and (eq $workload "DaemonSet") (not $v.nodeSelector) (not $v.affinity) -}}
  {{- $errors = append $errors "nodeSelector: choose the nodes of the DaemonSet, such as `node-role.kubernetes.io/control-plane: \"\"`" -}}
{{- end -}}
{{- if and (eq $workload "CronJob") (or (hasKey $v.config "peers") (hasKey $v.config "admin")) -}}
  {{- $errors = append $errors "config: a pass of cloudflareCron has no peers and no admin API; leave `peers` and `admin` out" -}}
{{- end -}}
{{- if and (eq $workload "StatefulSet") (include "daymark.adminIsLocal" .) -}}
  {{- $errors = append $errors "config.admin.listen: on loopback the kubelet cannot probe the pod; leave it out" -}}
{{- end -}}
{{- if and $v.podMonitor.enabled (eq $workload "CronJob") -}}
  {{- $errors = append $errors "podMonitor.enabled: a pass of cloudflareCron has no metrics" -}}
{{- end -}}
{{- if and $v.podMonitor.enabled (eq $workload "DaemonSet") (include "daymark.adminIsLocal" .) (eq "admin" (include "daymark.metricsPort" .)) -}}
  {{- $errors = append $errors "podMonitor.enabled: in the network of the nodes the metrics are on loopback only; set config.admin.metricsListen to [::]:9354, and protect that port by a firewall" -}}
{{- end -}}
{{- if and (eq $state "hostPath") (ne $workload "DaemonSet") -}}
  {{- $errors = append $errors (printf "state.kind: hostPath needs a DaemonSet, and this is a %s" $workload) -}}
{{- end -}}
{{- if and (eq $state "persistentVolumeClaim") (eq $workload "DaemonSet") -}}
  {{- $errors = append $errors "state.kind: a DaemonSet has no claims; use hostPath or emptyDir" -}}
{{- end -}}
{{- if and $v.service.loadBalancerClass (ne $v.service.type "LoadBalancer") -}}
  {{- $errors = append $errors (printf "service.loadBalancerClass: only for type LoadBalancer, and this is %s" $v.service.type) -}}
{{- end -}}
{{- $unit := regexFind "[a-z]+$" $v.cron.deadline -}}
{{- $deadline := mul (trimSuffix $unit $v.cron.deadline) (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) $unit) -}}
{{- if ge $deadline (mul $v.cron.activeDeadlineSeconds 1000) -}}
  {{- $errors = append $errors "cron.deadline: must be less than cron.activeDeadlineSeconds, which ends the pass" -}}
{{- end -}}
{{- $paths := list -}}
{{- range $v.secretFiles -}}
  {{- if has .path $paths }}{{ $errors = append $errors (printf "secretFiles: each path must be unique; `%s` occurs twice" .path) }}{{ end -}}
  {{- $paths = append $paths .path -}}
{{- end -}}
{{- $own := keys (include "daymark.labels" . | fromYaml) (include "daymark.selectorLabels" . | fromYaml) | uniq -}}
{{- $own = append $own "daymark/restart-checksum" -}}
{{- $labels := dict "podLabels" $v.podLabels "podAnnotations" $v.podAnnotations "podMonitor.labels" $v.podMonitor.labels -}}
{{- range $path, $map := merge $labels (dict "prometheusRule.labels" $v.prometheusRule.labels "dashboard.labels" $v.dashboard.labels) -}}
  {{- range $key, $_ := $map -}}
    {{- if has $key $own }}{{ $errors = append $errors (printf "%s: the chart sets %s; leave it out" $path $key) }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- range $index, $pool := $v.config.pools -}}
  {{- if and (kindIs "map" .nodes) (eq $state "emptyDir") (lt (len (.nodes.seeds | default list)) 2) -}}
    {{- $errors = append $errors (printf "config.pools[%d].nodes.seeds: with state.kind emptyDir a host needs at least two seeds; while a single one is down, a new host finds no other node" $index) -}}
  {{- end -}}
{{- end -}}
{{- range include "daymark.secretsInUse" . | fromYamlArray -}}
  {{- $secret := index $v.secrets .name -}}
  {{- if and $secret.existingSecret $secret.value -}}
    {{- $errors = append $errors (printf "secrets.%s: set existingSecret or value, not both" .name) -}}
  {{- end -}}
  {{- if and (eq .name "cloudflareToken") (not $secret.existingSecret) (not $secret.value) -}}
    {{- $errors = append $errors "secrets.cloudflareToken.existingSecret: name the Secret with the API token" -}}
  {{- end -}}
{{- end -}}
{{- if $errors -}}
  {{- fail (printf "these values contradict each other:\n  - %s" (join "\n  - " $errors)) -}}
{{- end -}}
{{- end }}
