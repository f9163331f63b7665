{{- /*
The operator's rights, one role for each purpose, and only verbs that it uses. rbac.yaml makes ClusterRoles of them, or
a Role in each of includeNamespaces.
*/ -}}
{{- define "clientcert-operator.rights" -}}
- name: declarations
  about: Watch the declared objects.
  rules:
    - apiGroups: [clientcert.dev]
      resources: [clientcertificates]
      verbs: [get, list, watch]
    - apiGroups: [clientcert.dev]
      resources: [certificatepolicies, certificatestores]
      verbs: [list, watch]
- name: status
  about: Record observations and sent messages.
  rules:
    - apiGroups: [clientcert.dev]
      resources: [clientcertificates/status, certificatepolicies/status, certificatestores/status]
      verbs: [patch]
- name: renewals
  about: |-
    Read the requests for renewals and the revocations, and record in their status what became of them.
  rules:
    - apiGroups: [clientcert.dev]
      resources: [certificaterenewals, certificaterevocations]
      verbs: [get, list, watch]
    - apiGroups: [clientcert.dev]
      resources: [certificaterenewals/status, certificaterevocations/status]
      verbs: [patch]
- name: admission-proof
  about: |-
    Prove by dry runs that the admission policies are in force. They refuse it each real creation of these kinds.
  rules:
    - apiGroups: [clientcert.dev]
      resources: [clientcertificates, certificatepolicies, certificaterenewals]
      verbs: [create]
- name: retirement
  about: |-
    Retire the old certificate when its overlap ends, and prove the admission policy of this kind.
  rules:
    - apiGroups: [clientcert.dev]
      resources: [certificaterevocations]
      verbs: [create]
- name: retention
  about: |-
    Delete requests that ended 400 days ago. To keep them for longer, remove this role.
  rules:
    - apiGroups: [clientcert.dev]
      resources: [certificaterenewals]
      verbs: [delete]
- name: secrets
  about: |-
    Read the certificates, passwords and tokens that objects refer to. The operator lists and watches only the metadata
    of Secrets, and gets only the Secrets that an object refers to. Kubernetes cannot grant this: the right to list or
    watch Secrets is the right to read all of them. docs/security.md says what this means, and how to limit it.
  rules:
    - apiGroups: [""]
      resources: [secrets]
      verbs: [get, list, watch]
- name: contacts
  about: |-
    Read the client lists that policies name, each by its name, and no other ConfigMap.
  rules:
    - apiGroups: [""]
      resources: [configmaps]
      verbs: [get]
- name: events
  about: |-
    Write Events. They have deterministic names, so that a repeated Event is read and patched.
  rules:
    - apiGroups: [""]
      resources: [events]
      verbs: [get, create, patch]
{{- end -}}

{{- /* One right in one namespace, or without a namespace in the whole cluster: the role, and its binding. */ -}}
{{- define "clientcert-operator.right" -}}
{{- $cluster := ternary "Cluster" "" (eq .namespace "") -}}
{{- $name := printf "%s-%s" (include "clientcert-operator.fullname" .root) .right.name -}}
---
{{ .right.about | nindent 0 | trim | replace "\n" "\n# " | printf "# %s" }}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $cluster }}Role
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "clientcert-operator.labels" .root | nindent 4 }}
rules:
  {{- toYaml .right.rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $cluster }}RoleBinding
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "clientcert-operator.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $cluster }}Role
  name: {{ $name }}
subjects:
  {{- include "clientcert-operator.subjects" .root | nindent 2 }}
{{ end -}}
