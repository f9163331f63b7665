"""Reads the whole content of a source: recognises its format by structure, and reads each certificate on its own."""

from dataclasses import dataclass, field

from clientcert.errors import CertificateError, Reason
from clientcert.pki import advice
from clientcert.pki.bare_base64 import decode_bare
from clientcert.pki.container_subprocess import open_container
from clientcert.pki.der import MalformedError, read_element
from clientcert.pki.keys import public_key_info_of
from clientcert.pki.lenient import Outline, read_outline
from clientcert.pki.loose_pem import DAMAGED_MARK, read_loosely
from clientcert.pki.pem import Block, TooManyBlocksError, plain_text, read_blocks
from clientcert.pki.pkcs7 import certificates_in
from clientcert.pki.structure import CONTAINERS, Kind, kind_of
from clientcert.pki.text_damage import decoded, undo_damage

MAX_CERTIFICATES = 200
_MAX_PRIVATE_KEYS = 10
_MAX_BASE64_LAYERS = 4
_CERTIFICATE_LABELS = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "PKCS7", "PKCS #7 SIGNED DATA", "CMS")
_FORMATS = {
    Kind.CERTIFICATE: "DER",
    Kind.PKCS7: "PKCS#7",
    Kind.PKCS12: "PKCS#12",
    Kind.KEYSTORE: "JKS",
}
_IGNORABLE = b" \t\r\n\v\f\0"


@dataclass(slots=True)
class Bundle:
    """The content of one source, in its order."""

    container_format: str
    certificates: list[Outline] = field(default_factory=list)
    damaged: int = 0
    """The number of certificates that cannot be read."""
    kinds: list[Kind] = field(default_factory=list)
    """The kinds of content other than certificates."""
    warnings: list[str] = field(default_factory=list)
    _added: int = 0
    """Counts a repeated certificate each time, because it takes time to read, too."""
    _public_key_infos: set[bytes] = field(default_factory=set, repr=False)
    _fingerprints_with_key: set[str] = field(default_factory=set, repr=False)

    def add(self, outline: Outline | None, *, has_key: bool = False) -> None:
        """Add a certificate. None: its outline cannot be read, so it is counted as damaged."""
        self._added += 1
        if self._added > MAX_CERTIFICATES:
            raise _too_many()
        if outline is None:
            self.add_damaged()
            return
        if has_key:
            self._fingerprints_with_key.add(outline.fingerprint_sha256)
        if all(each.der != outline.der for each in self.certificates):
            self.certificates.append(outline)

    def add_damaged(self) -> None:
        """Count a certificate that cannot be read."""
        self.damaged += 1

    def add_other(self, kind: Kind) -> None:
        """Note content that is not a certificate; a container sets the format if it comes before all certificates."""
        if kind in _FORMATS and not self.certificates:
            self.container_format = _FORMATS[kind]
        self.kinds.append(kind)

    def add_private_key(self, der: bytes | None) -> None:
        """Note a private key (DER; None if it is encrypted). Only its public key is kept."""
        self.kinds.append(Kind.PRIVATE_KEY)
        if der is None or self.kinds.count(Kind.PRIVATE_KEY) > _MAX_PRIVATE_KEYS:
            return
        public_key_info = public_key_info_of(der)
        if public_key_info is not None:
            self._public_key_infos.add(public_key_info)

    def warn(self, *messages: str, first: bool = False) -> None:
        """Add warnings at the end, or with `first` before all others."""
        at = 0 if first else len(self.warnings)
        self.warnings[at:at] = messages

    @property
    def has_container(self) -> bool:
        """True if a container was opened."""
        return any(each in CONTAINERS for each in self.kinds)

    def has_key(self, certificate: Outline) -> bool:
        """True if the bundle also has the private key of this certificate."""
        return (
            certificate.public_key_info in self._public_key_infos
            or certificate.fingerprint_sha256 in self._fingerprints_with_key
        )


def read_bundle(data: bytes, password: str | None, base64_layers: int = 0) -> Bundle:
    """Read everything in `data`; the bundle has at least one certificate.

    `base64_layers` counts the base64 encodings that were already removed. Raises CertificateError.
    """
    kind = kind_of(data)
    if kind is not Kind.UNKNOWN:
        bundle = _from_binary(data, kind, password)
    else:
        warnings: list[str] = []
        text = plain_text(data, warnings)
        if not text.strip(_IGNORABLE):
            raise CertificateError(Reason.EMPTY, "it is empty: put the certificate there, as PEM")
        bundle = _from_text(text, password, base64_layers)
        bundle.warn(*warnings, first=True)
    if bundle.certificates:
        return bundle
    if bundle.damaged:
        raise advice.damaged(data)
    if set(bundle.kinds) == {Kind.UNKNOWN}:
        raise advice.not_understood(data)
    raise advice.no_certificate(bundle.kinds)


def _from_binary(data: bytes, kind: Kind, password: str | None) -> Bundle:
    bundle = Bundle(_FORMATS.get(kind, ""))
    if kind in CONTAINERS:
        _add_container(bundle, data, kind, password)
        return bundle
    if kind is Kind.CERTIFICATE:
        data = _add_certificates(bundle, data)
    else:
        _add_other(bundle, data, kind)
        data = data[read_element(data).end :]
    if data.strip(_IGNORABLE):
        bundle.warn("there is other content after the certificate: it was ignored")
    return bundle


