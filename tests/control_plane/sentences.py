"""The expected sentences of messages, word for word, with the team's name of the consumer."""

from datetime import datetime

from tools.certificates import Issued


def expiring(name: str, days: int, environment: str = "prod") -> str:
    """Before the last day; `days` are rounded up."""
    return f"The certificate for {name} in {environment} will expire within the next {days} days"


def expired(name: str, not_after: datetime, days: int) -> str:
    """After notAfter; `days` are whole days since then."""
    ago = f"{days} day{'s' * (days > 1)} ago" if days else "less than a day ago"
    return f"The certificate for {name} in prod expired on {not_after:%Y-%m-%d}, {ago}: no replacement has been seen"


def replaced(name: str, new: Issued) -> str:
    """The closing message."""
    return (
        f"The certificate for {name} in prod was replaced by serial number {new.serial_number_hex},"
        f" valid until {new.not_after:%Y-%m-%d}"
    )


def readable(name: str, new: Issued) -> str:
    """The closing message after alerts about a certificate that had never been read."""
    return (
        f"The certificate for {name} in prod can be read now: serial number {new.serial_number_hex},"
        f" valid until {new.not_after:%Y-%m-%d}"
    )
