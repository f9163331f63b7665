"""ClientCertificates as the API server returns them, for reports: four of different kinds, or a whole fleet."""

from datetime import UTC, datetime, timedelta
from typing import Any

from clientcert.api.kinds import timestamp
from clientcert.cli.report_model import Report, entry_of, report_of

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ADDRESS = "jo.canary@nhs.example"
_OWNERS = ("integration-team", "courts", "payments", "")
_ENVIRONMENTS = ("prod", "prod", "prod", "preprod", "preprod", "test", "dev", "dev")
_CHANNEL = "channel team: there is no Slack channel #integration-api-alerts: create it, or correct the policy"


def condition(name: str, status: str, reason: str, message: str = "words") -> dict[str, str]:
    return {"type": name, "status": status, "reason": reason, "message": message}


def certificate(
    name: str, ends: datetime | None, *conditions: dict[str, str], phase: str = "", **spec: Any
) -> dict[str, Any]:
    """One of which all is well, but for these conditions; without `ends` none was read."""
    usual = {
        "consumer": name.rpartition("-")[0] or name,
        "environment": name.rpartition("-")[2],
        "contact": {"technical": {"name": "Jo Bloggs", "email": ADDRESS}},
        "source": {"type": "Secret", "secret": {"name": f"{name}-cert", "key": "tls.crt"}},
    }
    found: dict[str, Any] = {"metadata": {"name": name, "namespace": "integration"}, "spec": usual | spec}
    if not phase:
        return found
    good = [condition("Ready", "True", phase), condition("AlertsDelivered", "True", "Delivered")]
    every = {each["type"]: each for each in (*good, *conditions)}
    found["status"] = {"phase": phase, "conditions": [*every.values()]}
    if ends is not None:
        found["status"] |= {
            "daysRemaining": (ends - NOW).days,
            "expires": {"time": timestamp(ends)},
            "certificate": {"serialNumber": "1a2b3", "issuerDN": "CN=Integration CA,O=Example"},
        }
    return found


def four() -> list[dict[str, Any]]:
    """One about to expire of which a channel could not be told, one silenced, one valid, one never read."""
    expiring = condition("Expiring", "True", "ExpiringSoon")
    untold = [condition(name, "False", "ChannelNotFound", _CHANNEL) for name in ("Ready", "AlertsDelivered")]
    expired = condition("Ready", "False", "Expired", "the certificate has expired: put a renewed one into the source")
    silence = {"until": "2026-12-24T00:00:00Z", "reason": "being decommissioned"}
    old = certificate("court-lists-preprod", NOW - timedelta(days=3), expired, expiring, phase="Expired")
    old["spec"] |= {"silence": silence, "owner": "courts"}
    old["metadata"]["managedFields"] = [
        {"manager": "kubectl-client-side-apply", "fieldsV1": {"f:spec": {"f:consumer": {}}}},
        {"manager": "clientcert", "fieldsV1": {"f:spec": {"f:silence": {"f:until": {}, "f:reason": {}}}}},
    ]
    return [
        certificate("nhs-prod", NOW + timedelta(days=3), *untold, expiring, phase="ExpiringSoon", owner="integration"),
        old,
        certificate("weather-prod", NOW + timedelta(days=300), phase="Valid", contact={"lookup": ["Directory"]}),
        certificate("tribunals-test", None),
    ]


def fleet(count: int) -> list[dict[str, Any]]:
    """So many certificates of the last month and of the next two years; of one in twenty something is wrong."""
    found = []
    for number in range(count):
        ends = NOW + timedelta(hours=(number * 7919) % (24 * 760) - 24 * 5)
        environment = _ENVIRONMENTS[number % len(_ENVIRONMENTS)]
        name, left = f"consumer-{number:05}-{environment}", ends - NOW
        soon = timedelta() <= left < timedelta(days=30)
        phase = "Expired" if left < timedelta() else "ExpiringSoon" if soon else "Valid"
        wrong = []
        if number % 40 == 0:
            wrong += [condition(each, "False", "ChannelNotFound", _CHANNEL) for each in ("Ready", "AlertsDelivered")]
        if number % 50 == 7:
            words = "key tls.crt of the Secret holds no certificate: put one there"
            wrong += [condition(each, "False", "NotACertificate", words) for each in ("Ready", "SourceReadable")]
        if phase == "Expired":
            wrong.append(condition("Ready", "False", "Expired", "the certificate has expired: put a renewed one there"))
        if phase != "Valid":
            wrong.append(condition("Expiring", "True", phase))
        elif number % 50 == 7:
            phase = "Unreadable"
        owner = _OWNERS[number % len(_OWNERS)]
        spec: dict[str, Any] = {"owner": owner} if owner else {}
        if number % 100 == 3:
            spec["silence"] = {"until": timestamp(NOW + timedelta(days=number % 90 + 1)), "reason": "being replaced"}
        found.append(certificate(name, ends, *wrong, phase=phase, **spec))
        found[-1]["metadata"]["namespace"] = f"team-{number % 9}"
    return found


def reported(objects: list[dict[str, Any]], *, contacts: bool = False) -> Report:
    """The report of these objects, of which none has an open request."""
    return report_of((entry_of(each, None, NOW, contacts=contacts) for each in objects), NOW)
