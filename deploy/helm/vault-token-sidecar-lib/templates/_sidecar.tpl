{{- /*
Items for the lists of your pod template. Pass each the values of this dependency, such as .Values.vaultTokenSidecar:

  vault-token-sidecar.container    first in initContainers
  vault-token-sidecar.volumes      in volumes
  vault-token-sidecar.volumeMount  in the volumeMounts of each container that reads the token

The pod's securityContext needs supplementalGroups: [65532] or fsGroup: 65532, the group that can read the token.
*/ -}}

{{- define "vault-token-sidecar.container" -}}
- name: vault-token-sidecar
  image: {{ .image.repository }}:{{ .image.tag }}{{ with .image.digest }}@{{ . }}{{ end }}
  imagePullPolicy: {{ .image.pullPolicy }}
  {{- if eq .mode "sidecar" }}
  restartPolicy: Always
  {{- end }}
  args:
    - {{ eq .mode "sidecar" | ternary "run" "once" }}
    {{- if .configMap }}
    - --config
    - /etc/vault-token-sidecar/config.json
    {{- end }}
    {{- if eq .mode "init" }}
    - --timeout
    - {{ .startupSeconds }}s
    {{- end }}
  {{- with include "vault-token-sidecar.env" . }}
  env:
    {{- . | trim | nindent 4 }}
  {{- end }}
  {{- if eq .mode "sidecar" }}
  ports:
    - name: ops
      containerPort: 8276
  startupProbe:
    httpGet:
      path: /startupz
      port: ops
    periodSeconds: 1
    failureThreshold: {{ .startupSeconds }}
  livenessProbe:
    httpGet:
      path: /livez
      port: ops
    periodSeconds: 5
    timeoutSeconds: 5
    terminationGracePeriodSeconds: 5
  {{- end }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop: [ALL]
    seccompProfile:
      type: RuntimeDefault
  volumeMounts:
    {{- if .configMap }}
    - name: vault-token-sidecar
      mountPath: /etc/vault-token-sidecar
      readOnly: true
    {{- end }}
    - name: vault-jwt
      mountPath: /var/run/secrets/oidc
      readOnly: true
    - name: vault-token
      mountPath: {{ .mountPath }}
{{- end }}

{{- /* With a config file, VAULT_... variables only set keys that the file leaves out; without one, they are required. */ -}}
{{- define "vault-token-sidecar.env" -}}
{{- $env := dict }}
{{- with .vault.address }}{{ $_ := set $env "VAULT_ADDR" . }}{{ end }}
{{- with .vault.namespace }}{{ $_ := set $env "VAULT_NAMESPACE" . }}{{ end }}
{{- with .vault.tlsServerName }}{{ $_ := set $env "VAULT_TLS_SERVER_NAME" . }}{{ end }}
{{- with .vault.caConfigMap }}{{ $_ := set $env "VAULT_CACERT" "/var/run/secrets/oidc/ca.crt" }}{{ end }}
{{- if not .configMap }}
  {{- $_ := required "vault-token-sidecar-lib: vault.address or configMap is required" .vault.address }}
  {{- $_ := set $env "VTS_ROLE" (required "vault-token-sidecar-lib: role or configMap is required" .role) }}
  {{- $_ := set $env "VTS_MOUNT" .mount }}
  {{- with .issuer }}{{ $_ := set $env "VTS_ISSUER" . }}{{ end }}
  {{- $_ := set $env "VTS_JWT_FILE" "/var/run/secrets/oidc/token" }}
  {{- $_ := set $env "VTS_TOKEN_FILE" (print .mountPath "/token") }}
  {{- $_ := set $env "VTS_TOKEN_MODE" "0640" }}
  {{- $_ := set $env "VTS_OPS_LISTEN" (print .opsHost ":8276") }}
  {{- $_ := set $env "VTS_LOG_LEVEL" .logLevel }}
{{- end }}
{{- range $name, $value := $env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "vault-token-sidecar.volumes" -}}
- name: vault-jwt
  projected:
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .audience | quote }}
          expirationSeconds: {{ .expirationSeconds }}
      {{- with .vault.caConfigMap }}
      - configMap:
          name: {{ . | quote }}
          items:
            - key: ca.crt
              path: ca.crt
      {{- end }}
# in memory, since an emptyDir on disk is world-writable and the sidecar refuses to write there
- name: vault-token
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- with .configMap }}
- name: vault-token-sidecar
  configMap:
    name: {{ . | quote }}
{{- end }}
{{- end }}

{{- /* Mount the directory: a file mounted with subPath never changes. */ -}}
{{- define "vault-token-sidecar.volumeMount" -}}
- name: vault-token
  mountPath: {{ .mountPath }}
  readOnly: true
{{- end }}
