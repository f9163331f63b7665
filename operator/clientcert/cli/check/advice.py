"""The advice for each reason of a condition: that of docs/runbook.md and docs/contacts.md, in their words.

A test compares them. A link of the page is the name of the page that it leads to, in brackets.
"""

from clientcert.errors import Reason
from clientcert.lifecycle.conditions import CONTACT_RESOLVED

ADVICE: dict[str, str] = {
    Reason.SOURCE_NOT_FOUND: "Create or upload it, or correct `spec.source`. It is read as soon as it exists.",
    Reason.STORE_NOT_FOUND: "Create it, or correct `storeRef`.",
    Reason.BUCKET_NOT_FOUND: "Correct `spec.s3.bucket` of the store, its region or its endpoint.",
    Reason.KEY_MISSING: "The message lists its keys: name one of them, or add the key.",
    Reason.ACCESS_DENIED: (
        "Grant the ServiceAccount `get` on Secrets in that namespace; grant the user `s3:ListBucket` and"
        " `s3:GetObject`. Look another code up in the server's documentation. Without a code, check also the"
        " proxies and firewalls in front of the server."
    ),
    Reason.CREDENTIALS_INVALID: (
        "Put valid credentials into the Secret, as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. They are"
        " tried at once."
    ),
    Reason.CREDENTIALS_NOT_FOUND: (
        "Create it, with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or correct `credentialsSecretRef`. It"
        " is read at once."
    ),
    Reason.IDENTITY_NOT_ALLOWED: (
        "Set `credentialsSecretRef`; or ask the administrator of the operator to add `namespace=bucket/prefix` to"
        " `CLIENTCERT_IDENTITY_BUCKETS`."
    ),
    Reason.ENDPOINT_NOT_ALLOWED: (
        "Ask the administrator of the operator to add `host:port` to `CLIENTCERT_ALLOWED_HOSTS`; or correct the"
        " address."
    ),
    Reason.SOURCE_UNAVAILABLE: (
        "Check that the server runs. No other action is needed: the operator retries. If a LIST has only a part"
        " of the bucket, update the server, or set `spec.s3.prefix`."
    ),
    Reason.TOO_LARGE: (
        "Put only the certificate and its chain there. Have gateways read the list (docs/revocation.md). Delete the"
        " lists that no gateway reads."
    ),
    Reason.EMPTY: "Put the certificate there.",
    Reason.NOT_A_CERTIFICATE: (
        "Put the signed certificate there. For a placeholder or an encrypted file, correct the tool that writes"
        " the Secret."
    ),
    Reason.PRIVATE_KEY_ONLY: "Put the certificate there, and remove the key unless it is needed.",
    Reason.UNSUPPORTED_FORMAT: (
        "Export it again with AES, or as PEM. Convert a BKS or BCFKS with `keytool -importkeystore`. Put a"
        " renewed certificate there by hand."
    ),
    Reason.UNSUPPORTED_ENCODING: "Save it as ASCII or UTF-8.",
    Reason.INVALID_CERTIFICATE: "Put the complete file there again.",
    Reason.NO_LEAF_CERTIFICATE: "Put the client's certificate there.",
    Reason.PASSWORD_REQUIRED: "Set `passwordSecretRef`.",
    Reason.PASSWORD_INCORRECT: "Correct it. The operator tries again when the Secret with the password changes.",
    Reason.PASSWORD_NOT_FOUND: "Create it, or correct `passwordSecretRef`.",
    Reason.TOO_EXPENSIVE: "Export it again with fewer iterations.",
    Reason.IDENTITY_MISMATCH: (
        "Put the right certificate there; or, if it is the right one, set the field of `spec.identity` that the"
        " message names."
    ),
    Reason.TEMPORARY_CERTIFICATE: (
        "Wait; if it stays, `kubectl get certificaterequests` shows why the issuer does not issue."
    ),
    Reason.INVALID_VALIDITY: "Have it issued again.",
    Reason.NOT_YET_VALID: (
        "Wait, if the current certificate is valid until then; the operator accepts the new one when it becomes valid."
    ),
    Reason.EXPIRED: (
        "Renew it, or put the renewed chain there: the message says which. The consumer may already have lost access."
    ),
    Reason.POLICY_NOT_FOUND: "Create it, or correct `policyRef`.",
    Reason.POLICY_INVALID: "The policy's own condition `Ready` names every invalid part, and what is used instead.",
    Reason.TOKEN_NOT_FOUND: (
        "Create it, or correct the reference that the message names. The operator tries again when the Secret changes."
    ),
    Reason.TOKEN_REJECTED: (
        "Put a valid token or key into the Secret; Slack's scopes (docs/slack.md), signing keys (docs/webhooks.md)."
    ),
    Reason.CHANNEL_NOT_FOUND: (
        "Correct the name or the URL, and invite the app: `/invite @the-app`. Slack's error codes (docs/slack.md)."
    ),
    Reason.CHANNEL_NOT_ALLOWED: (
        "Use a token of your own; or ask the administrator of the operator to add the namespace to"
        " `CLIENTCERT_SLACK_NAMESPACES` or `CLIENTCERT_MAIL_NAMESPACES`."
    ),
    Reason.CHANNEL_NOT_SUPPORTED: "Use another type, or an image with the extra `apprise`.",
    Reason.MESSAGE_REFUSED: (
        "Follow the message: it has the codes of the mail server, and what they mean (docs/contacts.md). If Slack"
        " refuses the form, please report it: it is a bug of the operator."
    ),
    Reason.RATE_LIMITED: "Nothing: the message is sent later. If it persists, use more than one Slack app.",
    Reason.CHANNEL_BUSY: (
        "Have alerts grouped (`spec.alerts.group`), or use a channel that fewer certificates share. Namespaces"
        " take turns, so other namespaces do not wait for these alerts. `clientcert_oldest_wait_seconds` shows"
        " where messages wait."
    ),
    Reason.CHANNEL_UNAVAILABLE: "Nothing, unless the server is up: then check why the operator cannot reach it.",
    Reason.CONTACT_NOT_FOUND: (
        "Add a contact to `spec.contact` or, with `clientcert contact set` (docs/cli.md), to the client list."
    ),
    Reason.CONTACT_INVALID: "Correct it in `spec.contact` or in the client list.",
    Reason.RECIPIENT_NOT_ALLOWED: (
        "Ask the administrator of the operator to add the domain to `CLIENTCERT_MAIL_DOMAINS`; or name another contact."
    ),
    Reason.RECIPIENT_REFUSED: "Correct the address in `spec.contact` or in the client list.",
    Reason.RECIPIENT_UNAVAILABLE: (
        "Nothing at first: the operator retries. If it persists, correct the address, or name another contact."
    ),
    Reason.MAIL_NOT_CONFIGURED: (
        "Ask the administrator of the operator to set `CLIENTCERT_SMTP_HOST` and `CLIENTCERT_SMTP_FROM`."
    ),
    Reason.MAIL_LOGIN_REJECTED: (
        "Follow the message: correct or set `CLIENTCERT_SMTP_USERNAME` and `CLIENTCERT_SMTP_PASSWORD`; or the"
        " port and the kind of TLS. Microsoft 365 and Google (docs/contacts.md) need more."
    ),
    Reason.TEST_RECIPIENT_MISSING: "Add `email.replyTo` to the channel, or give `--to`.",
    Reason.TEST_INTERRUPTED: "Look into the channel whether it has come, and ask for a new test.",
    Reason.NOT_A_REQUEST: "Have the consumer send the CSR or the public key again; the message says what the file is.",
    Reason.PRIVATE_KEY_SENT: (
        "That key is burnt: have the consumer make another one, and send only the CSR or the public key."
    ),
    Reason.UNSUPPORTED_KEY: "Have the consumer make an RSA key with 3072 bits, or one on P-256.",
    Reason.SERIAL_SHARED: "Delete the one that is wrong, or correct its source.",
    Reason.NOT_CURRENT: "If the certificate was renewed already, nothing. Otherwise ask again with `clientcert renew`.",
    Reason.REVOKED: "Have the consumer make a new key, vet them (`clientcert vet`), and ask with `--reissue`.",
    Reason.HOST_CERTIFICATE: "Request a new one where servers' certificates are issued.",
    Reason.NOT_ISSUED_BY_US: (
        "Add the former CA's certificate to `spec.renewal.trust` of the policy, in a labelled Secret."
    ),
    Reason.TOO_EARLY: "Ask again from the date in the message on; or set `opensDaysAfterIssue`.",
    Reason.PROOF_REQUIRED: (
        "Have the consumer sign the request (docs/for-consumers.md) with the current key, and give the file with"
        " `--proof`."
    ),
    Reason.PROOF_INVALID: "Have the consumer sign the same file that they send, on a computer whose clock is right.",
    Reason.REQUESTER_NOT_ALLOWED: "Add a proof, or have `spec.renewal.requesters` changed.",
    Reason.SUBJECT_CHANGED: (
        "Have the CSR made with the same subject; for a new name, ask with `--reissue` after a vetting."
    ),
    Reason.EMAILS_CHANGED: "Correct the contact, or reissue the certificate after a vetting.",
    Reason.KEY_NOT_ALLOWED: "Have the consumer make a new key; the message says which.",
    Reason.VETTING_REQUIRED: "Verify the consumer's identity, record it with `clientcert vet NAME`, and ask again.",
    Reason.WOULD_NOT_REPLACE: "Correct `spec.identity`, or replace the CA that ends soon.",
    Reason.REQUEST_NOT_FOUND: "Ask with `--csr` or `--public-key`.",
    Reason.CONTACT_CHANGED: "Ask again; an issued certificate can be fetched with `clientcert retrieve`.",
    Reason.KEY_CHANGED: "Ask again.",
    Reason.SPEC_CHANGED: "Look at the change, and ask again.",
    Reason.CERTIFICATE_GONE: "Ask again, if it is still needed.",
    Reason.RENEWAL_NOT_CONFIGURED: "Add it; only `issuer` is needed.",
    Reason.ADMISSION_POLICY_MISSING: (
        "Apply them: `admissionPolicies.create` of the chart, or `deploy/kustomize/base/admission.yaml`. Their"
        " bindings must deny in this namespace."
    ),
    Reason.ISSUER_NOT_FOUND: "Create or install it, or correct `spec.renewal.issuer` of the policy.",
    Reason.ISSUER_NOT_ALLOWED: (
        "Add the label; or ask the administrator of the operator to add `namespace=name` to"
        " `CLIENTCERT_CLUSTER_ISSUERS`."
    ),
    Reason.ISSUER_INVALID: "Put the CA's own certificate and key there; the message says what is wrong.",
    Reason.ISSUER_EXPIRED: (
        "Renew the CA, put it into the Secret that the policy names, and keep this one's certificate under"
        " `trust`. Requests wait, and go on by themselves."
    ),
    Reason.ISSUER_NOT_YET_VALID: (
        "Wait until the date in the message, or put the CA that is valid now into the Secret. Requests wait, and"
        " go on by themselves."
    ),
    Reason.ISSUER_UNAVAILABLE: (
        "Nothing: it is asked again. If it lasts, look at the API server or at cert-manager's webhook."
    ),
    Reason.ISSUANCE_CHANGED: (
        "Nothing: it is planned anew. If a CertificateRequest of this name asks for something else, delete it."
    ),
    Reason.ISSUANCE_REFUSED: (
        "Ask the consumer for another CSR; or see `kubectl describe certificaterequest`, correct the issuer or its"
        " approver, and ask anew (`clientcert renew`): a failed or denied CertificateRequest is never retried."
    ),
    Reason.CERTIFICATE_REFUSED: (
        "Correct the issuer, and ask anew (`clientcert renew`); `caRef` must name the certificate of the CA that signs."
    ),
    Reason.EXTRA_NOT_ALLOWED: "Add the label if its value may be sent to consumers.",
    Reason.CIPHERTEXT_TOO_LARGE: "Remove large values from `delivery.extras`.",
    Reason.SOURCE_CHANGED: "Put the new certificate there by hand, if it belongs there.",
    Reason.SOURCE_HAS_PRIVATE_KEY: (
        "Put the new certificate there by hand, together with its key; better, remove the key."
    ),
    Reason.WRITE_NOT_ALLOWED: (
        "Bind the role that the message names, or grant the action; or do what else it says. A certificate may be"
        " put there by hand."
    ),
    Reason.IGNORED: "Nothing, or remove the entry of `spec.discovery.ignore`.",
    Reason.KEY_UNUSABLE: "Give the object another name.",
    Reason.NAME_TAKEN: "Delete or rename one of the others, or declare a ClientCertificate for it yourself.",
    Reason.LIMIT_REACHED: "Increase `spec.discovery.limit`, or have the prefix and `keyPattern` match fewer keys.",
    Reason.TOO_MANY_KEYS: "Have the prefix and `keyPattern` match fewer keys, or remove what is no certificate.",
    Reason.CONFLICT: "Nothing: the operator reads and writes it again.",
    Reason.NOT_FOUND: "Nothing.",
    Reason.FORBIDDEN: (
        "Restore the rights (`helm upgrade`, or `kubectl apply -k`); bind the optional role that the message names."
    ),
    Reason.UNPROCESSABLE: "Check that CRDs and operator have the same version; if they have, please report it.",
    Reason.API_UNAVAILABLE: "Nothing: the operator retries.",
    Reason.SPEC_INVALID: (
        "Correct the field that the message names. If the schema accepted it, check that the CRDs have the same"
        " version as the operator."
    ),
    Reason.SETTINGS_INVALID: "Correct the variable that the log names.",
    Reason.OBSERVE_ONLY: "Nothing during a trial. Afterwards, unset `CLIENTCERT_OBSERVE_ONLY`.",
    Reason.INTERNAL_ERROR: "See the log, and please report it.",
}
"""Of all reasons of the closed list."""

