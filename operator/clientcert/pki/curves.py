"""Checks that a point is on its curve: P-256 and P-384 (FIPS 186-5), and edwards25519 (RFC 8032)."""

from dataclasses import dataclass

UNCOMPRESSED, COMPRESSED_EVEN, COMPRESSED_ODD = 4, 2, 3
"""The first octet of a point (SEC 1 section 2.3.3)."""


class NotOnCurveError(ValueError):
    """These octets are no point of the curve, or are one that no key has."""


@dataclass(frozen=True, slots=True)
class Curve:
    """y² = x³ - 3x + b, modulo a prime of which the remainder by 4 is 3."""

    name: str
    oid: str
    prime: int
    b: int

    @property
    def octets(self) -> int:
        """The length of a coordinate."""
        return (self.prime.bit_length() + 7) // 8


P256 = Curve(
    "P-256",
    "1.2.840.10045.3.1.7",
    2**256 - 2**224 + 2**192 + 2**96 - 1,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
)
P384 = Curve(
    "P-384",
    "1.3.132.0.34",
    2**384 - 2**128 - 2**96 + 2**32 - 1,
    0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
)
CURVES = {each.oid: each for each in (P256, P384)}


def read_point(curve: Curve, point: bytes) -> tuple[int, int]:
    """The coordinates of a point, compressed or not (SEC 1 section 2.3.4); raises NotOnCurveError."""
    size, form = curve.octets, point[:1]
    if form == bytes([UNCOMPRESSED]) and len(point) == 2 * size + 1:
        x, y = int.from_bytes(point[1 : size + 1], "big"), int.from_bytes(point[size + 1 :], "big")
    elif form in (bytes([COMPRESSED_EVEN]), bytes([COMPRESSED_ODD])) and len(point) == size + 1:
        x = int.from_bytes(point[1:], "big")
        y = pow(_right_side(curve, x), (curve.prime + 1) // 4, curve.prime)
        if y % 2 != point[0] % 2:
            y = curve.prime - y
    else:
        raise NotOnCurveError("not a point")
    if max(x, y) >= curve.prime or y * y % curve.prime != _right_side(curve, x):
        raise NotOnCurveError("not on the curve")
    return x, y


def write_point(curve: Curve, x: int, y: int) -> bytes:
    """The uncompressed form."""
    return bytes([UNCOMPRESSED]) + x.to_bytes(curve.octets, "big") + y.to_bytes(curve.octets, "big")


def _right_side(curve: Curve, x: int) -> int:
    return (x * x * x - 3 * x + curve.b) % curve.prime


_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)


def check_ed25519(point: bytes) -> None:
    """Raises NotOnCurveError for what is no point (RFC 8032 section 5.1.3), or one of the eight of small order."""
    if len(point) != 32:
        raise NotOnCurveError("not a point")
    number = int.from_bytes(point, "little")
    is_odd, y = number >> 255, number & (1 << 255) - 1
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P != u:
        x = x * _ROOT_OF_MINUS_1 % _P
    if y >= _P or v * x * x % _P != u or (x == 0 and is_odd):
        raise NotOnCurveError("not on the curve")
    z = 1
    for _ in range(3):  # doubled three times, a point of small order is the neutral one; its sign does not matter
        x, y, z = _doubled(x, y, z)
    if x == 0 and y == z:
        raise NotOnCurveError("a point of small order")


def _doubled(x: int, y: int, z: int) -> tuple[int, int, int]:
    """RFC 8032 section 5.1.4, without the coordinate that only additions need."""
    c, d = x * x % _P, y * y % _P
    f = d - c
    j = f - 2 * z * z
    return ((x + y) ** 2 - c - d) * j % _P, f * (-c - d) % _P, f * j % _P
