"""What people are told, word for word: the documentation's sentences, with a consumer as the team calls it."""

from datetime import datetime

from tools.certificates import Issued


def expiring(name: str, days: int, environment: str = "prod") -> str:
    """Before the last day; `days` are rounded up."""
    return f"The certificate for {name} in {environment} will expire within the next {days} days"


def expired(name: str, not_after: datetime, days: int) -> str:
    """After notAfter; `days` are whole days that have passed."""
    ago = f"{days} day{'s' * (days > 1)} ago" if days else "less than a day ago"
    return f"The certificate for {name} in prod expired on {not_after:%Y-%m-%d}, {ago}: no replacement has been seen"


def replaced(name: str, new: Issued) -> str:
    """The closing message."""
    return (
        f"The certificate for {name} in prod was replaced by serial number {new.serial_number_hex},"
        f" valid until {new.not_after:%Y-%m-%d}"
    )


def readable(name: str, new: Issued) -> str:
    """The closing message of alerts that were about a certificate nobody had ever read."""
    return (
        f"The certificate for {name} in prod can be read now: serial number {new.serial_number_hex},"
        f" valid until {new.not_after:%Y-%m-%d}"
    )
