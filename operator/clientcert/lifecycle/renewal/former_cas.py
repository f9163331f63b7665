"""The former CAs of a policy, whose certificates are renewed at any time. Told apart by name, or else by signature."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from clientcert.lifecycle.renewal.certificate_rules import is_of_former_ca
from clientcert.pki.distinguished_names import same_name
from clientcert.pki.lenient import Outline, read_outline
from clientcert.pki.public_keys import key_hash


@dataclass(frozen=True, slots=True)
class FormerCas:
    """They are compared with a certificate as the check `WindowOpen` does it."""

    names: frozenset[str] = frozenset()
    """Of those with another name than the CA that signs."""
    same_name: str = ""
    """The name of the CA that signs, if a former one with another key has it, too."""
    authority_ders: tuple[bytes, ...] = field(default=(), repr=False)
    """Only then: the CA that signs, then the former ones."""

    def by_name(self, issuer_dn: str) -> bool | None:
        """True if a former CA issued a certificate of this issuer; None: only the signature tells it."""
        if any(same_name(issuer_dn, each) for each in self.names):
            return True
        return None if self.same_name and same_name(issuer_dn, self.same_name) else False

    def by_signature(self, certificate_der: bytes) -> bool:
        """True if a former CA signed this certificate."""
        return is_of_former_ca(certificate_der, self.authority_ders)


def former_cas(authority_der: bytes, former_ders: Sequence[bytes]) -> FormerCas:
    """Of the CA that signs and the former ones. A CA whose certificate was renewed with the same key is the same CA."""
    signs, former = read_outline(authority_der), [read_outline(each) for each in former_ders]
    names = frozenset(each.subject_dn for each in former if not same_name(each.subject_dn, signs.subject_dn))
    twins = [each for each in former if same_name(each.subject_dn, signs.subject_dn)]
    if all(_key(each) == _key(signs) for each in twins):
        return FormerCas(names)
    return FormerCas(names, signs.subject_dn, (authority_der, *former_ders))


def _key(outline: Outline) -> str:
    return key_hash(outline.public_key_info)