OF_CONTACTS: dict[str, str] = {
    "NoContact": "Add `spec.contact.technical`, or a client list. `requester` is used for host certificates only.",
    "NotInDirectory": (
        "`clientcert contact set NAME --technical …`; or correct the key that the message names, with `kubectl"
        " edit configmap`."
    ),
    "DirectoryNotFound": (
        "Create it, correct `directoryRef`, or apply the operator's roles again: they have `get` on ConfigMaps."
    ),
    "SlackUserNotFound": "Set `spec.contact.slack.memberID`, or an address.",
    "SlackUserAmbiguous": "Set `spec.contact.slack.memberID`, or an address.",
    "SlackNotAllowed": "What each means (docs/slack.md).",
    "SlackLookupRefused": "What each means (docs/slack.md).",
    "RecipientRefused": "Correct the address of the role that the message names.",
    "RecipientNotAllowed": "Have the domain added to `CLIENTCERT_MAIL_DOMAINS`; correct the address.",
    "ContactInvalid": "Have the domain added to `CLIENTCERT_MAIL_DOMAINS`; correct the address.",
    "ChannelNotFound": "Correct `spec.contact.slack`, or follow Slack's error code (docs/slack.md).",
}
"""Of the condition ContactResolved."""

OTHERS: dict[str, str] = {
    "CAEndsSoon": "Make another CA, put it into the Secret that the policy names, and keep this one's under `trust`.",
    "PrivateKeysFound": "Remove these objects, and consider having those certificates issued again.",
    "OtherCertificate": "Correct spec.acknowledgement.serialNumber, or remove spec.acknowledgement.",
}
"""Of reasons that are no failures."""

_LOOK = "Follow the message; docs/runbook.md has all reasons."


def advice(condition: str, reason: str) -> str:
    """The advice for a condition that is False for this reason."""
    tables = (OF_CONTACTS, ADVICE, OTHERS) if condition == CONTACT_RESOLVED else (ADVICE, OTHERS)
    return next((table[reason] for table in tables if reason in table), _LOOK)
