"""Accepted and refused values of each string format, by the error message."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.deploy.pem_texts import CMS, CSR, PUBLIC_KEY


@dataclass(frozen=True)
class Format:
    accepted: list[str]
    refused: list[str]
    of_length: Callable[[int], str] = lambda length: "x" * length
    """An accepted string of exactly that length, if the field's maxLength allows it."""


INVISIBLE = ["a\nb", "a\r\nb", "a\tb", "a\x00b", "a\x1b[31mb", "a\x7fb", "a\u200bb", "a\u202eb", "a\u2028b", "\ufeffa"]
"""Line ends, control characters, zero-width characters, and marks that change the direction of text."""

NAME = "must be one line of visible characters without < or >, words separated by one space"
LINE = "must be one line, not empty, without control or invisible characters"
DN = (
    r"must be a DN on one line, such as CN=nhs,O=Example\, Inc.,C=GB: "
    r'known types or OIDs, and a backslash before , + ; " \ in a value'
)
LINE_OR_NOTHING = "must be one line without control or invisible characters"
TEXT = "must be visible text, without control or invisible characters but line breaks"
SERIAL_NUMBER = "must be a serial number in lower-case hex, as in status.certificate.serialNumber"
FIELDS = "may hold no braces but those of {name}, {environment}, {duration}, {date}, {serialNumber} and {owner}"
EMAIL = "must be one plain e-mail address such as jo@nhs.example, without a name, comma, space or angle brackets"
SMTPUTF8 = "needs SMTPUTF8, which the operator does not use: write only ASCII letters before the @"
MEMBER_ID = "must be a Slack member ID such as U012AB3CD"
SLACK_CHANNEL = "must be a Slack channel such as #api-alerts in lower case, or its ID such as C012AB3CD"
OBJECT_NAME = "must be an object's name: lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
SECRET_KEY = "must be a key of a Secret: letters, digits, '-', '_' and '.'"
CHANNEL_NAME = "must be lower-case letters, digits and '-', with a letter or digit at both ends"
TIME = "must be an RFC 3339 time such as 2026-12-24T00:00:00Z"
TIME_OF_DAY = 'must be a time of day from "00:00" to "23:59"'
TIME_ZONE = "must be an IANA time zone such as Europe/London or UTC"
LINK = (
    "must be a link such as https://runbooks.example/client-certificates, "
    "without spaces, quotes, <, > or |, and without a user"
)
BUCKET = (
    "must be an S3 bucket name: 3 to 255 letters, digits, '-', '_' and '.', "
    "with no '.' at an end or beside another, and no IP address"
)
REGION = "must be a region such as eu-west-2: lower-case letters, digits and '-'"
ENDPOINT = "must be scheme, host, port and path alone, such as https://minio.example:9000, without user or query"
KEY_PATTERN = (
    "must have {consumer} once and no other field, such as {consumer}/client.pem, "
    "on one line without control or invisible characters"
)
GRACE = "must be a time from 0s to 24h, such as 30s, 2m or 1h30m"
POLL_EVERY = "must be a time from 10s to 24h, such as 30s, 5m or 1h30m"
KIND = "must be a kind such as Issuer: letters and digits, a capital letter first"
COUNTRY = "must be the two capital letters of a country, such as GB"
SHA256 = "must be a SHA-256 in lower-case hex"
ANOTHER_KEY = "this holds a private key: nobody but its owner may have it, so have the consumer make another key"

