"""The installation: whether a replica leads, and whether the kinds are of the operator's version. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from clientcert.api.kinds import GROUP, moment, timestamp
from clientcert.cli.check.finding import Check, CheckReason, Finding, Subject
from clientcert.cli.cluster import Object
from clientcert.cli.table import printable
from clientcert.cli.version import differences_of_kinds, whose_version
from clientcert.versions import VERSION_KEY, Skew

_LEASE_SECONDS = 30
_CLOCKS = timedelta(minutes=1)
"""The clock of the caller and that of the leader may differ by as much."""
_REASONS = {
    None: CheckReason.KINDS_MISSING,
    Skew.OLDER: CheckReason.KINDS_OLDER,
    Skew.NEWER: CheckReason.KINDS_NEWER,
}


@dataclass(frozen=True, slots=True)
class Installation:
    """The parts that are installed in the cluster."""

    namespace: str
    """Of the operator."""
    name: str
    """Of its Lease and its Deployment."""
    kinds: dict[str, str]
    """The versions of the kinds that are installed, by their plurals."""
    lease: Object | None = None
    """None: there is none, or it may not be read."""

    @property
    def operator_version(self) -> str:
        """Empty if it is not known."""
        metadata = (self.lease or {}).get("metadata") or {}
        return str((metadata.get("annotations") or {}).get(VERSION_KEY, ""))


def check_versions(found: Installation, own: str) -> Iterator[Finding]:
    """A finding for each difference; `own` is compared if the version of the operator is not known."""
    operator = found.operator_version or own
    for skew, words in differences_of_kinds(found.kinds, operator).items():
        fields = {"operator": printable(operator), "whose": whose_version(found.operator_version)}
        message, action = (each.format(**fields) for each in words)
        subject = Subject("CustomResourceDefinition", f"*.{GROUP}")
        yield Finding(Check.VERSIONS, subject, _REASONS[skew], message, action)


def check_leader(found: Installation, now: datetime) -> Iterator[Finding]:
    """A finding if no replica leads: then nothing is read, alerted or renewed."""
    if leads(found.lease, now):
        return
    spec = (found.lease or {}).get("spec") or {}
    words = "no replica of the operator leads now"
    if found.lease is None:
        words = f"there is no Lease {found.name} in namespace {found.namespace}: no replica has ever led"
    elif renewed := _time(spec.get("renewTime")):
        words = f"no replica of the operator leads: the Lease was renewed last at {timestamp(renewed)}"
    action = (
        f"See whether it runs: kubectl get pods -n {found.namespace}. If it is installed elsewhere, give"
        " --operator-namespace and --lease; right after an installation, --wait 2m."
    )
    yield Finding(Check.LEADER, Subject("Lease", found.name, found.namespace), CheckReason.NO_LEADER, words, action)


def leads(lease: Object | None, now: datetime) -> bool:
    """True if the holder of the Lease has renewed it lately."""
    spec = (lease or {}).get("spec") or {}
    renewed = _time(spec.get("renewTime"))
    if not spec.get("holderIdentity"):
        return False
    lasts = timedelta(seconds=float(spec.get("leaseDurationSeconds") or _LEASE_SECONDS))
    return renewed is None or now - renewed < lasts + _CLOCKS


def _time(text: object) -> datetime | None:
    try:
        return moment(str(text)) if text else None
    except (ValueError, OverflowError):
        return None
