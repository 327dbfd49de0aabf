{{/* The template of the pods of a DaemonSet or StatefulSet. */}}
{{- define "daymark.hostTemplate" -}}
{{- $isDaemonSet := eq (include "daymark.workload" .) "DaemonSet" -}}
{{- $pause := include "daymark.pause" . | int -}}
metadata:
  labels:
    {{- include "daymark.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    # Only settings that Daymark cannot reload: a changed node or TTL restarts no host.
    daymark/restart-checksum: {{ include "daymark.restartChecksum" . }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  {{- if $isDaemonSet }}
  hostNetwork: true
  # The resolvers of the node, because those of the cluster may depend on the name that is served here.
  dnsPolicy: Default
  {{- end }}
  {{- include "daymark.podSpec" . | nindent 2 }}
  # An orderly shutdown takes at most 8 s, and it begins after the pause of `preStop`.
  terminationGracePeriodSeconds: {{ add $pause 10 }}
  {{- if and (not $isDaemonSet) (not .Values.topologySpreadConstraints) }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: DoNotSchedule
      labelSelector: {matchLabels: {{ include "daymark.selectorLabels" . | fromYaml | toJson }}}
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: ScheduleAnyway
      labelSelector: {matchLabels: {{ include "daymark.selectorLabels" . | fromYaml | toJson }}}
  {{- end }}
  containers:
    - name: daymark
      {{- include "daymark.container" . | nindent 6 }}
      args: [run, --config=/etc/daymark/daymark.yaml, --log-format={{ .Values.logFormat }}]
      env:
        - name: DAYMARK_SELF
          valueFrom: {fieldRef: {fieldPath: {{ $isDaemonSet | ternary "spec.nodeName" "metadata.name" }}}}
        # For commands inside the pod, such as `kubectl exec POD -- /usr/bin/daymark status`.
        - name: DAYMARK_API
          value: {{ include "daymark.adminListen" . | replace "0.0.0.0:" "127.0.0.1:" | replace "[::]:" "127.0.0.1:" | quote }}
        - name: DAYMARK_TOKEN_FILE
          value: {{ printf "/etc/daymark/%s" (dig "admin" "tokenFile" "secrets/admin.token" .Values.config) | replace "/etc/daymark//" "/" }}
        {{- with .Values.env }}{{ toYaml . | nindent 8 }}{{ end }}
      ports:
        - {name: admin, containerPort: {{ include "daymark.port" (include "daymark.adminListen" .) }}, protocol: TCP}
        {{- with dig "admin" "metricsListen" "" .Values.config }}
        - {name: metrics, containerPort: {{ include "daymark.port" . }}, protocol: TCP}
        {{- end }}
        {{- if eq .Values.mode "authoritative" }}
        - {name: dns, containerPort: {{ include "daymark.dnsPort" . }}, protocol: UDP}
        - {name: dns-tcp, containerPort: {{ include "daymark.dnsPort" . }}, protocol: TCP}
        {{- end }}
        {{- if or (not $isDaemonSet) .Values.config.peers }}
        - {name: gossip, containerPort: {{ include "daymark.gossipPort" . }}, protocol: UDP}
        {{- end }}
      livenessProbe:
        httpGet: {{ include "daymark.probe" (list . "/livez") }}
        # A stuck task fails /livez after 10 s, so the kubelet stops a stuck host within 20 s.
        periodSeconds: 4
        timeoutSeconds: 4
        failureThreshold: 2
        # A host that hangs is killed then, also in a longer pause.
        terminationGracePeriodSeconds: {{ min 15 (add $pause 10) }}
      readinessProbe:
        httpGet: {{ include "daymark.probe" (list . "/readyz") }}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      {{- if $pause }}
      lifecycle:
        # Queries still arrive, and are answered meanwhile.
        preStop: {sleep: {seconds: {{ $pause }}}}
      {{- end }}
{{- end }}

{{/* The seconds for which a host that is to stop still gets queries: until every node has removed it from the Service. With `Local`
its node gets them until the health checks of the load balancer have failed, such as three in 24 s at Google. */}}
{{- define "daymark.pause" -}}
{{- if ne .Values.mode "authoritative" -}}
0
{{- else if and (ne .Values.service.type "ClusterIP") (eq .Values.service.externalTrafficPolicy "Local") -}}
30
{{- else -}}
5
{{- end -}}
{{- end }}

{{- define "daymark.probe" -}}
{{- $root := index . 0 -}}
{path: {{ index . 1 }}, port: admin{{ if include "daymark.adminIsLocal" $root }}, host: {{ regexReplaceAll ":[0-9]+$" (include "daymark.adminListen" $root) "" | trimAll "[]" | quote }}{{ end }}}
{{- end }}

{{/* The common part of all pods that run Daymark. */}}
{{- define "daymark.podSpec" -}}
serviceAccountName: {{ include "daymark.serviceAccountName" . }}
automountServiceAccountToken: {{ include "daymark.needsToken" . | eq "true" }}
{{- include "daymark.placement" . }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 2 }}
{{- end }}
{{ include "daymark.podSecurity" . }}
volumes:
  - name: config
    projected:
      # Readable by the group of `fsGroup` only: Daymark refuses a key that other users may read.
      defaultMode: 0440
      sources:
        - configMap: {name: {{ include "daymark.fullname" . }}}
        - configMap: {name: kube-root-ca.crt, optional: true, items: [{key: ca.crt, path: cluster-ca.crt}]}
        {{- range include "daymark.secretsInUse" . | fromYamlArray }}
        {{- $ref := include "daymark.secretRef" (list $ .name) | fromYaml }}
        - secret: {name: {{ $ref.name }}, items: [{key: {{ $ref.key }}, path: {{ .path }}}]}
        {{- end }}
        {{- range .Values.secretFiles }}
        {{- $path := .path }}
        - secret:
            name: {{ .existingSecret }}
            items:
              {{- range .keys }}
              - {key: {{ . }}, path: secrets/{{ $path }}/{{ . }}}
              {{- end }}
        {{- end }}
  {{- $state := include "daymark.stateKind" . }}
  {{- if eq $state "emptyDir" }}
  - {name: state, emptyDir: {sizeLimit: 64Mi}}
  {{- else if eq $state "hostPath" }}
  - {name: state, hostPath: {path: {{ .Values.state.path }}, type: Directory}}
  {{- else if eq .Values.mode "cloudflareCron" }}
  - {name: state, persistentVolumeClaim: {claimName: {{ include "daymark.fullname" . }}-state}}
  {{- end }}
{{- end }}

{{/* The nodes for all pods of the release, because the image may be missing on others. */}}
{{- define "daymark.placement" }}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The common part of pods that do one thing and end. They have no permissions, and need no other object of the release. */}}
{{- define "daymark.oneShotPod" -}}
restartPolicy: Never
{{- if not .Values.serviceAccount.create }}
serviceAccountName: {{ include "daymark.serviceAccountName" . }}
{{- end }}
automountServiceAccountToken: false
{{- include "daymark.placement" . }}
{{- with .Values.affinity.nodeAffinity }}
affinity: {nodeAffinity: {{ toJson . }}}
{{- end }}
{{ include "daymark.podSecurity" . }}
{{- end }}

{{- define "daymark.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The binary of the image, as the Pod Security Standard `restricted` allows it. */}}
{{- define "daymark.binary" -}}
image: {{ include "daymark.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [/usr/bin/daymark]
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  # Needed in every mode: the file of the binary has this capability for port 53, and the kernel refuses to start a file whose
  # capability the container lacks. The Pod Security Standard `restricted` allows it.
  capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}
{{- end }}

{{- define "daymark.container" -}}
{{ include "daymark.binary" . }}
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/daymark, readOnly: true}
  - {name: state, mountPath: {{ .Values.config.stateDir | default "/var/lib/daymark" }}}
{{- end }}

{{/* The spec of the claim for the state. */}}
{{- define "daymark.claimSpec" -}}
accessModes: [ReadWriteOnce]
resources: {requests: {storage: {{ .Values.state.size }}}}
{{- with .Values.state.storageClassName }}
storageClassName: {{ . }}
{{- end }}
{{- end }}
