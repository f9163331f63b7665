"""The sizes of all measurements."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """The goals are stated for these numbers; the results of any other run contain its sizes."""

    small: int = 1_000
    """Certificates at the lower end of the memory slope."""
    large: int = 10_000
    """Certificates at its upper end, and for every goal that is stated at 10,000."""
    bucket: int = 1_000
    """Certificates in the S3 bucket."""
    polls: int = 5
    """Polls of the bucket that are counted."""
    renewals: int = 200
    """Secrets that are replaced."""
    unrelated: int = 100
    """Secrets of 1 MiB that no object refers to."""
    rounds: int = 2
    """Cold starts of each side."""
    rush: int = 1_000
    """Certificates that fall due at the same second."""
    month: int = 1_000
    """Certificates of the simulated month."""
    days: int = 30
    """The length of that month."""
    scale: int = 100_000
    """Certificates of P11."""
    requests: int = 1_000
    """Requests for renewals that wait for approval."""

    @classmethod
    def scaled_to(cls, large: int, scale: int) -> "Sizes":
        return cls(small=max(large // 10, 1), large=large, scale=scale, requests=min(1_000, large))

    @classmethod
    def quick(cls) -> "Sizes":
        """Sizes for a test of the bench itself: the figures mean nothing."""
        return cls(
            small=100,
            large=1_000,
            bucket=200,
            polls=2,
            renewals=40,
            unrelated=20,
            rounds=1,
            rush=100,
            month=50,
            days=10,
            scale=2_000,
            requests=50,
        )
