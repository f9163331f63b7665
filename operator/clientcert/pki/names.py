"""Distinguished names, compared as names and not as text."""

from cryptography import x509


def same_name(one: str, other: str) -> bool:
    """Whether two RFC 4514 strings are the same name; where one cannot be read, whether the texts are equal."""
    if one == other:
        return True
    try:
        return x509.Name.from_rfc4514_string(one) == x509.Name.from_rfc4514_string(other)
    except ValueError:
        return False
