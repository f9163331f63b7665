"""Reads the key that a request asks for: of its CSR or public key, or the one that `reuse` stands for. I/O only."""

from collections.abc import Mapping
from functools import partial

from clientcert.cache.objects import CertificateRecord
from clientcert.cache.renewal_records import RenewalRecord
from clientcert.cache.renewals import RenewalCache
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.certificate_renewal.writing import RenewalWriter
from clientcert.errors import CertificateError, SourceError
from clientcert.lifecycle.renewal.facts import Problem
from clientcert.lifecycle.renewal.spec import RenewalSpec
from clientcert.pki.certificate_fields import public_key_info
from clientcert.pki.key_request import Form, KeyRequest, read_request
from clientcert.pki.leaf_content import LeafContent
from clientcert.pki.pem_writer import pem
from clientcert.sources.interface import SourceWriter

_BESIDE = "client.csr beside the source cannot be used: "


class AskedKeys:
    """Reads requests anew, and `client.csr` beside a source."""

    def __init__(
        self,
        renewals: RenewalCache,
        sources: SourceCache,
        writer: RenewalWriter,
        writers: Mapping[type, SourceWriter],
    ) -> None:
        """`writers` by the type of the source."""
        self._renewals = renewals
        self._sources = sources
        self._writer = writer
        self._writers = writers

    async def read(
        self, record: RenewalRecord, spec: RenewalSpec, certificate: CertificateRecord, leaf: LeafContent | None
    ) -> tuple[KeyRequest | None, Problem | None]:
        """The CSR or public key that is asked for, also for `reuse`; None and no problem without a current key."""
        try:
            if spec.csr_pem:
                return await self._read(record, spec.csr_pem.encode(), Form.CSR), None
            if spec.public_key_pem:
                return await self._read(record, spec.public_key_pem.encode(), Form.PUBLIC_KEY), None
            return await self._reused(record, certificate, leaf), None
        except (CertificateError, SourceError) as error:
            return None, Problem(error.reason, error.message)

    async def _reused(
        self, record: RenewalRecord, certificate: CertificateRecord, leaf: LeafContent | None
    ) -> KeyRequest | None:
        """The CSR of the last request with one that brought a certificate: one that nobody approved is not used again.

        After a request by a public key, a CSR of another than the current key is out of date: the operator made that
        key, and cannot tell when the file was written.
        """
        last = self._renewals.index.last_with_key_before(record)
        request = await self._writer.read_whole(last.key) if last is not None else None
        if request is not None and request.spec.csr_pem:
            return await self._read(record, request.spec.csr_pem.encode(), Form.CSR)
        beside = await self._read_beside(record, certificate)
        if beside is not None and last is None:
            return beside
        current = _current_key(leaf)
        is_current = beside is not None and current is not None and beside.key_hash == current.key_hash
        return beside if is_current else current

    async def _read(self, record: RenewalRecord, content: bytes, form: Form) -> KeyRequest:
        """Raises CertificateError."""
        reading = partial(read_request, content, form)
        return await self._sources.in_turn(record.key.namespace, content, reading)

    async def _read_beside(self, record: RenewalRecord, certificate: CertificateRecord) -> KeyRequest | None:
        """The CSR beside the source; None if there is none. Raises CertificateError and SourceError."""
        source = certificate.spec.source
        content = await self._writers[type(source)].read_beside(certificate.key.namespace, source)
        if not content:
            return None
        try:
            return await self._read(record, content, Form.CSR)
        except CertificateError as error:
            raise CertificateError(error.reason, f"{_BESIDE}{error.message}") from None


def _current_key(leaf: LeafContent | None) -> KeyRequest | None:
    """None if there is no certificate: then `SourceReadable` waits."""
    return read_request(pem("PUBLIC KEY", public_key_info(leaf.der)).encode()) if leaf else None
