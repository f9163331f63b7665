"""PKCS#12 (RFC 7292): reads the certificates, and which of them has the private key; never returns the key itself.

Every visible iteration count is checked before any work is done. The counts of the private keys are visible only after
the bags around them are decrypted, and are checked, too: a container with an excessive count is refused as a whole.
"""

import contextlib
from dataclasses import dataclass, field

from clientcert.errors import Reason
from clientcert.pki.container_entry import Entry, NotOpenedError
from clientcert.pki.der import SEQUENCE, Element, MalformedError, read_element
from clientcert.pki.passwords import Secret, secrets_for
from clientcert.pki.pkcs12_ciphers import UnknownAlgorithmError
from clientcert.pki.pkcs12_encryption import check_cost, check_mac_cost, decrypt, is_pbmac1, mac_matches

_DATA = "1.2.840.113549.1.7.1"
_ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
_BAG = "1.2.840.113549.1.12.10.1."
_KEY, _SHROUDED_KEY, _CERTIFICATE, _SAFE_CONTENTS = (_BAG + number for number in "1236")
_X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
_LOCAL_KEY_ID = "1.2.840.113549.1.9.21"
_MAX_BAGS = 1_000
_MAX_NESTED_CONTENTS = 4


def open_pkcs12(data: bytes, password: str | None) -> list[Entry]:
    """Return its certificates in their order.

    Without a password, no password and the empty one are tried; certificates that are not encrypted need none.
    Raises NotOpenedError.
    """
    try:
        return _Container(data).open(password)
    except UnknownAlgorithmError as error:
        raise NotOpenedError(Reason.UNSUPPORTED_FORMAT, error.name) from None
    except (MalformedError, ValueError, StopIteration):
        raise NotOpenedError(Reason.INVALID_CERTIFICATE) from None


@dataclass(slots=True)
class _Bags:
    """The relevant contents of the bags that were read so far."""

    certificates: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Certificates (DER), each with its localKeyId (empty if it has none)."""
    key_ids: set[bytes] = field(default_factory=set)
    count: int = 0

    def entries(self) -> list[Entry]:
        return [Entry(der, key_id != b"" and key_id in self.key_ids) for der, key_id in self.certificates]


class _Container:
    """A PFX with its outer layers separated; raises MalformedError if that is not possible."""

    def __init__(self, data: bytes) -> None:
        _, auth_safe, *mac_data = read_element(data).children()
        self._mac_data = mac_data[0] if mac_data else None
        content_type, content = auth_safe.children()
        if content_type.object_identifier() != _DATA:
            raise UnknownAlgorithmError(content_type.object_identifier())
        self._authenticated = next(content.children()).octets()
        self._plain: list[bytes] = []
        self._encrypted: list[tuple[Element, bytes]] = []
        self._mac_results: dict[bytes, bool] = {}
        for content_info in read_element(self._authenticated).children():
            self._sort(content_info)

    def _sort(self, content_info: Element) -> None:
        content_type, content = content_info.children()
        oid = content_type.object_identifier()
        if oid == _DATA:
            self._plain.append(next(content.children()).octets())
        elif oid == _ENCRYPTED_DATA:
            _, encrypted_content_info = next(content.children()).children()
            _, algorithm, ciphertext = encrypted_content_info.children()
            self._encrypted.append((algorithm, ciphertext.octets()))
        else:
            raise UnknownAlgorithmError(oid)

    def open(self, password: str | None) -> list[Entry]:
        self._check_cost()
        bags = _Bags()
        for contents in self._plain:
            _collect(read_element(contents), bags)
        for secret in secrets_for(password):
            if not self._mac_may_match(secret):
                continue
            opened = self._decrypted(secret)
            if opened is not None:
                for contents in opened:
                    _collect(read_element(contents), bags)
                return bags.entries()
        if password is None and bags.certificates:
            return bags.entries()
        raise NotOpenedError(Reason.PASSWORD_REQUIRED if password is None else Reason.PASSWORD_INCORRECT)

    def _check_cost(self) -> None:
        if self._mac_data is not None:
            check_mac_cost(self._mac_data)
        for algorithm, _ in self._encrypted:
            check_cost(algorithm)

    def _mac_may_match(self, secret: Secret) -> bool:
        """False if the password is wrong; a MAC of an unknown algorithm says nothing."""
        if self._mac_data is None:
            return True
        form = secret.octets if is_pbmac1(self._mac_data) else secret.bmp
        if form not in self._mac_results:
            try:
                self._mac_results[form] = mac_matches(self._mac_data, self._authenticated, secret)
            except UnknownAlgorithmError:
                self._mac_results[form] = True
        return self._mac_results[form]

    def _decrypted(self, secret: Secret) -> list[bytes] | None:
        """The decrypted contents; None if the password is wrong."""
        opened: list[bytes] = []
        for algorithm, ciphertext in self._encrypted:
            contents = decrypt(algorithm, secret, ciphertext)
            if contents is None or not _is_sequence(contents):
                return None
            opened.append(contents)
        return opened


def _is_sequence(contents: bytes) -> bool:
    """True if the content was decrypted with the right password; decides if there is no MAC."""
    try:
        element = read_element(contents)
        return element.tag == SEQUENCE and element.end == len(contents)
    except MalformedError:
        return False


def _collect(safe_contents: Element, bags: _Bags, depth: int = 0) -> None:
    """Collect the contents of each SafeBag (RFC 7292 section 4.2); a damaged one does not affect the others."""
    for bag in safe_contents.readable_children():
        bags.count += 1
        if bags.count > _MAX_BAGS or depth > _MAX_NESTED_CONTENTS:
            raise NotOpenedError(Reason.TOO_LARGE)
        with contextlib.suppress(MalformedError, ValueError, StopIteration):
            _take(bag, bags, depth)


def _take(bag: Element, bags: _Bags, depth: int) -> None:
    bag_type, wrapped, *attributes = bag.children()
    value = next(wrapped.children())
    oid = bag_type.object_identifier()
    if oid == _SAFE_CONTENTS:
        _collect(value, bags, depth + 1)
    elif oid == _CERTIFICATE:
        certificate_type, certificate = value.children()
        if certificate_type.object_identifier() == _X509_CERTIFICATE:
            bags.certificates.append((next(certificate.children()).octets(), _local_key_id(attributes)))
    elif oid == _SHROUDED_KEY:
        bags.key_ids.add(_local_key_id(attributes))
        check_cost(next(value.children()))
    elif oid == _KEY:
        bags.key_ids.add(_local_key_id(attributes))


def _local_key_id(attributes: list[Element]) -> bytes:
    for attribute in attributes[0].readable_children() if attributes else ():
        fields = attribute.readable_children(2)
        if len(fields) == 2 and fields[0].object_identifier() == _LOCAL_KEY_ID:
            return b"".join(each.content for each in fields[1].readable_children(1))
    return b""
