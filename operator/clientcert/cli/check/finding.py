"""The results of the checks: findings, and checks that could not be made."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from clientcert.errors import Reason

_SHOWN = 3


class Check(StrEnum):
    """The checks, in the order in which a reader corrects what they find."""

    VERSIONS = "versions"
    LEADER = "leader"
    RIGHTS = "rights"
    MANIFESTS = "manifests"
    REFERENCES = "references"
    SECRETS = "secrets"
    DUPLICATES = "duplicates"
    CONDITIONS = "conditions"


OF_OBJECTS = frozenset(Check) - {Check.VERSIONS, Check.LEADER}
"""The checks that look at objects of ours."""


class Severity(StrEnum):
    """The weight of a finding."""

    ERROR = "Error"
    """It does not work."""
    WARNING = "Warning"
    """It works, but not in the way that was declared; or it has stopped, and may work again soon."""
    NOTICE = "Notice"
    """It passes by itself; the exit code is that of no finding."""


class CheckReason(StrEnum):
    """Reasons that no condition has. All others are those of the conditions."""

    MANIFEST_UNREADABLE = "ManifestUnreadable"
    KIND_UNKNOWN = "KindUnknown"
    DECLARED_TWICE = "DeclaredTwice"
    REFUSED = "Refused"
    NAMESPACE_NOT_FOUND = "NamespaceNotFound"
    KINDS_MISSING = "KindsMissing"
    KINDS_OLDER = "KindsOlder"
    KINDS_NEWER = "KindsNewer"
    NO_LEADER = "NoLeader"


@dataclass(frozen=True, slots=True)
class Subject:
    """The object of a finding."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    """Empty for what belongs to no namespace."""
    file: str = ""
    """The file of the folder that declares it; empty without a folder."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, in words without a secret, a name of a person or an address."""

    check: Check
    subject: Subject
    reason: Reason | CheckReason | str
    """Of the closed lists, or another reason of a condition."""
    message: str
    """The fault."""
    action: str
    """The next step."""
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Right:
    """A right of somebody, as RBAC grants it."""

    verb: str
    group: str
    resource: str
    """With the subresource, such as clientcertificates/status."""
    namespace: str = ""
    """Empty: in all namespaces."""
    name: str = ""
    """Of the only object that it is about; empty: all."""

    @property
    def words(self) -> str:
        """For messages, such as "get secrets in namespace integration"."""
        resource, _, subresource = self.resource.partition("/")
        named = f"{resource}.{self.group}" if self.group else resource
        where = f"in namespace {self.namespace}" if self.namespace else "in all namespaces"
        return f"{self.verb} {named}{'/' * bool(subresource)}{subresource} {where}"


@dataclass(frozen=True, slots=True)
class NotMade:
    """A check, or a part of one, that could not be made: it says nothing about what it would have found."""

    check: Check
    what: str
    """The objects that were not checked."""
    why: str
    """The reason, and what to do."""
    right: Right | None = None
    """The right that the caller lacks, if that is the reason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a call of the verb has found."""

    findings: tuple[Finding, ...] = ()
    not_made: tuple[NotMade, ...] = ()

    @property
    def faults(self) -> list[Finding]:
        """The findings that somebody has to correct."""
        return [each for each in self.findings if each.severity is not Severity.NOTICE]


def some(names: Iterable[str]) -> str:
    """The first of these names, and the number of the others."""
    known = list(dict.fromkeys(names))
    return ", ".join(known[:_SHOWN]) + (f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else "")


def together(not_made: Iterable[NotMade]) -> list[NotMade]:
    """One for each reason."""
    same: dict[tuple[Check, str, Right | None], list[str]] = {}
    for each in not_made:
        same.setdefault((each.check, each.why, each.right), []).append(each.what)
    return [NotMade(check, some(what), why, right) for (check, why, right), what in same.items()]


def without_repetitions(findings: Iterable[Finding]) -> list[Finding]:
    """In the order in which they are shown; of a condition only what no other check has found of the same object."""
    found = list(dict.fromkeys(findings))
    seen = {_place(each) for each in found if each.check is not Check.CONDITIONS}
    kept = [each for each in found if each.check is not Check.CONDITIONS or _place(each) not in seen]
    checks, severities = list(Check), list(Severity)
    return sorted(
        kept,
        key=lambda each: (
            severities.index(each.severity),
            checks.index(each.check),
            each.subject.namespace,
            each.subject.file,
        ),
    )


def _place(finding: Finding) -> tuple[str, ...]:
    """The object, the reason, and of a policy the channel, with which a message begins."""
    about = finding.subject
    part = finding.message.removeprefix(f"{about.kind} {about.name}: ").partition(":")[0]
    channel = part if part.startswith("channel ") else ""
    return about.kind, about.namespace, about.name, str(finding.reason), channel
