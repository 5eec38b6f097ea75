{{- define "refract.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 46 | trimSuffix "-" }}
{{- end }}

{{/* Beginning of every name. Short enough for the longest end, -leader-election. */}}
{{- define "refract.fullname" -}}
{{- $name := include "refract.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 46 | trimSuffix "-" }}
{{- end }}

{{- define "refract.selector" -}}
app.kubernetes.io/name: {{ include "refract.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "refract.labels" -}}
{{ include "refract.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: refract
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "refract.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (printf "%s-manager" (include "refract.fullname" .)) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "refract.image" -}}
{{- $registry := default .Values.image.registry (.Values.global).imageRegistry }}
{{- $name := ternary (printf "%s/%s" (trimSuffix "/" $registry) .Values.image.repository) .Values.image.repository (ne $registry "") }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $name .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* A list of names, each written as a name or as {name: …}. */}}
{{- define "refract.pullSecrets" -}}
{{- range concat (default list (.Values.global).imagePullSecrets) .Values.imagePullSecrets }}
- name: {{ kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") . }}
{{- end }}
{{- end }}

{{/* The volume with more authorities; empty without any. */}}
{{- define "refract.caVolume" -}}
{{- with .Values.ca }}
{{- $given := compact (list (trim .bundle) .configMap .secret) }}
{{- if gt (len $given) 1 }}
{{- fail "ca.bundle, ca.configMap and ca.secret: give only one of them" }}
{{- end }}
{{- if .secret }}
secret:
  secretName: {{ .secret }}
{{- else if .configMap }}
configMap:
  name: {{ .configMap }}
{{- else if trim .bundle }}
configMap:
  name: {{ include "refract.fullname" $ }}-ca
{{- end }}
{{- end }}
{{- end }}

{{/* The Secret that metrics are served with; empty without any. */}}
{{- define "refract.metricsCertificate" -}}
{{- if and .Values.metrics.enabled .Values.metrics.secure.enabled }}
{{- .Values.metrics.secure.certificate }}
{{- end }}
{{- end }}

{{- define "refract.volumeMounts" -}}
{{- if include "refract.caVolume" . }}
- name: ca
  mountPath: /etc/refract/ca
  readOnly: true
{{- end }}
{{- if include "refract.metricsCertificate" . }}
- name: metrics
  mountPath: /etc/refract/metrics
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "refract.volumes" -}}
{{- with trim (include "refract.caVolume" .) }}
- name: ca
  {{- . | nindent 2 }}
{{- end }}
{{- with include "refract.metricsCertificate" . }}
- name: metrics
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "refract.env" -}}
{{- with .Values.proxy }}
{{- if or .https .http }}
{{- with .https }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .http }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
- name: NO_PROXY
  value: {{ concat (list "localhost" "127.0.0.1" "::1" ".svc" ".cluster.local" "$(KUBERNETES_SERVICE_HOST)") .noProxy | join "," | quote }}
{{- end }}
{{- end }}
{{- if include "refract.caVolume" . }}
# Go reads the image's own roots from their file, and these directories on top of it.
- name: SSL_CERT_DIR
  value: /etc/ssl/certs:/etc/refract/ca
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "refract.args" -}}
- manager
- --leader-elect
- --leader-election-namespace={{ .Release.Namespace }}
- --metrics-bind-address={{ .Values.metrics.enabled | ternary (printf ":%d" (int .Values.metrics.port)) "0" }}
{{- if and .Values.metrics.enabled .Values.metrics.secure.enabled }}
- --metrics-secure
{{- if .Values.metrics.secure.certificate }}
- --metrics-cert-dir=/etc/refract/metrics
{{- end }}
{{- end }}
- --health-probe-bind-address=:{{ int .Values.health.port }}
{{- if .Values.webhook.enabled }}
- --webhook-address=:{{ int .Values.webhook.port }}
{{- end }}
- --concurrent={{ int .Values.concurrent }}
- --inventory-interval={{ .Values.inventoryInterval }}
- --stuck-after={{ .Values.stuckAfter }}
- --log-level={{ .Values.log.level }}
- --log-encoding={{ .Values.log.encoding }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}