FORMATS = {
    KEY_PATTERN: Format(
        accepted=["{consumer}/client.pem", "{consumer}", "live/client-{consumer}.pem", "ü {consumer}/ü.pem"],
        refused=["", "client.pem", "{consumer}/{consumer}.pem", "{name}/client.pem", "{consumer}/}", "{{consumer}}"]
        + [f"{{consumer}}/{each}" for each in INVISIBLE],
        of_length=lambda length: "{consumer}".ljust(length, "x"),
    ),
    NAME: Format(
        accepted=[
            "ü" * 64,
            "nhs",
            "Jo Bloggs",
            "O'Brien & Sons",
            "integration_manager.v2",
            "Süd-Gesundheit",
            "日本 保険",
            "*.a/b:c",
        ],
        refused=["", " nhs", "nhs ", "a  b", "a\u00a0b", "<!channel>", "<https://a.example|b>", *INVISIBLE],
    ),
    LINE: Format(
        accepted=["nhs/client.pem", "/a//b", "CN=nhs\\, live,O=<NHS>", " ", "Zoë & 日本"],
        refused=["", *INVISIBLE],
    ),
    DN: Format(
        accepted=[
            *(
                "CN=nhs,O=Example,C=GB",
                "cn=nhs, o=Example, c=GB",
                "CN = nhs,O=Example;C=GB",
                "CN=nhs+serialNumber=12,C=GB",
            ),
            *("C = GB, O = Example, CN = nhs", "C=GB, O=Example, CN=nhs", "/C=GB/O=Example, Inc./CN=nhs", "/CN=a/b"),
            *(
                "EMAILADDRESS=jo@nhs.example, CN=nhs",
                "E=jo@nhs.example, S=Kent, CN=nhs",
                "/C=GB/emailAddress=jo@a.example",
            ),
            *(
                "CN=nhs,O=Example\\, Inc.",
                'O = "Example, Inc.", CN = nhs',
                "CN=nhs\\00\\E2\\80\\8B",
                "CN=#0c036e6873",
                "CN=",
            ),
            *("2.5.4.3=nhs", "OID.1.2.840.113549.1.9.1=jo@a.example", "DC=example,DC=corp", "CN=Zoë <日本> = #1"),
        ],
        refused=[
            *(
                "",
                "nhs",
                "=nhs",
                "CN",
                "FOO=nhs",
                "subject=CN = nhs",
                "CN=nhs,",
                ",CN=nhs",
                "CN=nhs,,C=GB",
                "CN=nhs,FOO=x",
            ),
            *(
                "CN=nhs,O=Example, Inc.,C=GB",
                "CN=a+b",
                'CN="nhs',
                'CN=n"h"s',
                'CN="nhs"x',
                "CN=nhs\\",
                "/FOO=nhs",
                "C/N=nhs",
            ),
            *("CN=nhs/O=Example,Inc", "https://nhs.example", "2.5.4.=nhs", *(f"CN={text}" for text in INVISIBLE)),
        ],
        of_length=lambda length: "CN=".ljust(length, "x"),
    ),
    LINE_OR_NOTHING: Format(accepted=["", "clients/", "a b"], refused=INVISIBLE),
    TEXT: Format(
        accepted=["one line", "Hello {name}\n\nIt ends on {date}.\n", "Zoë & 日本", "<b>"],
        refused=["", *(text for text in INVISIBLE if text != "a\nb")],
    ),
    SERIAL_NUMBER: Format(
        accepted=["0", "1a2b3", "-7f"],
        refused=["", "0x1a", "1A2B", "1a:2b", "1a 2b", "-", "1a\n"],
        of_length=lambda length: "a" * length,
    ),
    FIELDS: Format(
        accepted=["{name}{environment} {duration} {date} {serialNumber} {owner}", "no field at all"],
        refused=[
            "{consumer}",
            "{name.__class__}",
            "{name!r}",
            "{0}",
            "{}",
            "{{name}}",
            "{name",
            "name}",
            "{duration:>9}",
        ],
    ),
    EMAIL: Format(
        accepted=[
            *("jo@nhs.example", "jo.bloggs+ca@mail.nhs.example", "o'brien@a-b.example", "1@2.example"),
            *(
                "jo@münchen.example",
                "jo@xn--mnchen-3ya.example",
                "jo@例え.テスト",
                "jo@пример.испытание",
                "jo@उदाहरण.example",
            ),
        ],
        refused=[
            *("", "jo", "jo@", "@nhs.example", "jo@nhs", "jo@nhs..example", "jo@-nhs.example", "jo@nhs.example."),
            *("Jo <jo@nhs.example>", "jo@nhs.example,sam@nhs.example", "jo@nhs.example\nBcc: x@y.example"),
            *("jo@nhs.example\r\n", "jo bloggs@nhs.example", "jo@[127.0.0.1]", "jo@sam@nhs.example", "jö@nhs.example"),
            *("jo@nhs。example", "jo@nhs.\u200dexample", "jo@-münchen.example", "jo@münchen", "jo@👍.example"),
        ],
        of_length=lambda length: f"jo@{'x' * (length - 11)}.example",
    ),
    SMTPUTF8: Format(
        accepted=["jo@nhs.example", "jo@münchen.example"],
        refused=["jö@nhs.example", "用户@例え.テスト", "jo.o\u2019neil@nhs.example", "jo\u200b@nhs.example", "ö@nhs"],
        of_length=lambda length: f"jo@{'x' * (length - 11)}.example",
    ),
    MEMBER_ID: Format(
        accepted=["U012AB3CD", "W012AB3CD"],
        refused=["", "u012ab3cd", "C012AB3CD", "@jo", "U012 AB3CD", "U012AB3CD>"],
        of_length=lambda length: "U".ljust(length, "0"),
    ),
    SLACK_CHANNEL: Format(
        accepted=["#api-alerts", "api_alerts", "#прод-2", "C012AB3CD", "G012AB3CD"],
        refused=["", "#", "#API-Alerts", "#api alerts", "##api", "@jo", "<!channel>", "#api\nalerts", "U012AB3CD"],
        of_length=lambda length: "#".ljust(length, "x"),
    ),
    OBJECT_NAME: Format(
        accepted=["a", "backup-prod", "nhs.client.1"],
        refused=["", "Backup", "a_b", "-a", "a-", ".a", "a.", "a..b", "other-namespace/a", "a\n"],
    ),
    SECRET_KEY: Format(
        accepted=["tls.crt", "client_p12", "A-1", ".p12"],
        refused=["", "a/b", "a b", "ключ", "a\n", "a:b"],
    ),
    CHANNEL_NAME: Format(accepted=["a", "team-1"], refused=["", "Team", "-a", "a-", "a.b", "a b", "a\n"]),
    TIME: Format(
        accepted=["2026-12-24T00:00:00Z", "2026-12-24T00:00:00.5+01:00", "2028-02-29T23:59:59-23:59"],
        refused=[
            *("", "tomorrow", "2026-12-24", "2026-12-24T00:00:00", "2026-12-24 00:00:00Z", "2026-12-24t00:00:00z"),
            *("2026-02-30T00:00:00Z", "2026-12-24T24:00:00Z", "2026-12-24T00:00:00+24:00", "0001-01-01T00:00:00Z"),
            "9999-12-31T23:59:59-01:00",  # in UTC it is in the year 10000
        ],
        of_length=lambda length: f"2026-12-24T00:00:00.{'1' * (length - 26)}+00:00",
    ),
    TIME_OF_DAY: Format(
        accepted=["00:00", "09:30", "23:59"],
        refused=["", "24:00", "09:60", "9:00", "09.00", "9am"],
        of_length=lambda length: "09:00".ljust(length, "0"),
    ),
    TIME_ZONE: Format(
        accepted=["UTC", "Europe/London", "America/Argentina/Buenos_Aires", "Etc/GMT+1"],
        refused=["", "Europe London", "/etc/passwd", "../UTC", "Europe/", "+01:00", "a/b/c/d"],
    ),
    LINK: Format(
        accepted=[
            "https://a.example",
            "http://runbooks:8080/x?y=z#top",
            "https://a.example?q=%20",
            "https://a.example/(x)",
        ],
        refused=[
            *("", "a.example", "ftp://a.example", "javascript:alert(1)", "https://", "https://jo@a.example"),
            *("https://a.example/x y", "https://a.example/|click", "https://a.example/>", "https://a.example/\nx"),
            *('https://a.example/"', "https://a.example/é", "https://a.example:x/"),
        ],
        of_length=lambda length: "https://a.example/".ljust(length, "x"),
    ),
    BUCKET: Format(
        accepted=["abc", "a.b", "a-1.b-2", "Bucket", "a_b", "abc-", "abc_", "X" * 255],
        refused=[
            "",
            "ab",
            "-abc",
            "_abc",
            ".abc",
            "abc.",
            "a..b",
            "..",
            "192.168.0.1",
            "1.2",
            "a/b",
            "a b",
            "ä_b",
            "abc\n",
        ],
    ),
    REGION: Format(
        accepted=["eu-west-2", "garage"], refused=["", "EU-West-2", "eu west", "-a", "a-", "a.b", "a/b", "x@y"]
    ),
    ENDPOINT: Format(
        accepted=[
            *("https://s3.example", "http://10.0.0.7:9000", "http://minio:9000", "https://[fd00::1]:9000"),
            *("https://minio.example/", "https://storage.example/storage/v1/s3", "http://minio:9000/a-b_c~d.e/"),
        ],
        refused=[
            *("", "minio.example", "s3://minio.example", "https://key:secret@minio.example", "https://minio.example//"),
            *("https://minio.example?x", "https://minio.example/s3?x", "https://minio.example#x", "https://a b"),
            *("https://minio.example/..", "https://minio.example/a/../b", "https://minio.example/.", "https://a/%2e"),
            *("https://minio.example:", "https://minio.example:port", "https://a.example\\@b.example", "https://a\n"),
        ],
        of_length=lambda length: "https://".ljust(length, "x"),
    ),
    GRACE: Format(
        accepted=["0s", "0m", "30s", "2m", "1h30m", "24h", "86400s"],
        refused=["", "0", "2", "2 m", "24h1s", "25h", "-1s", "1d", "5m1h", "1.5h", "500ms"],
        of_length=lambda length: f"00001h{'0' * (length - 11)}m005s",
    ),
    POLL_EVERY: Format(
        accepted=["10s", "5m", "1h30m", "24h", "86400s", "1h0m1s"],
        refused=["", "5", "5 m", "9s", "24h1s", "25h", "0s", "-5m", "1d", "5m1h", "1.5h", "600000ms"],
        of_length=lambda length: f"00001h{'0' * (length - 11)}m005s",
    ),
    KIND: Format(
        accepted=["Issuer", "ClusterIssuer", "AWSPCAIssuer", "A"],
        refused=["", "issuer", "Cluster Issuer", "Issuer/a", "1Issuer", "Issuer\n"],
        of_length=lambda length: "I".ljust(length, "s"),
    ),
    COUNTRY: Format(
        accepted=["GB", "DE"], refused=["", "G", "gb", "G1", "\n\n"], of_length=lambda length: "G" * length
    ),
    SHA256: Format(
        accepted=["0123456789abcdef" * 4],
        refused=["", "a" * 63, "A" * 64, "g" * 64],
        of_length=lambda length: "a" * length,
    ),
}
for pem, called, alone in (
    (CSR, "one certification request as PEM", ", and send only the CSR"),
    (PUBLIC_KEY, "one public key as PEM", ", and send only the public key"),
    (CMS, "CMS as PEM", ""),
):
    FORMATS[f"must be {called}, and nothing else: clientcert renew converts other forms"] = Format(
        accepted=pem.forms, refused=pem.others, of_length=pem.of_length
    )
    FORMATS[f"{ANOTHER_KEY}{alone}"] = Format(
        accepted=pem.forms, refused=pem.with_a_private_key, of_length=pem.of_length
    )
