"""Discovery in a CertificateStore: from its spec to our own values, and from them to an object and to the status."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clientcert.api.client_certificate import spec_errors
from clientcert.api.discovery import Found, KeyPattern, consumer_of
from clientcert.api.kinds import moment
from clientcert.api.manifests import Manifest, client_certificate
from clientcert.lifecycle.spec import CertificateSpec, Contact, ObjectKey, S3Source
from clientcert.pki.identity import Identity

DISCOVERED_BY = "clientcert.dev/discovered-by"
"""The annotation of each object that discovery makes, with the name of the CertificateStore."""
DISCOVERED = "clientcert.dev/discovered"
"""Its label, for selectors."""
_DEFAULT_LIMIT = 1000
_DEFAULT_PATTERN = "{consumer}/client.pem"
_DEFAULT_LOOKUP = ("Directory", "Slack")


@dataclass(frozen=True, slots=True)
class Discovery:
    """The field spec.discovery of a CertificateStore."""

    environment: str
    pattern: KeyPattern
    creates: bool = False
    """False: mode Report, the dry run."""
    limit: int = _DEFAULT_LIMIT
    ignored: tuple[tuple[str, datetime], ...] = ()
    """Folders or consumers, each with the end."""
    policy: str = ""
    lookup: tuple[str, ...] = _DEFAULT_LOOKUP
    prunes: bool = False

    def ignores(self, folder: str, now: datetime) -> bool:
        """True while this folder, or its consumer, is ignored by its exact name."""
        if not self.ignored:
            return False
        names = (folder, consumer_of(folder))
        return any(consumer in names and now < until for consumer, until in self.ignored)

    def manifest(self, key: ObjectKey, source: S3Source, found: Found) -> Manifest:
        """The ClientCertificate, which `clientcert import` would write in the same way."""
        spec = CertificateSpec(
            consumer=found.consumer,
            environment=self.environment,
            source=source,
            contact=Contact(lookup=self.lookup),
            identity=Identity.declared(found.consumer, dict(found.identity)),
            policy=self.policy,
        )
        made = client_certificate(key, spec)
        made["metadata"] |= {"labels": {DISCOVERED: "true"}, "annotations": {DISCOVERED_BY: source.store}}
        return made


@dataclass(frozen=True, slots=True)
class Skipped:
    """Keys that match, and for which no ClientCertificate is made."""

    reason: str
    count: int
    sample: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of discovery, as the status says it; empty without spec.discovery."""

    would_create: int | None = None
    sample: tuple[tuple[str, str], ...] = ()
    """Names and keys."""
    skipped: tuple[Skipped, ...] = ()


NOTHING = Outcome()


def parse_discovery(spec: Mapping[str, Any]) -> Discovery | None:
    """Parse spec.discovery of a CertificateStore; None if there is none. Raises ClientCertError with SpecInvalid."""
    with spec_errors():
        content = spec.get("discovery")
        if content is None:
            return None
        template = content.get("template") or {}
        return Discovery(
            environment=content["environment"],
            pattern=KeyPattern.parse(content.get("keyPattern", _DEFAULT_PATTERN)),
            creates=content.get("mode") == "Create",
            limit=int(content.get("limit", _DEFAULT_LIMIT)),
            ignored=tuple((each["consumer"], _end(each["until"])) for each in content.get("ignore") or ()),
            policy=(template.get("policyRef") or {}).get("name", ""),
            lookup=tuple((template.get("contact") or {}).get("lookup") or _DEFAULT_LOOKUP),
            prunes=bool(content.get("prune", False)),
        )


def parse_outcome(status: Mapping[str, Any]) -> Outcome:
    """Read it back from a status; one that cannot be read counts as none, and is written again."""
    try:
        would_create = status.get("wouldCreate") or {}
        return Outcome(
            would_create.get("count"),
            tuple((each["name"], each["key"]) for each in would_create.get("sample") or ()),
            tuple(
                Skipped(each["reason"], each["count"], tuple(each.get("sample") or ()))
                for each in status.get("skipped") or ()
            ),
        )
    except (KeyError, TypeError, AttributeError):
        return NOTHING


def render_outcome(outcome: Outcome) -> dict[str, Any]:
    """Render it for the status; absent values are null."""
    if outcome.would_create is None:
        return {"wouldCreate": None, "skipped": None}
    sample = [{"name": name, "key": key} for name, key in outcome.sample]
    return {
        "wouldCreate": {"count": outcome.would_create, "sample": sample or None},
        "skipped": _rendered(outcome.skipped) or None,
    }


def _rendered(skipped: Iterable[Skipped]) -> list[dict[str, Any]]:
    return [{"reason": each.reason, "count": each.count, "sample": list(each.sample) or None} for each in skipped]


def _end(text: str) -> datetime:
    found = moment(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time")
    return found
