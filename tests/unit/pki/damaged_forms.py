"""Damage to a certificate by mail, pages, proxies, shells, editors and templates: nobody did it on purpose."""

import base64
import html
import json
import quopri
import textwrap
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from tests.unit.pki.certificates import pem


def each_line(change: Callable[[int, str], str]) -> Callable[[str], str]:
    return lambda text: "\n".join(change(number, line) for number, line in enumerate(text.splitlines(), 1)) + "\n"


def prefixed(prefix: str) -> Callable[[str], str]:
    return each_line(lambda _, line: prefix + line)


def suffixed(suffix: str) -> Callable[[str], str]:
    return each_line(lambda _, line: line + suffix)


def dashes(dash: str) -> Callable[[str], str]:
    return lambda text: text.replace("-----", dash)


def quoted_printable(text: str) -> str:
    return quopri.encodestring(text.encode()).decode().replace("=\n-----", "=3D\n-----")


def one_line(text: str) -> str:
    return text.replace("\n", " ")


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


OTHER, DASHES, MARK, SPACES = "beside the base64", "typographic dashes", "BEGIN or END line", "typographic spaces"
INVISIBLE, HTML, URL, ESCAPES = "invisible", "HTML", "URL-encoded", "backslash"
BASE64, URI, MAIL, WIDE, PLUS = "base64", "data: URI", "quoted-printable", "UTF-16", "plus signs"

