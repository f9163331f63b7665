"""The places in which `clientcert import` finds certificates."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from clientcert.api.discovery import Found, read_found
from clientcert.api.manifests import Manifest
from clientcert.errors import CertificateError, ClientCertError, Reason, SourceError
from clientcert.lifecycle.spec import ObjectKey, SourceRef

_NEVER_ONE = frozenset({Reason.PRIVATE_KEY_ONLY, Reason.NO_LEAF_CERTIFICATE})
_NO_CERTIFICATE = frozenset({Reason.NOT_A_CERTIFICATE, Reason.EMPTY})
_ENDINGS = (".crt", ".cer", ".cert", ".der", ".jks", ".p12", ".p7b", ".p7c", ".pem", ".pfx")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place: an object of a bucket, a key of a Secret, or a file."""

    namespace: str
    """That of its ClientCertificate."""
    place: str
    """As it is shown."""
    origin: str
    """The place in the namespace, for the manifest that an earlier import has written about it."""
    folder: str = ""
    """The consumer's name by the place; empty if the certificate has to name it."""
    source: SourceRef | None = None
    """None for a file, of which a Secret is made."""
    found: Found | None = None
    problem: ClientCertError | None = None
    """Why it cannot be read."""
    left_out: str = ""
    """Why no manifest is written, although it can be read or need not be."""

    def read(
        self, content: Callable[[], bytes], now: datetime, *, otherwise: str = "", password: str | None = None
    ) -> "Candidate":
        """The same with the certificate in its content, or with the problem."""
        try:
            found = read_found(content(), self.folder, otherwise=otherwise, password=password, now=now)
        except (CertificateError, SourceError) as error:
            return replace(self, problem=error)
        return replace(self, found=found)


@dataclass(frozen=True, slots=True)
class Store:
    """A CertificateStore that is written, too."""

    key: ObjectKey
    manifest: Manifest

    @property
    def origin(self) -> str:
        """As that of a candidate."""
        return f"store {self.key.name}"


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was found."""

    candidates: list[Candidate]
    remarks: list[str] = field(default_factory=list)
    """Sentences about the whole."""
    store: Store | None = None
    taken_secrets: frozenset[str] = frozenset()
    """Names that no new Secret may have."""


def is_something_else(candidate: Candidate, name: str) -> bool:
    """True if it holds no certificate of a client, and need not by the name of the file, or of the Secret's key."""
    if candidate.found is not None:
        return candidate.found.is_authority
    reason = candidate.problem.reason if candidate.problem else None
    return reason in _NEVER_ONE or (reason in _NO_CERTIFICATE and not name.lower().endswith(_ENDINGS))


def without_copies(candidates: list[Candidate]) -> list[Candidate]:
    """The candidates of one folder or Secret; of those with the same certificate all but the first are left out."""
    first: dict[str, str] = {}
    result = []
    for each in candidates:
        if each.found is not None and not each.left_out:
            fingerprint = each.found.certificate.fingerprint_sha256
            known = first.setdefault(fingerprint, each.place)
            if known != each.place:
                result.append(replace(each, left_out=f"it is the same certificate as in {known}"))
                continue
        result.append(each)
    return result