def _add_certificates(bundle: Bundle, data: bytes) -> bytes:
    """Add all certificates at the beginning of `data`; return the rest."""
    while kind_of(data) is Kind.CERTIFICATE:
        bundle.add(_outline(data))
        data = data[read_element(data).end :]
    return data


def _from_text(text: bytes, password: str | None, base64_layers: int) -> Bundle:
    """Read PEM; if it is damaged or there is none, what can be read of the text after its damage is undone."""
    try:
        blocks = read_blocks(text)
    except TooManyBlocksError:
        raise _too_many() from None
    best = _from_blocks(blocks, password)
    is_sound = bool(best.certificates) and not best.damaged and _has_all_marks(text.upper(), blocks)
    for undone, warnings in () if is_sound or best.has_container else undo_damage(decoded(text)):
        repaired = _from_loose_blocks(undone, password)
        if repaired is None and not blocks:
            repaired = _from_base64(undone, password, base64_layers)
        if repaired is not None and _is_better(repaired, best):
            repaired.warn(*warnings, first=True)
            best = repaired
        if best.certificates or best.has_container:
            break
    if not (best.certificates or best.damaged or best.kinds):
        raise advice.not_understood(text)
    return best


def _has_all_marks(upper: bytes, blocks: list[Block]) -> bool:
    """False if there are more BEGIN or END lines than blocks, as where one of the two lines is damaged or missing."""
    labelled = sum("CERT" in each.label.upper() for each in blocks)
    return upper.count(b"BEGIN") == len(blocks) and upper.count(b"END CERT") <= labelled


def _from_loose_blocks(text: str, password: str | None) -> Bundle | None:
    loose = read_loosely(text)
    if not loose.blocks:
        return None
    bundle = _from_blocks(loose.blocks, password)
    bundle.warn(*loose.warnings)
    return bundle


def _is_better(repaired: Bundle, best: Bundle) -> bool:
    """True if more certificates were found, or if none was found before, and now more is known about why."""
    if repaired.certificates or best.certificates:
        return len(repaired.certificates) > len(best.certificates)
    return (bool(repaired.damaged), len(repaired.kinds)) > (bool(best.damaged), len(best.kinds))


def _from_blocks(blocks: list[Block], password: str | None) -> Bundle:
    bundle = Bundle("PEM")
    for block in blocks:
        _add_block(bundle, block, password)
    return bundle


def _add_block(bundle: Bundle, block: Block, password: str | None) -> None:
    if block.label.endswith("PRIVATE KEY"):
        bundle.add_private_key(None if block.encrypted else block.der)
        return
    is_labelled = block.label in _CERTIFICATE_LABELS
    outline = _outline(block.der) if is_labelled and block.der is not None else None
    kind = Kind.UNKNOWN
    if outline is not None:
        kind = Kind.CERTIFICATE  # as of most blocks, which then need not be recognised
    elif block.der is not None:
        kind = kind_of(block.der)
    if block.der is None or kind is Kind.UNKNOWN:
        if is_labelled:
            bundle.add_damaged()
        else:
            bundle.add_other(Kind.UNKNOWN)
    elif kind is Kind.CERTIFICATE:
        bundle.add(outline or _outline(block.der))
        if not (is_labelled and block.has_exact_lines):
            bundle.warn(DAMAGED_MARK)
    elif kind in CONTAINERS:
        _add_container(bundle, block.der, kind, password)
    else:
        _add_other(bundle, block.der, kind)


def _outline(der: bytes) -> Outline | None:
    """The outline of a certificate; None if it cannot be read."""
    try:
        return read_outline(der)
    except MalformedError:
        return None


def _add_container(bundle: Bundle, data: bytes, kind: Kind, password: str | None) -> None:
    if bundle.has_container:
        raise _too_many()  # each may take seconds to open, so only one per file is allowed
    bundle.add_other(kind)
    for entry in open_container(data, password):
        bundle.add(_outline(entry.der), has_key=entry.has_key)


def _add_other(bundle: Bundle, der: bytes, kind: Kind) -> None:
    """Add a PKCS#7 with its certificates, or content without certificates."""
    bundle.add_other(kind)
    if kind is Kind.PKCS7:
        for certificate in certificates_in(der):
            bundle.add(_outline(certificate))


def _from_base64(text: str, password: str | None, base64_layers: int) -> Bundle | None:
    """Read a file that was base64-encoded once too often, or a PEM that lost its BEGIN and END lines."""
    found = decode_bare(text) if base64_layers < _MAX_BASE64_LAYERS else None
    if found is None:
        return None
    content, warnings = found
    bundle = read_bundle(content, password, base64_layers + 1)
    bundle.warn(*warnings, first=True)
    return bundle


def _too_many() -> CertificateError:
    return CertificateError(
        Reason.TOO_LARGE,
        "it holds too many certificates: put only the client certificate and its chain there",
    )
