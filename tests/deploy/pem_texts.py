"""Texts that look like PEM, of any length: the schema checks their form, and the operator their content."""

from dataclasses import dataclass

PRIVATE_KEYS = [
    f"-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n"
    for label in ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY")
]


@dataclass(frozen=True)
class PemText:
    """One kind of block, by its label."""

    label: str

    @property
    def block(self) -> str:
        return self.of_length(200)

    @property
    def others(self) -> list[str]:
        """The texts that a field for this kind refuses."""
        return [
            "",
            "AAAA",
            self.block.replace("\n", " "),
            self.block.removesuffix(f"-----END {self.label}-----\n"),
            self.block.replace(self.label, "CERTIFICATE"),
            f"Hello,\n\n{self.block}",
            self.block + self.block,
            f"{self.block}MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n",
            self.block.replace("AAAA", "A: A", 1),
        ]

    @property
    def forms(self) -> list[str]:
        """Other texts it accepts: line breaks of Windows, blanks at the ends of lines, no line break at the end."""
        return [self.block, self.block.replace("\n", "\r\n"), self.block.replace("\n", "  \n"), self.block.strip()]

    @property
    def with_a_private_key(self) -> list[str]:
        return [*PRIVATE_KEYS, *(self.block + key for key in PRIVATE_KEYS), PRIVATE_KEYS[0] + self.block]

    def of_length(self, length: int) -> str:
        """A block of exactly that many characters."""
        begin, end = f"-----BEGIN {self.label}-----\n", f"-----END {self.label}-----\n"
        lines, rest = "", length - len(begin) - len(end)
        while rest:
            taken = rest if rest <= 66 else 65
            lines, rest = lines + "A" * (taken - 1) + "\n", rest - taken
        return begin + lines + end


CSR = PemText("CERTIFICATE REQUEST")
PUBLIC_KEY = PemText("PUBLIC KEY")
CMS = PemText("CMS")
