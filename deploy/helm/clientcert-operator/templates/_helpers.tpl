{{- /* The name of the installation: that of the release if it contains the name of the chart. */ -}}
{{- define "clientcert-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* What the names of roles for people and of admission policies begin with. The operator cuts it in the same way. */ -}}
{{- define "clientcert-operator.prefix" -}}
{{- include "clientcert-operator.fullname" . | trimSuffix "-operator" -}}
{{- end -}}

{{- define "clientcert-operator.selectorLabels" -}}
app.kubernetes.io/name: clientcert-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "clientcert-operator.labels" -}}
{{ include "clientcert-operator.selectorLabels" . }}
app.kubernetes.io/part-of: clientcert
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "clientcert-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "clientcert-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.create is false, so serviceAccount.name must be set: the ServiceAccount to use" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* The user name of the operator, as the API server knows it. */ -}}
{{- define "clientcert-operator.userName" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "clientcert-operator.serviceAccountName" .) -}}
{{- end -}}

{{- define "clientcert-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "clientcert-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- define "clientcert-operator.image" -}}
{{- $image := .Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest -}}
{{- with $image.tag }}:{{ . }}{{ end -}}@{{ $image.digest }}
{{- else -}}
:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "clientcert-operator.leaseNamespace" -}}
{{- default .Release.Namespace .Values.config.leaseNamespace -}}
{{- end -}}

{{- /* The objects that a monitor, a Service and a budget select. */ -}}
{{- define "clientcert-operator.selector" -}}
matchLabels:
  {{- include "clientcert-operator.selectorLabels" . | nindent 2 }}
{{- end -}}

{{- /* The pod's own identity on the node: none. */ -}}
{{- define "clientcert-operator.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "clientcert-operator.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* The namespaces in which the admission policies hold: all, or those that are served. */ -}}
{{- define "clientcert-operator.matchResources" -}}
{{- with .Values.includeNamespaces -}}
matchResources:
  namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values:
          {{- toYaml . | nindent 10 }}
{{- end -}}
{{- end -}}

{{- /* The pod of `helm test`: not those of the Deployment, whose Service must not select it. */ -}}
{{- define "clientcert-operator.testLabels" -}}
app.kubernetes.io/name: clientcert-operator-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* How Prometheus scrapes the replicas, for both kinds of monitors. */ -}}
{{- define "clientcert-operator.scrape" -}}
- port: http
  path: /metrics
  # Series have the namespace and the name of a certificate; they are not those of the pod.
  honorLabels: true
  {{- with .monitor.interval }}
  interval: {{ . }}
  {{- end }}
  {{- with .monitor.scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
{{- end -}}