OF_TEXT: dict[str, tuple[str, Callable[[str], str | bytes]]] = {
    "no-break spaces before": (SPACES, prefixed("\u00a0")),
    "no-break spaces behind": (SPACES, suffixed("\u00a0")),
    "no-break space in the label": (SPACES, lambda text: text.replace("BEGIN ", "BEGIN\u00a0")),
    "no-break spaces in Windows-1252": (SPACES, lambda text: prefixed("\u00a0")(text).encode("cp1252")),
    "ideographic spaces": (SPACES, prefixed("\u3000")),
    "line separators": (SPACES, lambda text: text.replace("\n", "\u2028")),
    "zero width spaces": (INVISIBLE, lambda text: "\u200b".join(text)),
    "soft hyphens": (INVISIBLE, lambda text: text.replace("A", "A\u00ad")),
    "byte order marks": (INVISIBLE, prefixed("\ufeff")),
    "colours": ("terminal", lambda text: text.replace("\n", "\x1b[0m\n\x1b[32m")),
    "quoted mail": (OTHER, prefixed("> ")),
    "quoted mail, three times": (OTHER, prefixed(">> > ")),
    "quoted mail without spaces": (OTHER, prefixed(">")),
    "comments of shells": (OTHER, prefixed("# ")),
    "comments of C": (OTHER, prefixed("// ")),
    "comments of SQL": (OTHER, prefixed("-- ")),
    "comments of batch files": (OTHER, prefixed("REM ")),
    "block comment": (OTHER, prefixed(" * ")),
    "patch": (OTHER, prefixed("+")),
    "reverted patch": (OTHER, prefixed("-")),
    "line numbers": (OTHER, each_line(lambda number, line: f"{number:4d}  {line}")),
    "line numbers and tabs": (OTHER, each_line(lambda number, line: f"{number}\t{line}")),
    "line numbers and colons": (OTHER, each_line(lambda number, line: f"{number}: {line}")),
    "grep": (OTHER, each_line(lambda number, line: f"client.pem:{number}:{line}")),
    "log": (OTHER, prefixed("2026-11-28T20:00:00Z INFO ")),
    "list": (OTHER, prefixed("- ")),
    "table": (OTHER, each_line(lambda _, line: f"| {line} |")),
    "list of strings": (OTHER, each_line(lambda _, line: f'"{line}",')),
    "echo": (OTHER, each_line(lambda _, line: f"echo {line}>> client.pem")),
    "line continuation of cmd": (OTHER, suffixed("^")),
    "carriage returns of an editor": (OTHER, suffixed("^M")),
    "carriage returns of Excel": (OTHER, suffixed("_x000D_")),
    "semicolons": (OTHER, lambda text: text.replace("\n", ";")),
    "en dashes": (DASHES, dashes("\u2013" * 5)),
    "em dashes": (DASHES, dashes("\u2014\u2014-")),
    "one em dash": (DASHES, dashes("\u2014")),
    "minus signs": (DASHES, dashes("\u2212" * 5)),
    "dashes in Windows-1252": (DASHES, lambda text: dashes("\u2013" * 5)(text).encode("cp1252")),
    "dashes in the wrong encoding": (MARK, lambda text: dashes("\u2013" * 5)(text).encode().decode("cp1252")),
    "dashes of a Mac": (MARK, lambda text: dashes("\u2013" * 5)(text).encode("mac_roman")),
    "four dashes": (MARK, dashes("----")),
    "six dashes": (MARK, dashes("------")),
    "no dashes": (MARK, dashes("")),
    "a dash lost at the start": (MARK, lambda text: text[1:]),
    "equals signs": (MARK, dashes("=====")),
    "lower case": (MARK, lambda text: text.replace("BEGIN CERTIFICATE", "begin certificate")),
    "capitals": (MARK, lambda text: text.replace("CERTIFICATE", "Certificate")),
    "underscore": (MARK, lambda text: text.replace("N CERTIFICATE", "N_CERTIFICATE")),
    "two spaces": (MARK, lambda text: text.replace("BEGIN ", "BEGIN  ")),
    "no END line": (MARK, lambda text: text.split("-----END")[0]),
    "no BEGIN line": (MARK, lambda text: text.split("-----\n", 1)[1]),
    "half of an END line": (MARK, lambda text: text.rstrip()[:-8]),
    "another label": (MARK, lambda text: text.replace("CERTIFICATE", "CLIENT CERT")),
    "entities": (
        HTML,
        lambda text: html.escape(text).replace("+", "&#43;").replace("/", "&#x2F;").replace("M", "&#77;"),
    ),
    "named entities": (HTML, lambda text: text.replace("=", "&equals;").replace("\n", "&NewLine;")),
    "entities twice": (HTML, lambda text: text.replace("M", "&amp;#77;")),
    "br": (HTML, lambda text: text.replace("\n", "<br>\n")),
    "br alone": (HTML, lambda text: text.replace("\n", "<br />")),
    "escaped br": (HTML, lambda text: text.replace("\n", "&lt;br&gt;")),
    "paragraphs": (HTML, each_line(lambda _, line: f'<p class="code: x">{line}</p>')),
    "nginx": (URL, lambda text: quote(text)),
    "nginx, everything": (URL, lambda text: quote(text, safe="")),
    "a load balancer of AWS": (URL, lambda text: "X-Amzn-Mtls-Clientcert: " + quote(text, safe="+=/")),
    "Envoy": (URL, lambda text: f'By=spiffe://a/b;Hash=ab;Cert="{quote(text, safe="")}";Subject="CN=nhs,O=x"'),
    "Envoy, the chain": (URL, lambda text: f'Hash=ab;Chain="{quote(text, safe="")}"'),
    "a form": (URL, lambda text: f"certificate={quote_plus(text)}&name=x"),
    "URL-encoded twice": (URL, lambda text: quote(quote(text))),
    "data URI of text": (URI, lambda text: "data:text/plain;base64," + base64_of(text)),
    "data URI, URL-encoded": (URL, lambda text: "data:application/x-pem-file," + quote(text)),
    "base64 in quotes": (BASE64, lambda text: f'"{base64_of(text)}"'),
    "base64 twice": (BASE64, lambda text: base64_of(base64_of(text))),
    "base64 four times": (BASE64, lambda text: base64_of(base64_of(base64_of(base64_of(text))))),
    "base64 of base64 in quotes": (BASE64, lambda text: base64_of(f'"{base64_of(text)}"\n')),
    "base64 of dashes": (BASE64, lambda text: base64_of(dashes("\u2014")(text))),
    "base64 of quoted mail in lower case": (
        BASE64,
        lambda text: base64_of(prefixed("> ")(text).replace("BEGIN", "begin")),
    ),
    "base64 of UTF-16": (BASE64, lambda text: base64.b64encode(text.encode("utf-16-le"))),
    "UTF-16 of base64": (WIDE, lambda text: base64_of(text).encode("utf-16")),
    "field of YAML": (BASE64, lambda text: f"tls.crt: {base64_of(text)}"),
    "binary in YAML": (
        BASE64,
        lambda text: "crt: !!binary |\n" + textwrap.indent(textwrap.fill(base64_of(text)), "  "),
    ),
    "environment file": (BASE64, lambda text: f'export TLS_CRT="{base64_of(text)}"'),
    "environment file of several lines": (
        BASE64,
        lambda text: f"APP=1\nTLS_KEY={base64_of('x' * 90)}\nTLS_CRT={base64_of(text)}\nOTHER=foo\n",
    ),
    "word breaks": (HTML, lambda text: "<wbr>".join(text)),
    "repr of Python": (BASE64, lambda text: repr(base64_of(text).encode())),
    "column of CSV": (BASE64, lambda text: f"nhs,{base64_of(text)},prod"),
    "PowerShell": (ESCAPES, lambda text: '$cert = "' + text.replace("\n", "`r`n") + '"'),
    "JSON": (ESCAPES, lambda text: json.dumps({"certificate": text})),
    "JSON of PHP": (ESCAPES, lambda text: json.dumps(text).replace("/", "\\/").replace("M", "\\u004d")),
    "JSON in JSON in JSON": (ESCAPES, lambda text: json.dumps(json.dumps(json.dumps({"c": text})))),
    "octal": (ESCAPES, lambda text: text.replace("\n", "\\012")),
    "hexadecimal escapes": (ESCAPES, lambda text: text.replace("\n", "\\x0a")),
    "strings of Java": (ESCAPES, each_line(lambda _, line: f'"{line}\\n" +')),
    "rich text": (ESCAPES, lambda text: "{\\rtf1\\ansi " + text.replace("\n", "\\par\n") + "}"),
    "line continuation": (ESCAPES, suffixed("\\")),
    "UTF-16 and typographic": (WIDE, lambda text: dashes("\u2014")(text).encode("utf-16")),
    "mail in one line": (MAIL, lambda text: quoted_printable(one_line(text))),
    "mail with dashes": (MAIL, lambda text: quoted_printable(dashes("\u2013" * 5)(text))),
    "quoted mail, encoded": (MAIL, lambda text: prefixed("> ")(quoted_printable(text).replace("-----", "=2D" * 5))),
    "several": (HTML, lambda text: dashes("\u2013" * 5)(prefixed("> ")(text)).replace("M", "&#77;")),
    "form with lost plus signs": (PLUS, lambda text: text.replace("+", " ")),
}
"""Words of a warning, and what happened to a PEM text."""

