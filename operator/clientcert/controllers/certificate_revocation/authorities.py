"""The CAs of a namespace: those that the policies there name. Each has a list, named after its Secret or issuer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from clientcert.errors import ClientCertError
from clientcert.issuers.interface import Authority, AuthorityRequest, Issuer
from clientcert.lifecycle.renewal.policy import CaSecretIssuer, IssuerSettings, RenewalPolicy
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.pki.distinguished_names import same_name
from clientcert.pki.lenient import Outline, read_outline


@dataclass(frozen=True, slots=True)
class Named:
    """Everything that policies say about the CAs whose Secret or issuer has this name: one CA, unless two differ."""

    name: str
    settings: tuple[IssuerSettings, ...]
    trust: tuple[SecretKeyRef, ...]
    crl_secrets: tuple[SecretKeyRef, ...]

    @property
    def has_key(self) -> bool:
        """True if the operator signs a CRL."""
        return any(isinstance(each, CaSecretIssuer) for each in self.settings)


@dataclass(frozen=True, slots=True)
class Signer:
    """A CA that could be read."""

    settings: IssuerSettings
    authority: Authority

    @property
    def has_key(self) -> bool:
        """True if the operator has its private key."""
        return isinstance(self.settings, CaSecretIssuer)


@dataclass(frozen=True, slots=True)
class Known:
    """The CAs of one name, as far as they can be read."""

    signers: tuple[Signer, ...]
    issuer_dns: tuple[str, ...]
    """Of those that sign now, then of former ones."""
    former: tuple[Outline, ...] = ()
    """The certificates of the former ones."""
    problem: ClientCertError | None = None
    """The reason why one could not be read."""

    @property
    def crl_signer(self) -> Signer | None:
        """The CA that signs the CRL."""
        return next((each for each in self.signers if each.has_key), None)

    def former_dns(self, now: datetime) -> tuple[str, ...]:
        """The names of former CAs whose certificates are still accepted; not those of the CAs that sign now."""
        signs = [subject_dn(each.authority.certificate_der) for each in self.signers]
        dns = dict.fromkeys(each.subject_dn for each in self.former if each.not_after > now)
        return tuple(dn for dn in dns if not any(same_name(dn, each) for each in signs))


def named(policies: Iterable[RenewalPolicy]) -> list[Named]:
    """One for each name, in its order."""
    found: dict[str, Named] = {}
    for policy in policies:
        before = found.get(policy.issuer.name, Named(policy.issuer.name, (), (), ()))
        secrets = (policy.crl_secret,) if policy.crl_secret else ()
        found[before.name] = replace(
            before,
            settings=tuple(dict.fromkeys((*before.settings, policy.issuer))),
            trust=tuple(dict.fromkeys((*before.trust, *policy.trust))),
            crl_secrets=tuple(dict.fromkeys((*before.crl_secrets, *secrets))),
        )
    return [found[name] for name in sorted(found)]


async def read(issuers: Mapping[type, Issuer], namespace: str, about: Named) -> Known:
    """Read the CAs. Raises nothing but KubeError of an outage."""
    signers, dns, former = list[Signer](), dict[str, None](), dict[bytes, Outline]()
    problem = None
    for settings in about.settings:
        found, failure = await _read(issuers[type(settings)], AuthorityRequest(namespace, settings, about.trust))
        problem = failure or problem
        if found is not None:
            signers.append(Signer(settings, found))
            dns[subject_dn(found.certificate_der)] = None
            former |= {each: read_outline(each) for each in found.former_ders}
    every = dns | {each.subject_dn: None for each in former.values()}
    return Known(tuple(signers), tuple(every), tuple(former.values()), problem)


async def _read(issuer: Issuer, request: AuthorityRequest) -> tuple[Authority | None, ClientCertError | None]:
    """The CA with all former ones that can be read, and the reason why another one cannot."""
    try:
        return await issuer.authority(request), None
    except ClientCertError as error:
        problem = error.with_traceback(None)  # its frames hold the CAs
    try:
        found = await issuer.authority(replace(request, trust=()))
    except ClientCertError:
        return None, problem
    for ref in request.trust:
        try:
            one = await issuer.authority(replace(request, trust=(ref,)))
        except ClientCertError:
            continue  # the others are known
        found = replace(found, former_ders=tuple(dict.fromkeys((*found.former_ders, *one.former_ders))))
    return found, problem


def subject_dn(certificate_der: bytes) -> str:
    """The name of a CA, as the certificates that it issues have it as issuer."""
    return read_outline(certificate_der).subject_dn
