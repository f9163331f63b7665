"""The declared identity: what a certificate must say to be the consumer's own. Values are compared exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from clientcert.pki.alternative_names import NameKind, Names
from clientcert.pki.distinguished_names import EMAIL_ADDRESS, same_name, values_of


class Field(StrEnum):
    """The fields of spec.identity."""

    COMMON_NAME = "commonName"
    DNS_NAME = "dnsName"
    URI = "uri"
    EMAIL_ADDRESS = "emailAddress"
    SUBJECT_DN = "subjectDN"
    ISSUER_DN = "issuerDN"


ALTERNATIVES = {
    Field.DNS_NAME: NameKind.DNS_NAME,
    Field.URI: NameKind.URI,
    Field.EMAIL_ADDRESS: NameKind.EMAIL_ADDRESS,
}
"""The fields that are compared with subject alternative names of one kind."""


@dataclass(frozen=True, slots=True)
class Identity:
    """All that is declared must match. An empty identity matches every certificate."""

    name: str = ""
    """The consumer's name; empty if a field says who the consumer is. It is compared as a common name."""
    fields: tuple[tuple[Field, str], ...] = ()
    """The fields of spec.identity that are set."""

    @classmethod
    def declared(cls, consumer: str, fields: Mapping[Field, str]) -> Self:
        """The identity of a consumer, whose name counts only if no field but the issuer is set."""
        given = tuple([(field, fields[field]) for field in Field if fields.get(field)])
        return cls("" if any(field is not Field.ISSUER_DN for field, _ in given) else consumer, given)

    @property
    def names_issuer(self) -> bool:
        """True if an issuer is declared."""
        return any(field is Field.ISSUER_DN for field, _ in self.fields)

    def differences(self, names: Names) -> tuple[tuple[Field, str], ...]:
        """The fields that do not match, with the declared values; none if the certificate is the consumer's own."""
        expected = ((Field.COMMON_NAME, self.name), *self.fields) if self.name else self.fields
        return tuple([(field, value) for field, value in expected if not _matches(names, field, value)])


ANYONE = Identity()
"""Matches every certificate."""


def _matches(names: Names, field: Field, value: str) -> bool:
    match field:
        case Field.SUBJECT_DN:
            return same_name(value, names.certificate.subject_dn)
        case Field.ISSUER_DN:
            return same_name(value, names.certificate.issuer_dn)
    return value in values_in(names, field)


def values_in(names: Names, field: Field) -> tuple[str, ...]:
    """The values of the certificate that this field is compared with, the best known first.

    A common name is compared with every CN of the subject, or if there is none, with every subject alternative name.
    """
    certificate = names.certificate
    match field:
        case Field.SUBJECT_DN:
            return (certificate.subject_dn,) if certificate.subject_dn else ()
        case Field.ISSUER_DN:
            return (certificate.issuer_dn,) if certificate.issuer_dn else ()
        case Field.COMMON_NAME:
            return names.own
    found = tuple([each.value for each in names.alternative if each.kind is ALTERNATIVES[field]])
    return found + values_of(certificate.subject_dn, EMAIL_ADDRESS) if field is Field.EMAIL_ADDRESS else found
