"""The certificate that was chosen among those of a source."""

from dataclasses import dataclass
from datetime import datetime

from clientcert.pki.certificate import Expiry
from clientcert.pki.lenient import Outline


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen certificate, and what depends on the others."""

    leaf: Outline
    mismatch: str = ""
    """Why it does not match the declared identity; empty if it does."""
    ends_first: Expiry | None = None
    """Another certificate whose date counts, because it ends before the leaf."""
    warnings: tuple[str, ...] = ()
    until: datetime | None = None
    """From this moment the choice may be another; None if it depends on no date."""
