"""The places in which `clientcert import` finds certificates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from clientcert.api.discovery import Found, read_found
from clientcert.cli.import_stores import NewStore
from clientcert.errors import CertificateError, ClientCertError, Reason, SourceError
from clientcert.lifecycle.spec import Bucket, ObjectKey, SourceRef

_NEVER_ONE = frozenset({Reason.PRIVATE_KEY_ONLY, Reason.NO_LEAF_CERTIFICATE})
_NO_CERTIFICATE = frozenset({Reason.NOT_A_CERTIFICATE, Reason.EMPTY})
_ENDINGS = (".crt", ".cer", ".cert", ".der", ".jks", ".p12", ".p7b", ".p7c", ".pem", ".pfx")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place: an object of a bucket, a key of a Secret, or a file."""

    namespace: str
    """The namespace of its ClientCertificate."""
    place: str
    """As it is shown."""
    origin: str
    """The place in the namespace, for the manifest that an earlier import has written about it."""
    folder: str = ""
    """The consumer's name by the place; empty if the certificate has to name it."""
    group: str = ""
    """Places of one group that hold the same certificate are copies, of which one is imported; empty: it has none."""
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
            return replace(self, problem=self._advised(error))
        return replace(self, found=found)

    def _advised(self, error: ClientCertError) -> ClientCertError:
        if self.source is None or error.reason is not Reason.PASSWORD_REQUIRED:
            return error
        return SourceError(
            error.reason, "the container is encrypted: write its manifest yourself, with passwordSecretRef"
        )

    def unless_something_else(self, name: str) -> "Candidate":
        """The same; left out if it holds no certificate of a client.

        Content that is no certificate is a problem only if the file, or the Secret's key, is called as one.
        """
        if self.found is not None:
            words = "it is the certificate of a CA; if a client uses it, write its manifest yourself"
            return replace(self, left_out=words) if self.found.is_authority else self
        reason = self.problem.reason if self.problem else None
        if reason in _NEVER_ONE or (reason in _NO_CERTIFICATE and not is_usual_name(name)):
            return replace(self, left_out=self.problem.message if self.problem else "")
        return self


def is_usual_name(name: str) -> bool:
    """True if the name of a file, or of a Secret's key, is that of a certificate."""
    return name.lower().endswith(_ENDINGS)


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was found."""

    candidates: list[Candidate]
    remarks: list[str] = field(default_factory=list)
    """Sentences about the whole."""
    stores: Mapping[ObjectKey, Bucket] = field(default_factory=dict)
    """The CertificateStores that are known."""
    new_store: NewStore | None = None
    taken_secrets: frozenset[str] = frozenset()
    """Names that no new Secret may have."""
