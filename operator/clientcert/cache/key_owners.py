"""Index of the keys of the certificates in the sources. Made at the first look-up: only renewals need it."""

from collections.abc import Iterable

from clientcert.lifecycle.spec import ObjectKey
from clientcert.pki import Certificate

_Key = tuple[str, bytes]
"""Namespace, and hash of the public key."""


class KeyOwners:
    """ClientCertificates by the key of the certificate that was last read."""

    def __init__(self, every: Iterable[tuple[ObjectKey, Certificate | None]]) -> None:
        self._owners: dict[_Key, tuple[ObjectKey, ...]] = {}
        for key, certificate in every:
            self._add(key, certificate)

    def owners(self, namespace: str, key_hash: bytes) -> tuple[ObjectKey, ...]:
        """The ClientCertificates of the namespace with this key."""
        return self._owners.get((namespace, key_hash), ())

    def change(self, key: ObjectKey, before: Certificate | None, after: Certificate | None) -> None:
        """Take over what was read of one source; None: no certificate."""
        if before and after and before.public_key_hash == after.public_key_hash:
            return
        if before is not None:
            old = (key.namespace, before.public_key_hash)
            left = tuple(each for each in self._owners.pop(old, ()) if each != key)
            if left:
                self._owners[old] = left
        self._add(key, after)

    def _add(self, key: ObjectKey, certificate: Certificate | None) -> None:
        if certificate is not None and certificate.public_key_hash:
            known = (key.namespace, certificate.public_key_hash)
            self._owners[known] = (*self._owners.get(known, ()), key)
