"""Make a CertificateRenewal, or find the one that was made before."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import click

from clientcert.api.kinds import API_VERSION, CERTIFICATE_RENEWAL, GROUP, moment
from clientcert.cli.certificate_status import conditions_of
from clientcert.cli.cluster import Cluster, Object
from clientcert.cli.errors import AlreadyExists, AnswerIsNo
from clientcert.errors import CertificateError
from clientcert.lifecycle.conditions import SOURCE_READABLE
from clientcert.lifecycle.renewal.naming import REUSE, request_name
from clientcert.lifecycle.renewal.spec import Mode
from clientcert.lifecycle.renewal.status import FINAL, State
from clientcert.lifecycle.source_gap import NOTHING_THERE
from clientcert.pki.key_request import Form, KeyRequest, read_request

NEGATIVE = frozenset({State.REFUSED, State.DENIED, State.ENDED})
"""The states after which the same may be asked again, as a new request."""
HANDED_OUT = frozenset({State.ISSUED, State.DELIVERED, State.DONE})
_MOST_REQUESTS = 100
_PREFIX = re.compile(rf"(?:certificaterenewals?(?:\.{re.escape(GROUP)})?|cren)/")


@dataclass(frozen=True, slots=True)
class Ask:
    """A request by somebody, for one or many certificates."""

    mode: Mode
    requested_by: str
    request: KeyRequest | None = None
    """None: `--reuse`."""
    proof_pem: str = field(default="", repr=False)
    reason: str = ""

    @property
    def key(self) -> str:
        """The part of the name of the request that stands for its key."""
        return self.request.key_hash if self.request else REUSE


@dataclass(frozen=True, slots=True)
class Asked:
    """The request, and whether it was made now."""

    found: Object
    is_new: bool


def request_id(_: click.Context, __: click.Parameter, value: str) -> str:
    """The name of a request; `-o name` of this program and of kubectl put the kind before it."""
    return _PREFIX.sub("", value, count=1)


def ask(cluster: Cluster, certificate: Object, wanted: Ask, now: datetime) -> Asked:
    """Create the request for one ClientCertificate, or find it; raises AnswerIsNo or Failed.

    After a refusal the next number is taken, and after one that waits for a certificate that was lost since. While it
    is open or issued, it is the same one.
    """
    name, serial = certificate["metadata"]["name"], _serial(certificate, wanted.mode)
    if before := _that_made_the_current_one(cluster, certificate, wanted, now):
        return _asked_before(cluster, wanted, before)
    for number in range(1, _MOST_REQUESTS + 1):
        new = manifest(certificate, request_name(name, serial, wanted.key, wanted.mode, number), wanted)
        try:
            return Asked(cluster.create(CERTIFICATE_RENEWAL, new), is_new=True)
        except AlreadyExists:
            found = cluster.get(CERTIFICATE_RENEWAL, new["metadata"]["name"])
        is_same = found["spec"].get("serialNumber") == new["spec"].get("serialNumber")
        if is_same and state_of(found) not in NEGATIVE:
            return _asked_before(cluster, wanted, found)
    raise AnswerIsNo(f"{_MOST_REQUESTS} requests with this key were refused: use another key")


def manifest(certificate: Object, name: str, wanted: Ask) -> Object:
    """The CertificateRenewal."""
    known = (certificate.get("status") or {}).get("certificate") or {}
    request, serial = wanted.request, known.get("serialNumber")
    if wanted.mode is Mode.REISSUE and _has_lost(certificate):
        serial = None  # one that names it waits until somebody puts it back
    subject = request.subject_dn if request and request.csr_der else known.get("subjectDN", "")
    spec: dict[str, Any] = {
        "certificateRef": {"name": certificate["metadata"]["name"]},
        "serialNumber": serial,
        "subjectDN": subject[:2048] or None,
        "mode": wanted.mode.value,
        **_key(request),
        "proof": {"type": "CMS", "cms": wanted.proof_pem} if wanted.proof_pem else None,
        "requestedBy": wanted.requested_by,
        "reason": wanted.reason or None,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": CERTIFICATE_RENEWAL.name,
        "metadata": {"name": name},
        "spec": {field: value for field, value in spec.items() if value is not None},
    }


def difference(wanted: Ask, spec: dict[str, Any]) -> str:
    """The earlier request of the same name, if it asks for something else; empty if it is the same.

    A CSR that was made anew with the same key, subject and extensions is the same: some signatures differ each time.
    """
    if wanted.proof_pem and not spec.get("proof"):
        return "without a proof"
    if wanted.request is None:
        return "" if spec.get("reuse") else "with a CSR or a public key"
    before = requested_key(spec)
    if bool(wanted.request.csr_der) != bool(spec.get("csr")):
        return "with the public key alone" if spec.get("publicKey") else "with a CSR"
    if before is None or _content(before) != _content(wanted.request):
        return "with another content"
    return ""


def requested_key(spec: dict[str, Any]) -> KeyRequest | None:
    """The CSR or public key of a request; None for `reuse`, and if it cannot be read."""
    form = Form.CSR if spec.get("csr") else Form.PUBLIC_KEY
    try:
        return read_request(str(spec.get("csr") or spec.get("publicKey") or "").encode(), form)
    except CertificateError:
        return None


def state_of(found: Object) -> State:
    """The state of a request; one that this version does not know counts as open."""
    try:
        return State((found.get("status") or {}).get("state") or State.CHECKING)
    except ValueError:
        return State.CHECKING


def why_not(found: Object) -> str:
    """The reason why a request was refused or denied, or has ended, in a sentence without names."""
    status, approval = found.get("status") or {}, found["spec"].get("approval") or {}
    state = state_of(found)
    refused = [each for each in status.get("checks") or () if not each.get("passed") and not each.get("waits")]
    if state is State.REFUSED and refused:
        return f"check {refused[0]['name']}: {refused[0].get('message') or ''}"
    if state is State.DENIED:
        return ": ".join(filter(None, (approval.get("reason"), approval.get("message")))) or "no reason given"
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    told = [conditions[name] for name in ("Failed", "Accepted", "Approved", "Issued") if name in conditions]
    told.sort(key=lambda each: (each["type"] == "Failed") != (each["status"] == "True"))
    return f"{told[0].get('reason') or ''}: {told[0].get('message') or ''}" if told else "no reason is recorded"


def _that_made_the_current_one(cluster: Cluster, certificate: Object, wanted: Ask, now: datetime) -> Object | None:
    """The request that the current certificate came from, if it was the same and the next may not be made yet.

    The serial number in its name is that of the certificate before.
    """
    status = certificate.get("status") or {}
    history, current = status.get("history"), (status.get("certificate") or {}).get("serialNumber")
    if not history or not current:
        return None
    opens = moment((status.get("renewal") or {}).get("opensTime"))
    too_early = wanted.mode is Mode.RENEW and opens is not None and opens > now
    name, serial = certificate["metadata"]["name"], history[0]["serialNumber"]
    for number in range(1, _MOST_REQUESTS + 1):
        found = cluster.find(CERTIFICATE_RENEWAL, request_name(name, serial, wanted.key, wanted.mode, number))
        if found is None:
            return None
        issued = ((found.get("status") or {}).get("issuance") or {}).get("serialNumber")
        if issued == current and (state_of(found) not in FINAL or (state_of(found) is State.DONE and too_early)):
            return found
    return None


def _asked_before(cluster: Cluster, wanted: Ask, found: Object) -> Asked:
    if before := difference(wanted, found["spec"]):
        name = found["metadata"]["name"]
        raise AnswerIsNo(
            f"{name} was made for the same key, but {before}: collect it with `clientcert retrieve {name}`, or have it"
            f" denied with `clientcert deny {name}` and ask again"
        )
    cluster.leave(CERTIFICATE_RENEWAL, found)
    return Asked(found, is_new=False)


def _serial(certificate: Object, mode: Mode) -> str:
    serial = ((certificate.get("status") or {}).get("certificate") or {}).get("serialNumber", "")
    if not serial and mode is Mode.RENEW:
        raise AnswerIsNo(
            "the operator has not read a certificate yet, so there is none to renew: check its source, or give"
            " --reissue for a consumer's first one"
        )
    return str(serial)


def _has_lost(certificate: Object) -> bool:
    """True if the source holds nothing any more, as the operator has seen it."""
    readable = conditions_of(certificate).get(SOURCE_READABLE, {})
    return readable.get("status") == "False" and readable.get("reason") in NOTHING_THERE


def _key(request: KeyRequest | None) -> dict[str, Any]:
    if request is None:
        return {"reuse": True}
    return {"csr" if request.csr_der else "publicKey": request.pem}


def _content(request: KeyRequest) -> tuple[Any, ...]:
    return request.public_key_info, request.subject_der, frozenset(request.requested_extensions)
