"""One entry for each rule between fields: accepted and refused changes, with the error message.

A change is the name of a document in manifests.yaml and its edits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.deploy.schema import REMOVED

Change = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Rule:
    field: str
    message: str
    accepted: list[Change]
    refused: list[tuple[str, Mapping[str, Any], str]]
    """With a part of the error message."""
    on_update: bool = False
    """True if the unchanged document exists and is changed to this."""


SECRET = {"name": "nhs-client-cert", "key": "tls.crt"}
S3 = {"storeRef": {"name": "backup-prod"}, "key": "nhs/client.pem"}
SOURCES = {"from-secret": {"type": "Secret", "secret": SECRET}, "from-s3": {"type": "S3", "s3": S3}}
TOKEN = {"name": "slack", "key": "token"}
CHANNEL = "spec.alerts.channels.0"

CANNOT_CHANGE = "cannot be changed: create another ClientCertificate and delete this one"
ONE_OF_DAYS = "set exactly one of everyDays and onDays"
ONE_OF_SLACK = "set exactly one of channel and webhookURLSecretRef"

CLIENT_CERTIFICATE = [
    *(
        Rule(
            f"ClientCertificate.spec.{name}",
            f"{name} {CANNOT_CHANGE}",
            accepted=[("from-secret", {}), ("from-secret", {"spec.owner": "another-team"})],
            refused=[("from-secret", {f"spec.{name}": "another"}, f"{name} {CANNOT_CHANGE}")],
            on_update=True,
        )
        for name in ("consumer", "environment")
    ),
    Rule(
        "ClientCertificate.spec.contact",
        message := "name a contact: set at least one of technical, business, requester, slack or lookup",
        accepted=[
            ("from-secret", {"spec.contact": {"technical": {"email": "jo@nhs.example"}}}),
            ("from-secret", {"spec.contact": {"business": {"email": "sam@nhs.example"}}}),
            ("from-secret", {"spec.contact": {"requester": {"email": "ops@nhs.example"}}}),
            ("from-secret", {"spec.contact": {"slack": {"memberID": "U012AB3CD"}}}),
            ("from-secret", {"spec.contact": {"lookup": ["Slack"]}}),
        ],
        refused=[("from-secret", {"spec.contact": {}}, message)],
    ),
    Rule(
        "ClientCertificate.spec.contact.slack",
        message := "set exactly one of email and memberID",
        accepted=[("from-secret", {"spec.contact.slack": {"memberID": "U012AB3CD"}})],
        refused=[
            ("from-secret", {"spec.contact.slack": {}}, message),
            ("from-secret", {"spec.contact.slack.memberID": "U012AB3CD"}, message),
        ],
    ),
    *(
        Rule(
            "ClientCertificate.spec.source",
            f"set spec.source.{field} when type is {kind}, and only then",
            accepted=[(manifest, {}), (manifest, {"spec.source": SOURCES[other]})],
            refused=[
                (manifest, {f"spec.source.{field}": REMOVED}, f"set spec.source.{field} when type is {kind}"),
                (other, {f"spec.source.{field}": content}, f"remove spec.source.{field}, or set type to {kind}"),
            ],
        )
        for manifest, other, kind, field, content in (
            ("from-secret", "from-s3", "Secret", "secret", SECRET),
            ("from-s3", "from-secret", "S3", "s3", S3),
        )
    ),
]

SCHEDULE = [
    Rule(
        "CertificatePolicy.spec.alerts",
        message := "repeat.onDays names a day before the alerts start: raise startDaysBefore, or remove that day",
        accepted=[
            ("on-days", {"spec.alerts.startDaysBefore": 30}),
            ("on-days", {"spec.alerts.startDaysBefore": REMOVED}),
        ],
        refused=[
            ("on-days", {"spec.alerts.startDaysBefore": 29}, message),
            ("on-days", {"spec.alerts.startDaysBefore": REMOVED, "spec.alerts.repeat.onDays": [31, 0]}, message),
        ],
    ),
    Rule(
        "CertificatePolicy.spec.alerts",
        message := "a channel's repeat.onDays names a day before its alerts start: "
        "raise the channel's startDaysBefore, or remove that day",
        accepted=[
            ("on-days", {f"{CHANNEL}.startDaysBefore": 7}),
            # A repeat from the policy may have earlier days, on which this channel has no alert.
            ("on-days", {f"{CHANNEL}.startDaysBefore": 3, f"{CHANNEL}.repeat": REMOVED}),
            (
                "on-days",
                {"spec.alerts.startDaysBefore": 30, f"{CHANNEL}.repeat.onDays": [60], f"{CHANNEL}.startDaysBefore": 60},
            ),
        ],
        refused=[
            ("on-days", {f"{CHANNEL}.startDaysBefore": 6}, message),
            ("on-days", {"spec.alerts.startDaysBefore": 30, f"{CHANNEL}.repeat.onDays": [31]}, message),
        ],
    ),
    Rule(
        "CertificatePolicy.spec.alerts",
        message := "every day of the policy's repeat.onDays is before a channel's alerts start: "
        "raise the channel's startDaysBefore, or give the channel a repeat of its own",
        accepted=[
            ("on-days", {f"{CHANNEL}.startDaysBefore": 1, f"{CHANNEL}.repeat": REMOVED}),
            ("on-days", {f"{CHANNEL}.startDaysBefore": 7, "spec.alerts.repeat.onDays": [30, 14]}),
            ("every-day", {f"{CHANNEL}.startDaysBefore": 1, f"{CHANNEL}.repeat": REMOVED}),
        ],
        refused=[
            (
                "on-days",
                {
                    f"{CHANNEL}.startDaysBefore": 5,
                    f"{CHANNEL}.repeat": REMOVED,
                    "spec.alerts.repeat.onDays": [30, 14, 7],
                },
                message,
            ),
        ],
    ),
    *(
        Rule(
            f"CertificatePolicy.{field}",
            ONE_OF_DAYS,
            accepted=[("on-days", {path: {"everyDays": 7}}), ("on-days", {path: {"onDays": [7]}})],
            refused=[
                ("on-days", {path: {}}, ONE_OF_DAYS),
                ("on-days", {path: {"everyDays": 7, "onDays": [7]}}, ONE_OF_DAYS),
            ],
        )
        for field, path in (
            ("spec.alerts.repeat", "spec.alerts.repeat"),
            ("spec.alerts.channels[].repeat", f"{CHANNEL}.repeat"),
        )
    ),
]

OF_TYPE: dict[str, dict[str, Any]] = {
    "slack": {"channel": "#api-alerts"},
    "email": {"recipients": "Contact"},
    "webhook": {"urlSecretRef": {"name": "pager", "key": "url"}},
    "alertmanager": {"urlSecretRef": {"name": "pager", "key": "url"}},
    "apprise": {"urlSecretRef": {"name": "pager", "key": "url"}},
}

CHANNELS = [
    *(
        Rule(
            "CertificatePolicy.spec.alerts.channels[]",
            f"set {name} when the channel's type is {name.title()}, and only then",
            accepted=[("every-day", {CHANNEL: {"name": "team", "type": name.title(), name: content}})],
            refused=[
                (
                    "every-day",
                    {CHANNEL: {"name": "team", "type": name.title()}},
                    f"set {name} when the channel's type is {name.title()}",
                ),
                (
                    "every-day",
                    {CHANNEL: {"name": "team", "type": other.title(), other: OF_TYPE[other], name: content}},
                    f"remove {name}, or set the channel's type to {name.title()}",
                ),
            ],
        )
        for name, content in OF_TYPE.items()
        for other in ("email" if name == "slack" else "slack",)
    ),
    Rule(
        "CertificatePolicy.spec.alerts.channels[].name",
        message := "events is the operator's own channel for Kubernetes Events: choose another name",
        accepted=[("every-day", {f"{CHANNEL}.name": "events-2"})],
        refused=[("every-day", {f"{CHANNEL}.name": "events"}, message)],
    ),
    Rule(
        "CertificatePolicy.spec.alerts.channels[].slack",
        ONE_OF_SLACK,
        accepted=[
            ("every-day", {f"{CHANNEL}.slack": {"channel": "#api-alerts"}}),
            ("every-day", {f"{CHANNEL}.slack": {"webhookURLSecretRef": TOKEN}}),
        ],
        refused=[
            ("every-day", {f"{CHANNEL}.slack": {}}, ONE_OF_SLACK),
            ("every-day", {f"{CHANNEL}.slack": {"tokenSecretRef": TOKEN}}, ONE_OF_SLACK),
            ("every-day", {f"{CHANNEL}.slack": {"channel": "#a", "webhookURLSecretRef": TOKEN}}, ONE_OF_SLACK),
        ],
    ),
    Rule(
        "CertificatePolicy.spec.alerts.channels[].slack",
        message := "tokenSecretRef goes with channel: remove it, or remove webhookURLSecretRef",
        accepted=[("every-day", {f"{CHANNEL}.slack": {"channel": "#a", "tokenSecretRef": TOKEN}})],
        refused=[("every-day", {f"{CHANNEL}.slack": {"tokenSecretRef": TOKEN, "webhookURLSecretRef": TOKEN}}, message)],
    ),
]

STORE = [
    Rule(
        "CertificateStore.spec.s3",
        message := "set region, e.g. eu-west-2, or the endpoint of a store that is not AWS",
        accepted=[("backup", {"spec.s3.region": REMOVED}), ("backup", {"spec.s3.endpoint": REMOVED})],
        refused=[("backup", {"spec.s3.region": REMOVED, "spec.s3.endpoint": REMOVED}, message)],
    ),
    Rule(
        "CertificateStore.spec.s3",
        message
        := "addressing Virtual needs a bucket of at most 63 lower-case letters, digits and '-': set Auto or Path",
        accepted=[
            ("backup", {"spec.s3.addressing": "Virtual"}),
            ("backup", {"spec.s3.addressing": "Auto", "spec.s3.bucket": "My_Bucket"}),
            ("backup", {"spec.s3.addressing": "Path", "spec.s3.bucket": "my.bucket"}),
        ],
        refused=[
            ("backup", {"spec.s3.addressing": "Virtual", "spec.s3.bucket": name}, message)
            for name in ("My_Bucket", "my.bucket", "UPPER", "a_b", "x" * 64, "abc-")
        ],
    ),
    Rule(
        "CertificateStore.spec.s3",
        message := "addressing Virtual needs a host name in endpoint, and no IP address: set Auto or Path",
        accepted=[
            ("backup", {"spec.s3.addressing": "Virtual", "spec.s3.endpoint": REMOVED}),
            ("backup", {"spec.s3.addressing": "Virtual", "spec.s3.endpoint": "https://1and1.example/s3"}),
            ("backup", {"spec.s3.addressing": "Path", "spec.s3.endpoint": "http://10.0.0.7:9000"}),
        ],
        refused=[
            ("backup", {"spec.s3.addressing": "Virtual", "spec.s3.endpoint": endpoint}, message)
            for endpoint in ("http://10.0.0.7:9000", "https://10.0.0.7", "https://[fd00::1]:9000", "https://1.2.3.4/s3")
        ],
    ),
]

RULES = [*CLIENT_CERTIFICATE, *SCHEDULE, *CHANNELS, *STORE]
