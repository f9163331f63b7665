"""ARIA (RFC 5794), the block cipher of Korea's PKCS#12 files, which the library does not have."""

from functools import cache, reduce
from operator import xor

_S1 = bytes.fromhex(
    "637c777bf26b6fc53001672bfed7ab76ca82c97dfa5947f0add4a2af9ca472c0b7fd9326363ff7cc34a5e5f171d83115"
    "04c723c31896059a071280e2eb27b27509832c1a1b6e5aa0523bd6b329e32f8453d100ed20fcb15b6acbbe394a4c58cf"
    "d0efaafb434d338545f9027f503c9fa851a3408f929d38f5bcb6da2110fff3d2cd0c13ec5f974417c4a77e3d645d1973"
    "60814fdc222a908846eeb814de5e0bdbe0323a0a4906245cc2d3ac629195e479e7c8376d8dd54ea96c56f4ea657aae08"
    "ba78252e1ca6b4c6e8dd741f4bbd8b8a703eb5664803f60e613557b986c11d9ee1f8981169d98e949b1e87e9ce5528df"
    "8ca1890dbfe6426841992d0fb054bb16"
)
_S2 = bytes.fromhex(
    "e24e54fc94c24acc620d6a463c4d8bd15efa64cbb497be2bbc772e03d31959c11d06416b55f09969ea9c18ae63dfe7bb"
    "007366fb964c85e43a0945aa0fee10eb2d7ff429accfad918d78c895f92fcecd087a88385c832a2847dbb8c793a41253"
    "ff870e3136215848018e377432cae9b1b7ab0cd7c4564226079860d9b6b91140ec208cbda0c984044923f14f501f13dc"
    "d8c09e57e3c37b653b028f3ee82592e515ddfd17a9bfd49a7ec53967fe769d43a7e1d0f568f21b347005a38ad57986a8"
    "30c6514b1ea627f635d26e2416825fdae675a2ef2cb21c9f5d6f800a72449b6c900b5b337d5a52f361a1f7b0d63f7c6d"
    "ed14e0a53d22b3f889de711aafbab581"
)
_INVERSE_S1, _INVERSE_S2 = (bytes(box.index(value) for value in range(256)) for box in (_S1, _S2))
_ODD_LAYER = (_S1, _S2, _INVERSE_S1, _INVERSE_S2) * 4
_EVEN_LAYER = (_INVERSE_S1, _INVERSE_S2, _S1, _S2) * 4
"""The substitution layers SL1 and SL2 (section 2.4.2)."""

_DIFFUSION = (
    (3, 4, 6, 8, 9, 13, 14),
    (2, 5, 7, 8, 9, 12, 15),
    (1, 4, 6, 10, 11, 12, 15),
    (0, 5, 7, 10, 11, 13, 14),
    (0, 2, 5, 8, 11, 14, 15),
    (1, 3, 4, 9, 10, 14, 15),
    (0, 2, 7, 9, 10, 12, 13),
    (1, 3, 6, 8, 11, 12, 13),
    (0, 1, 4, 7, 10, 13, 15),
    (0, 1, 5, 6, 11, 12, 14),
    (2, 3, 5, 6, 8, 13, 15),
    (2, 3, 4, 7, 9, 12, 14),
    (1, 2, 6, 7, 9, 11, 12),
    (0, 3, 6, 7, 8, 10, 13),
    (0, 3, 4, 5, 9, 11, 14),
    (1, 2, 4, 5, 8, 10, 15),
)
"""The octets whose XOR is each octet of the result (section 2.4.3). The matrix is symmetric, and its own inverse."""
_CONSTANTS = (
    0x517CC1B727220A94FE13ABE8FA9A6EE0,
    0x6DB14ACC9E21C820FF28B1D5EF5DE2B0,
    0xDB92371D2126E9700324977504E8C90E,
)
_ROUNDS = {16: 12, 24: 14, 32: 16}
_ROTATIONS = (19, 31, 128 - 61, 128 - 31, 128 - 19)
"""To the right, of the four intermediate values in the round keys (section 2.2)."""
_MASK = (1 << 128) - 1


class ARIA:
    """The decryption of one block, with a key of 128, 192 or 256 bits."""

    block_size = 16

    def __init__(self, key: bytes) -> None:
        rounds = _ROUNDS[len(key)]
        encryption_keys = _round_keys(key)[: rounds + 1]
        middle = (_diffused(each) for each in reversed(encryption_keys[1:-1]))
        self._keys = (encryption_keys[-1], *middle, encryption_keys[0])

    def decrypt_block(self, block: bytes) -> bytes:
        """Decrypt 16 octets."""
        state = int.from_bytes(block, "big")
        *keys, before_last, last = self._keys
        for number, key in enumerate(keys):
            state = _round(state ^ key, odd=number % 2 == 0)
        state ^= before_last
        substituted = bytes(box[octet] for box, octet in zip(_EVEN_LAYER, state.to_bytes(16, "big"), strict=True))
        return (int.from_bytes(substituted, "big") ^ last).to_bytes(16, "big")


def _round_keys(key: bytes) -> list[int]:
    left, right = int.from_bytes(key[:16], "big"), int.from_bytes(key[16:].ljust(16, b"\0"), "big")
    shift = (len(key) - 16) // 8
    first, second, third = (_CONSTANTS * 2)[shift : shift + 3]
    values = [left]
    values.append(_round(values[0] ^ first, odd=True) ^ right)
    values.append(_round(values[1] ^ second, odd=False) ^ values[0])
    values.append(_round(values[2] ^ third, odd=True) ^ values[1])
    turned = ((values[at], values[(at + 1) % 4], rotation) for rotation in _ROTATIONS for at in range(4))
    return [value ^ _rotated(following, rotation) for value, following, rotation in turned]


def _rotated(value: int, bits: int) -> int:
    return (value >> bits | value << (128 - bits)) & _MASK


def _round(state: int, *, odd: bool) -> int:
    """FO or FE after the key was added (section 2.4.1): substitution and diffusion, by one table for each octet."""
    result = 0
    for table, octet in zip(_tables(odd), state.to_bytes(16, "big"), strict=True):
        result ^= table[octet]
    return result


def _diffused(state: int) -> int:
    octets = state.to_bytes(16, "big")
    return reduce(xor, (_spread(at, octet) for at, octet in enumerate(octets)))


@cache
def _tables(odd: bool) -> tuple[tuple[int, ...], ...]:
    layer = _ODD_LAYER if odd else _EVEN_LAYER
    return tuple(tuple(_spread(at, box[octet]) for octet in range(256)) for at, box in enumerate(layer))


def _spread(at: int, octet: int) -> int:
    """The contribution of the octet at this position to the diffused state."""
    return sum(octet << 8 * (15 - position) for position in _DIFFUSION[at])
