"""The certificates of the demo, one for each phase: their location, and the expected result for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tools.certificates import CertificateAuthority, Issued
from tools.demo.authority import client_authority
from tools.demo.mailbox import Mailed

NHS, PRISON_VISITS = "nhs-prod", "prison-visits-prod"
JO, ALEX = "jo@nhs.example", "alex@visits.example"
TEAM, ON_CALL = "#integration-api-alerts", "#on-call"
PASSWORD = "a password that nobody sees"
_FAULTY_PAGE = b"<!DOCTYPE html><html><title>Sign in to the wiki</title></html>\n"
_A_LITTLE = timedelta(hours=2)
"""Added to whole days, so that no number of days changes while the demo runs."""


@dataclass(frozen=True)
class Seen:
    """The expected state of one ClientCertificate."""

    phase: str
    days: int | None
    event: str = ""
    """The reason of its Event; empty: none."""
    says: str = ""
    """Part of the text of its Slack message; empty: no message."""
    channels: tuple[str, ...] = (TEAM,)
    """Those that have the message; empty: it comes after a grace period."""


@dataclass(frozen=True)
class Cast:
    """The certificates as files in Secrets and in the bucket, and the expected state on the first and the next day."""

    secrets: Mapping[str, Mapping[str, bytes]] = field(repr=False)
    objects: Mapping[str, bytes] = field(repr=False)
    today: Mapping[str, Seen]
    tomorrow: Mapping[str, Seen]
    authority: CertificateAuthority = field(repr=False)
    """Has issued all of them."""
    visits: Issued = field(repr=False)
    """The certificate of prison-visits, which the operator renews."""
    renewed: Issued = field(repr=False)
    """The next certificate of nhs, which the team has renewed by hand."""
    letters: tuple[Mailed, Mailed]
    """To the contacts of nhs and of prison-visits, until their certificates are renewed."""
    last_letter: Mailed

    def lasting(self, common_name: str, now: datetime, days: int) -> Issued:
        """Another certificate with this number of whole days left (negative: expired)."""
        return _lasting(self.authority, common_name, now, days)


def assemble(now: datetime) -> Cast:
    """Issue all certificates."""
    authority = client_authority()
    visits, renewed = _lasting(authority, "prison-visits", now, 5), _lasting(authority, "nhs-production", now, 365)
    return Cast(
        secrets=_secrets(authority, now),
        objects=_objects(authority, visits, now),
        today=_today(now),
        tomorrow=_tomorrow(now),
        authority=authority,
        visits=visits,
        renewed=renewed,
        letters=_letters(now + _A_LITTLE),
        last_letter=Mailed(
            JO,
            "Done: a renewed certificate for nhs in prod is in place",
            (f"serial number {renewed.serial_number_hex}", "You do not have to do anything more."),
        ),
    )


def _lasting(authority: CertificateAuthority, common_name: str, now: datetime, days: int) -> Issued:
    """A certificate with this number of whole days left (negative: expired)."""
    not_after = now + timedelta(days=days) + _A_LITTLE
    return authority.issue(common_name, min(now, not_after) - timedelta(days=30), not_after)


def _letters(today: datetime) -> tuple[Mailed, Mailed]:
    """The letters with every step."""
    common = (
        "Your client certificate for the prod environment of the Integration API is due to expire",
        "openssl genrsa -out credential-exchange-private-key.pem 3072",
        "openssl rsa -in credential-exchange-private-key.pem -pubout -out credential-exchange-public-key.pem",
        "send us only the public key",
        "Your API key does not change.",
        "it goes to integration@gov.example",
    )
    to_nhs, to_visits = (
        f"Action needed: certificate for {name} in prod expires on {today + timedelta(days=days):%Y-%m-%d}"
        for name, days in (("nhs", 22), ("prison-visits", 5))
    )
    return (
        Mailed(JO, to_nhs, (*common, "within the next 23 days")),
        Mailed(ALEX, to_visits, (*common, "within the next 6 days")),
    )


def _secrets(authority: CertificateAuthority, now: datetime) -> dict[str, dict[str, bytes]]:
    starts = now + timedelta(days=3) + _A_LITTLE
    not_yet_valid = authority.issue("parole", starts, starts + timedelta(days=365))
    return {
        "weather-client-cert": {"tls.crt": _lasting(authority, "weather", now, 300).certificate_pem},
        "nhs-client-cert": {"client.p12": _lasting(authority, "nhs-production", now, 22).pkcs12(PASSWORD)},
        "nhs-client-cert-password": {"password": PASSWORD.encode()},
        "court-lists-client-cert": {"tls.crt": _lasting(authority, "court-lists", now, 10).chain_pem},
        "sentencing-client-cert": {"client.der": _lasting(authority, "sentencing", now, 0).certificate_der},
        "parole-client-cert": {"tls.crt": not_yet_valid.certificate_pem},
        "legal-aid-client-cert": {"tls.crt": _lasting(authority, "legal-aid-test", now, 200).certificate_pem},
    }


def _objects(authority: CertificateAuthority, visits: Issued, now: datetime) -> dict[str, bytes]:
    """A folder for each consumer: the certificate, its CSR, and the key if the team created it."""
    probation = _lasting(authority, "probation", now, -3)
    return {
        "prison-visits/client.pem": visits.certificate_pem,
        "prison-visits/client.csr": visits.csr_pem(),
        "probation/client.pem": probation.certificate_pem,
        "probation/client.csr": probation.csr_pem(),
        "probation/client.key": probation.private_key_pem,
        "tribunals/client.csr": _lasting(authority, "tribunals", now, 1).csr_pem(),
        "coroners/client.pem": _FAULTY_PAGE,
    }


def _sentence(name: str, duration: int) -> str:
    """The sentence of the alert, as documented."""
    return f"The certificate for {name} in prod will expire within the next {duration} days"


def _today(now: datetime) -> dict[str, Seen]:
    expired = now - timedelta(days=3) + _A_LITTLE
    return {
        "weather-prod": Seen("Valid", 300),
        NHS: Seen("ExpiringSoon", 22, "Expiring", _sentence("nhs", 23)),
        PRISON_VISITS: Seen("ExpiringSoon", 5, "Expiring", _sentence("prison-visits", 6), (TEAM, ON_CALL)),
        "court-lists-preprod": Seen("ExpiringSoon", 10),
        "sentencing-dev": Seen("ExpiringSoon", 0, "Expiring", "sentencing in dev will expire within the next 24 hours"),
        "probation-prod": Seen("Expired", -3, "Expired", f"probation in prod expired on {expired:%Y-%m-%d}"),
        "tribunals-prod": Seen("Missing", None, "SourceNotFound", "tribunals in prod is missing", ()),
        "coroners-prod": Seen("Unreadable", None, "NotACertificate", "coroners in prod could not be read"),
        "parole-prod": Seen("NotYetValid", 368, "NotYetValid"),
        "legal-aid-prod": Seen("Invalid", 200, "IdentityMismatch", "legal-aid in prod needs attention"),
    }


def _tomorrow(now: datetime) -> dict[str, Seen]:
    """One day later, with two certificates renewed."""
    last_day = now + _A_LITTLE
    changed = {
        "weather-prod": Seen("Valid", 299),
        NHS: Seen("Valid", 364),
        PRISON_VISITS: Seen("Valid", 393),  # the policy's default is 395 days
        "court-lists-preprod": Seen("ExpiringSoon", 9),
        "sentencing-dev": Seen("Expired", -1, "Expired", f"sentencing in dev expired on {last_day:%Y-%m-%d}"),
        "probation-prod": Seen("Expired", -4, "Expired", "probation in prod expired on"),
        "parole-prod": Seen("NotYetValid", 367, "NotYetValid"),
        "tribunals-prod": Seen("Missing", None, "SourceNotFound", "tribunals in prod is missing"),
        "legal-aid-prod": Seen("Invalid", 199, "IdentityMismatch", "legal-aid in prod needs attention"),
    }
    return {**_today(now), **changed}
