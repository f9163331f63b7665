{{- /* One plain setting: a variable and its value. Lists are joined by commas; a value that is not set has no line. */ -}}
{{- define "clientcert-operator.setting" -}}
{{- $variable := index . 0 -}}
{{- $value := index . 1 -}}
{{- if kindIs "slice" $value -}}
{{- $value = join "," $value -}}
{{- end -}}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
{{ $variable }}: {{ toString $value | quote }}
{{- end -}}
{{- end -}}

{{- /* All plain settings, but the namespaces: those are arguments of the container. */ -}}
{{- define "clientcert-operator.settings" -}}
{{- $config := .Values.config -}}
{{- $slack := .Values.slack -}}
{{- $smtp := .Values.smtp -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_INSTALLATION" (include "clientcert-operator.fullname" .)) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_HOST" $config.host) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_PORT" $config.port) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_LOG_FORMAT" $config.logFormat) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_LOG_LEVEL" $config.logLevel) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_LEADER_ELECTION" $config.leaderElection) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_LEASE_NAMESPACE" $config.leaseNamespace) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_RESYNC" $config.resync) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_CLOCK_OFFSET" $config.clockOffset) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_OBSERVE_ONLY" $config.observeOnly) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_CLUSTER" $config.cluster) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_X509_METRICS" $config.x509Metrics) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_ALLOWED_HOSTS" $config.allowedHosts) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_NO_PROXY" .Values.proxy.noProxy) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_IDENTITY_BUCKETS" $config.identityBuckets) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_IDENTITY_WRITE_BUCKETS" $config.identityWriteBuckets) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_CLUSTER_ISSUERS" $config.clusterIssuers) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_SLACK_CHANNEL" $slack.channel) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_SLACK_API_URL" $slack.apiURL) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_SLACK_NAMESPACES" $slack.namespaces) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_SMTP_HOST" $smtp.host) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_SMTP_PORT" $smtp.port) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_SMTP_FROM" $smtp.from) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_SMTP_TLS" $smtp.tls) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_SMTP_PER_SECOND" $smtp.perSecond) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_MAIL_DOMAINS" .Values.mail.domains) -}}
{{- include "clientcert-operator.setting" (list "CLIENTCERT_MAIL_NAMESPACES" .Values.mail.namespaces) -}}
{{- end -}}

{{- /* All secret settings: the variable, the value, and the key of existingSecret that has it instead. */ -}}
{{- define "clientcert-operator.secretSettings" -}}
{{- $keys := .Values.existingSecretKeys -}}
{{- list
      (dict "variable" "CLIENTCERT_SLACK_TOKEN" "file" "slack-token" "value" .Values.slack.token "key" $keys.slackToken)
      (dict "variable" "CLIENTCERT_SLACK_WEBHOOK_URL" "file" "slack-webhook-url" "value" .Values.slack.webhookURL "key" $keys.slackWebhookURL)
      (dict "variable" "CLIENTCERT_SMTP_USERNAME" "file" "smtp-username" "value" .Values.smtp.username "key" $keys.smtpUsername)
      (dict "variable" "CLIENTCERT_SMTP_PASSWORD" "file" "smtp-password" "value" .Values.smtp.password "key" $keys.smtpPassword)
      (dict "variable" "CLIENTCERT_HEARTBEAT_URL" "file" "heartbeat-url" "value" .Values.heartbeat.url "key" $keys.heartbeatURL)
      (dict "variable" "CLIENTCERT_PROXY" "file" "proxy-url" "value" .Values.proxy.url "key" $keys.proxyURL)
    | toJson -}}
{{- end -}}

{{- /* The secret settings that are set, each with the key of the Secret that is mounted. */ -}}
{{- define "clientcert-operator.setSecrets" -}}
{{- $set := list -}}
{{- range include "clientcert-operator.secretSettings" . | fromJsonArray -}}
{{- if and $.Values.existingSecret .key -}}
{{- $set = append $set . -}}
{{- else if and (not $.Values.existingSecret) .value -}}
{{- $set = append $set (merge (dict "key" .file) .) -}}
{{- end -}}
{{- end -}}
{{- toJson $set -}}
{{- end -}}

{{- define "clientcert-operator.secretName" -}}
{{- default (include "clientcert-operator.fullname" .) .Values.existingSecret -}}
{{- end -}}

{{- /* Of all settings that the chart made; it cannot see into existingSecret, whose files follow it. */ -}}
{{- define "clientcert-operator.settingsChecksum" -}}
{{- $all := list (include "clientcert-operator.settings" .) .Values.extraCA.pem -}}
{{- if not .Values.existingSecret -}}
{{- $all = append $all (include "clientcert-operator.setSecrets" .) -}}
{{- end -}}
{{- toJson $all | sha256sum -}}
{{- end -}}

{{- /* Contradictions in the values, each with what to change. */ -}}
{{- define "clientcert-operator.check" -}}
{{- range include "clientcert-operator.secretSettings" . | fromJsonArray -}}
{{- if and $.Values.existingSecret .value -}}
{{- fail (printf "existingSecret is set, so the value for %s would be ignored: put it into that Secret and name its key in existingSecretKeys" .variable) -}}
{{- end -}}
{{- if and .key (not $.Values.existingSecret) -}}
{{- fail (printf "existingSecretKeys names the key %s, so existingSecret must be set: the Secret that has it" .key) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.existingSecret (not (include "clientcert-operator.setSecrets" . | fromJsonArray)) -}}
{{- fail "existingSecret is set, so existingSecretKeys must name at least one of its keys, such as existingSecretKeys.slackToken=token" -}}
{{- end -}}
{{- $set := dict -}}
{{- range include "clientcert-operator.setSecrets" . | fromJsonArray -}}
{{- $_ := set $set .file true -}}
{{- end -}}
{{- if and (hasKey $set "slack-token") (hasKey $set "slack-webhook-url") -}}
{{- fail "a bot token of Slack and a webhook are both set: set one of them" -}}
{{- end -}}
{{- if and (hasKey $set "slack-token") (not .Values.slack.channel) -}}
{{- fail "a bot token of Slack is set, so slack.channel must be: the channel for certificates without a policy of their own" -}}
{{- end -}}
{{- if and .Values.smtp.host (not .Values.smtp.from) -}}
{{- fail "smtp.host is set, so smtp.from must be: the sender of the mails" -}}
{{- end -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.config.leaderElection) -}}
{{- fail "config.leaderElection is false, so replicaCount must be 1: every replica would send every message" -}}
{{- end -}}
{{- if and .Values.extraCA.pem .Values.extraCA.configMap.name -}}
{{- fail "extraCA.pem and extraCA.configMap.name are both set: set one of them" -}}
{{- end -}}
{{- end -}}
