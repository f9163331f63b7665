"""Everything that one input holds: its format is recognised by what it is, and each certificate is read apart."""

from dataclasses import dataclass, field

from clientcert.errors import CertificateError, Reason
from clientcert.pki import advice
from clientcert.pki.container import open_container
from clientcert.pki.der import MalformedError, read_element
from clientcert.pki.keys import public_half
from clientcert.pki.lenient import Outline, read_outline
from clientcert.pki.pem import Block, TooManyBlocksError, decode_base64, is_pem, read_blocks
from clientcert.pki.pkcs7 import certificates_in
from clientcert.pki.structure import CONTAINERS, Kind, kind_of
from clientcert.pki.text import plain_text

MAX_CERTIFICATES = 200
_MAX_PRIVATE_KEYS = 10
_MAX_ENCODED_TWICE = 2
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
    """What was found, in its order."""

    container_format: str
    certificates: list[Outline] = field(default_factory=list)
    damaged: int = 0
    """How many more certificates there are that cannot be read."""
    kinds: list[Kind] = field(default_factory=list)
    """What else is there."""
    warnings: list[str] = field(default_factory=list)
    _added: int = 0
    """Doubled certificates count each time: they are work, too."""
    _public_halves: set[bytes] = field(default_factory=set, repr=False)
    _fingerprints_with_key: set[str] = field(default_factory=set, repr=False)

    def add(self, der: bytes, *, has_key: bool = False) -> None:
        """One more certificate; if not even its outline can be read, it is counted as damaged."""
        self._added += 1
        if self._added > MAX_CERTIFICATES:
            raise _too_many()
        try:
            outline = read_outline(der)
        except MalformedError:
            self.damaged += 1
            return
        if has_key:
            self._fingerprints_with_key.add(outline.fingerprint_sha256)
        if all(each.der != outline.der for each in self.certificates):
            self.certificates.append(outline)

    def add_private_key(self, der: bytes | None) -> None:
        """Remember the public half, and nothing else, of a private key that is not encrypted."""
        self.kinds.append(Kind.PRIVATE_KEY)
        if der is None or self.kinds.count(Kind.PRIVATE_KEY) > _MAX_PRIVATE_KEYS:
            return
        half = public_half(der)
        if half is not None:
            self._public_halves.add(half)

    def has_key(self, certificate: Outline) -> bool:
        """Whether the private key of this certificate is in the bundle, too."""
        return (
            certificate.public_key_info in self._public_halves
            or certificate.fingerprint_sha256 in self._fingerprints_with_key
        )


def read_bundle(data: bytes, password: str | None, encoded_times: int = 0) -> Bundle:
    """What `data` holds: at least one certificate.

    Raises CertificateError.
    """
    kind = kind_of(data)
    if kind is not Kind.UNKNOWN:
        bundle = _from_binary(data, kind, password)
    else:
        warnings: list[str] = []
        text = plain_text(data, warnings)
        if not text.strip(_IGNORABLE):
            raise CertificateError(Reason.EMPTY, "there is nothing in it: put the certificate there, as PEM")
        bundle = _from_pem(text, password) if is_pem(text) else _from_base64(text, password, encoded_times)
        bundle.warnings[:0] = warnings
    if bundle.certificates:
        return bundle
    if bundle.damaged:
        raise CertificateError(
            Reason.INVALID_CERTIFICATE,
            "the certificate is damaged or cut off: put the whole certificate there, from its BEGIN to its END line",
        )
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
        bundle.warnings.append("something follows the certificate; it was ignored")
    return bundle


def _add_certificates(bundle: Bundle, data: bytes) -> bytes:
    """Take certificates as long as one follows the other; returns what is left."""
    while kind_of(data) is Kind.CERTIFICATE:
        bundle.add(data)
        data = data[read_element(data).end :]
    return data


def _from_pem(text: bytes, password: str | None) -> Bundle:
    bundle = Bundle("PEM")
    try:
        blocks = read_blocks(text)
    except TooManyBlocksError:
        raise _too_many() from None
    if not blocks:
        raise advice.not_understood(text)
    for block in blocks:
        _add_block(bundle, block, password)
    return bundle


def _add_block(bundle: Bundle, block: Block, password: str | None) -> None:
    if block.label.endswith("PRIVATE KEY"):
        bundle.add_private_key(None if block.encrypted else block.der)
        return
    kind = kind_of(block.der) if block.der is not None else Kind.UNKNOWN
    if block.der is None or kind is Kind.UNKNOWN:
        if block.label in _CERTIFICATE_LABELS:
            bundle.damaged += 1
        else:
            bundle.kinds.append(Kind.UNKNOWN)
    elif kind is Kind.CERTIFICATE:
        bundle.add(block.der)
    elif kind in CONTAINERS:
        _add_container(bundle, block.der, kind, password)
    else:
        _add_other(bundle, block.der, kind)


def _add_container(bundle: Bundle, data: bytes, kind: Kind, password: str | None) -> None:
    if any(each in CONTAINERS for each in bundle.kinds):
        raise _too_many()  # each may take seconds, so there is one in a file
    if not bundle.certificates:
        bundle.container_format = _FORMATS[kind]
    bundle.kinds.append(kind)
    for entry in open_container(data, password):
        bundle.add(entry.der, has_key=entry.has_key)


def _add_other(bundle: Bundle, der: bytes, kind: Kind) -> None:
    """PKCS#7, and what holds no certificate."""
    bundle.kinds.append(kind)
    if kind is Kind.PKCS7:
        if not bundle.certificates:
            bundle.container_format = _FORMATS[kind]
        for certificate in certificates_in(der):
            bundle.add(certificate)


def _from_base64(text: bytes, password: str | None, encoded_times: int) -> Bundle:
    """A file that was base64-encoded before the Secret that holds it was, or a PEM that lost its lines."""
    decoded = decode_base64(text) if encoded_times < _MAX_ENCODED_TWICE else None
    if decoded is None or not _is_promising(decoded):
        raise advice.not_understood(text)
    bundle = read_bundle(decoded, password, encoded_times + 1)
    bundle.warnings.insert(0, "the content is base64 once more than it should be: store it as it is")
    return bundle


def _is_promising(decoded: bytes) -> bool:
    """Whether what came out of base64 is worth a look; many a word is base64 by chance."""
    begins_like_der = decoded[:1] == b"\x30" and decoded[1:2] in (b"\x81", b"\x82", b"\x83")
    return begins_like_der or kind_of(decoded) is not Kind.UNKNOWN or is_pem(decoded) or bool(decode_base64(decoded))


def _too_many() -> CertificateError:
    return CertificateError(
        Reason.TOO_LARGE,
        "it holds too many certificates: put only the client certificate and its chain there",
    )
