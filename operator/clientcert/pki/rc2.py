"""RC2 (RFC 2268) with any effective key length; the library's RC2 has 128 bits only, and PKCS#12 mostly used 40."""

import struct
from collections.abc import Sequence

_PI_TABLE = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2179a59f587b34f1361456d8d09817d32"
    "bd8f40eb86b77b0bf09521225c6b4e8254d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed708e8eade8052eef784aa72ac354d6a2a"
    "961ad2715a1549744b9fd05e0418a4ecc2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a90d38341bab33ffb0bb480c5fb9b1cd2e"
    "c5f3db47e5a59c770aa62068fe7fc1ad"
)
_ROTATIONS = (1, 2, 3, 5)


class RC2:
    """The key schedule (section 2) and the decryption of one block (section 4)."""

    block_size = 8

    def __init__(self, key: bytes, effective_bits: int) -> None:
        expanded = bytearray(key) + bytes(128 - len(key))
        for at in range(len(key), 128):
            expanded[at] = _PI_TABLE[(expanded[at - 1] + expanded[at - len(key)]) & 0xFF]
        effective_octets = (effective_bits + 7) // 8
        first = 128 - effective_octets
        expanded[first] = _PI_TABLE[expanded[first] & (0xFF >> (-effective_bits % 8))]
        for at in reversed(range(first)):
            expanded[at] = _PI_TABLE[expanded[at + 1] ^ expanded[at + effective_octets]]
        self._key: Sequence[int] = struct.unpack("<64H", expanded)

    def decrypt_block(self, block: bytes) -> bytes:
        """Decrypt eight octets."""
        words = list(struct.unpack("<4H", block))
        for step in reversed(range(16)):
            if step in (4, 10):
                for at in (3, 2, 1, 0):
                    words[at] = (words[at] - self._key[words[at - 1] & 63]) & 0xFFFF
            for at in (3, 2, 1, 0):
                rotation = _ROTATIONS[at]
                word = (words[at] >> rotation | words[at] << (16 - rotation)) & 0xFFFF
                mixed = (words[at - 1] & words[at - 2]) + (~words[at - 1] & words[at - 3])
                words[at] = (word - self._key[4 * step + at] - mixed) & 0xFFFF
        return struct.pack("<4H", *words)