OF_BASE64: dict[str, tuple[str, Callable[[str], str]]] = {
    "data URI": (URI, lambda text: "data:application/pkix-cert;base64," + text),
    "data URI in capitals and quotes": (URI, lambda text: f'"DATA:APPLICATION/PKIX-CERT;BASE64,{text}"'),
    "data URI, URL-encoded": (URL, lambda text: "data:application/pkix-cert;base64," + quote(text, safe="") + "%3D"),
    "RFC 9440": (BASE64, lambda text: f"Client-Cert: :{text}:"),
    "Traefik, URL-encoded": (URL, lambda text: quote(text, safe="") + "%3D"),
    "quotes of a word processor": (BASE64, lambda text: f"\u201c{text}\u201d"),
    "lines in quoted mail": (OTHER, lambda text: prefixed("> ")(textwrap.fill(text, 64))),
    "numbered lines": (
        OTHER,
        lambda text: each_line(lambda number, line: f"{number}: {line}")(textwrap.fill(text, 64)),
    ),
    "LDIF": (
        BASE64,
        lambda text: "dn: cn=nhs\ncn: nhs\nuserCertificate;binary:: " + textwrap.fill(text, 76).replace("\n", "\n "),
    ),
    "environment file": (BASE64, lambda text: f"APP=1\nexport TLS_CRT={text}\nOTHER=foo\n"),
    "Dockerfile": (BASE64, lambda text: f"FROM scratch\nENV TLS_CRT={text}\n"),
    "systemd": (BASE64, lambda text: f'Restart=no\nEnvironment="TLS_CRT={text}"\n'),
    "attachment": (
        BASE64,
        lambda text: (
            "Content-Type: multipart/mixed; boundary=xx\n\n--xx\nContent-Type: text/plain\n\nhello\n--xx\n"
            f"Content-Transfer-Encoding: base64\n\n{textwrap.fill(text, 76)}\n--xx--\n"
        ),
    ),
}
"""The same of base64 without BEGIN and END lines."""


def damaged(der: bytes) -> dict[str, tuple[str, bytes]]:
    """A certificate in all of these forms, each with the words of a warning."""
    text, plain = pem(der).decode(), base64.b64encode(der).decode()
    forms = {name: (words, change(text)) for name, (words, change) in OF_TEXT.items()}
    forms |= {f"{name} of base64": (words, change(plain)) for name, (words, change) in OF_BASE64.items()}
    return {name: (words, form if isinstance(form, bytes) else form.encode()) for name, (words, form) in forms.items()}
