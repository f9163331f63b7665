"""Names a text without a certificate by its first characters: a placeholder, another format, another file."""

import re

from clientcert.errors import Reason

LONGEST_BEGINNING = 8_000

_NOT, _BROKEN, _UNSUPPORTED = Reason.NOT_A_CERTIFICATE, Reason.INVALID_CERTIFICATE, Reason.UNSUPPORTED_FORMAT
_KEY = Reason.PRIVATE_KEY_ONLY

_WORD = (
    "null|nil|none|undefined|nan|n/?a|true|false|empty|todo|tbd|fixme|x+|-+|\\*+|\\.+|change-?it|dummy|example|sample"
    "|test|secret|redacted|masked|hidden|filtered|sensitive|unset|missing|pending|placeholder|string|object|value"
    "|certificate|cert|mii[a-z0-9]{0,8}(?:\\.{2,4}|\u2026)"
    "|\\[(?:object object|redacted|masked|filtered|hidden|snip|snipped|omitted|truncated|\\.{3}|\u2026)\\]"
    "|\\*{2,5}(?:redacted|masked|filtered|hidden)\\*{2,5}"
    "|\\((?:null|sensitive value|known after apply)\\)|%!.?\\(.{1,40}\\)|\\{\\}|\\[\\]|system\\.byte\\[\\]"
)
_REQUEST = (
    "(?:replace|insert|put|paste|add|enter|fill|update|change|set|your|my|the|todo|fixme|placeholder|base64)"
    "(?:[ _-]?[A-Za-z0-9.]{1,30}){1,8}[.!]?"
)
_MARKUP = r"(?:!|\?|/|(?:html|head|body|error|pre|div|p|script|title|br|center|table)\b)"
_EXPRESSION = (
    r"[`']?\$\{|\$\(|\$env:|#\{|\{\{|\{%|\[\[|\(\(|<%|%\(|\$\$?[A-Z_][A-Z0-9_]{0,80}[\"\']?\s*$|%[A-Z_]{2,60}%|@[A-Z_]{2,60}@"
    r"|__[A-Za-z0-9_.-]{1,80}__|\{[A-Za-z_][\w.-]{0,60}\}[\"']?\s*$"
)
_STORES = (
    r"ref\+|secretref[+:]|vault(?:::?|://|\+)(?!v[0-9]+:)|op://|bws?://|pass://|sm://|ssm:|aws-?ssm|aws-?sm|aws-?ps|gcp-?sm"
    r"|azkv|azurekv|akeyless|doppler|infisical|keeper://|keyring:|lastpass|1password|secretsmanager|secrets?://"
    r"|gcp-?secret|projects/[^/]{1,80}/secrets|arn:aws|@Microsoft\.KeyVault|https://[^/]{1,80}\.vault\.azure\.net"
    r"|file:|env[:.]|k8s://|kubernetes://|!vault\b|akv|keyvault|conjur|cyberark|!(?:var|Ref|Sub|secret|include|GetAtt|ImportValue|Fn::)\b"
    r"|berglas://|chamber://|teller://|tencent-ssm|yandex-lockbox|summon:|credhub:"
    r"|avp:|path:|secret:|getenv\("
)
_PATH = r"(?:[A-Za-z]:\\|\\\\|\.{0,2}/|~/|@)?[\w. /\\-]{0,200}\.(?:pem|crt|cer|der|p12|pfx|jks|p7b|key)\s*$"
_ARCHIVES = (
    r"PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|MSCF|LZIP|!<arch>"
    r"|(?s:.{257})ustar"
)
_HEXADECIMAL = (
    r"(?:0{4,8}:?\s+)?(?:0x|\\x)?30[\s:,-]{0,3}(?:0x|\\x)?8[0-4](?:[\s:,-]{0,3}(?:0x|\\x)?[0-9A-Fa-f]{2}){14}"
)
_FAILURE = (
    "error|fatal|unable|cannot|could not|permission denied|access denied|forbidden|unauthorized|not found|40[0-9]|curl:"
)

_ENCRYPTED = {
    "sops": r"(?s:.{0,4000})[\"']?\bsops[\"']?:\s",
    "git-crypt": r"\0?GITCRYPT",
    "age": r"-----BEGIN AGE|age-encryption\.org",
    "ansible-vault": r"\$ANSIBLE_VAULT",
    "Vault's transit engine": r"vault:v[0-9]+:",
    "the API server": r"k8s:enc:",
    "dotenvx": r"encrypted:[A-Za-z0-9+/=]{20}",
    "Sealed Secrets": r"Ag[A-D][A-Za-z0-9+/]{200}",
    "AWS KMS": r"AQICAH[A-Za-z0-9+/]{60}",
    "openssl enc": r"Salted__|U2FsdGVkX1",
}
_PLACEHOLDERS = (
    (
        rf"(?i:{_WORD}|{_REQUEST})[\"']?\s*$|<(?!(?i:{_MARKUP}))[^<>\n]{{1,200}}>[\"']?\s*$|{_EXPRESSION}",
        "this is a placeholder that was not replaced: let the tool that writes it fill in the certificate, as PEM",
    ),
    (
        rf"(?i:{_STORES})",
        "this is a placeholder for a secret that is kept elsewhere: let its tool put the certificate there",
    ),
    (
        r"(?s:[{\[\s\"'\w.:/-]{0,200})ENC[\[(]|\{cipher\}",
        "this is an encrypted placeholder (sops, eyaml, jasypt, Spring): decrypt it, and put the certificate there",
    ),
)
_STORES_AND_KEYS = (
    (r"-*\s*BEGIN SSH2|ssh-|ecdsa-sha2-|sk-", _NOT, "this is an SSH key: put an X.509 certificate there"),
    (r"PuTTY-User-Key-File", _KEY, "this is a private key of PuTTY: put an X.509 certificate there"),
    (r"openssh-key-v1", _KEY, "this is a private key of OpenSSH: put an X.509 certificate there"),
    (r"-----BEGIN PGP", _NOT, "this is an OpenPGP key or message: put an X.509 certificate there, as PEM"),
    (r"\x1e\xf1\xb5\xb0", _KEY, "this is a private key (PVK): put the certificate there"),
    (
        r"SQLite format 3|\x06\x15a|a\x15\x06",
        _UNSUPPORTED,
        "this is a database, perhaps of NSS (cert9.db): export the certificate with certutil or pk12util",
    ),
    (r"kych", _UNSUPPORTED, "this is a keychain of macOS: export the certificate as PKCS#12 or PEM"),
    (r"CERT[\x00-\x20]", _UNSUPPORTED, "this is a Windows certificate store (SST): export the certificate as PEM"),
    (r"GnomeKeyring|KWALLET|\x03\xd9\xa2\x9a", _UNSUPPORTED, "this is a password store: export the certificate as PEM"),
    (r"domain [\w.-]{1,80}\s*\{", _UNSUPPORTED, "this is the configuration of a Java keystore: put the keystore there"),
    (
        r"eyJ[A-Za-z0-9_-]{8,}\.",
        _NOT,
        "this is a token (JWT or JWE), not a certificate: put the certificate there, as PEM",
    ),
)
_FILES = (
    (
        r"version https://git-lfs|[./]{0,12}git/annex/|/annex/objects/",
        _NOT,
        "this is a pointer of Git LFS or git-annex, not the file: fetch the file, and put it there",
    ),
    (_ARCHIVES, _NOT, "this is a compressed archive: unpack it, and put the certificate there"),
    (r"%PDF", _NOT, "this is a PDF document: put the certificate itself there, as PEM"),
    (
        r"\xd0\xcf\x11\xe0|\{\\rtf",
        _NOT,
        "this is a document of an office program: put the certificate itself there, as PEM",
    ),
    (r"\x89PNG|\xff\xd8\xff|GIF8|II\*|MM\*", _NOT, "this is a picture: put the certificate itself there, as PEM"),
)
_STRUCTURED = (
    (
        r"(?s:.{0,4000})client-certificate-data|(?s:.{0,4000})(?m:^[ \"'{]{0,9}kind[\"']?: {0,9}[\"']?Config\b)",
        _NOT,
        "this is a kubeconfig: take the value of client-certificate-data, decode its base64, and put the result there",
    ),
    (
        r"(?s:.{0,7000})<(?:\w{1,20}:)?X509Certificate",
        _NOT,
        "this is XML with a certificate inside (such as SAML metadata): put only the certificate there, as PEM",
    ),
    (r"(?s:.{0,2000})<plist", _NOT, "this is an Apple profile (plist): put only the certificate there, as PEM"),
    (r"<\?xml|<Error", _NOT, "this is XML, perhaps the answer to a failed download: put the certificate itself there"),
    (r"<", _NOT, "this is an HTML page, perhaps the answer to a failed download: put the certificate itself there"),
    (r"(?s:[{\[].{0,7000})\"x5c\"", _NOT, "this is JSON with keys (JWKS): put only the certificate there, as PEM"),
    (
        r"(?s:[{\[].{0,7000})\"(?:[Cc]ertificates?|crt|cert)\": {0,9}[\"\[{]",
        _NOT,
        "this is JSON with certificates inside (such as acme.json): put only the certificate there, as PEM",
    ),
    (
        r"(?s:[{\[].{0,4000})\"kind\": {0,9}\"(?:Secret|ConfigMap|List)\"",
        _NOT,
        "this is a Kubernetes manifest: put only the certificate there, as PEM",
    ),
    (r"[{\[]", _NOT, "this is JSON: put only the certificate there, as PEM"),
    (
        r"(?s:.{0,4000})(?m:^[ \t]{0,20}apiVersion:)|(?:---\s+)?(?:kind:|(?:string)?[dD]ata:[ \t]{0,9}\r?\n)",
        _NOT,
        "this is a Kubernetes manifest: put only the certificate there, as PEM",
    ),
    (
        r"(?s:.{0,200})Data:\s{1,20}Version:",
        _NOT,
        "this is what openssl x509 -text prints, without the certificate: put the certificate there, as PEM",
    ),
    (
        r"\[Subject\]|Thumbprint\s|(?:subject|issuer)\s{0,9}=|Alias name:|Owner: ",
        _NOT,
        "this is a description of a certificate, not the certificate: put the certificate there, as PEM",
    ),
    (_HEXADECIMAL, _NOT, "this is a hexadecimal dump: convert it back (xxd -r -p), and put the certificate there"),
    (r"48[\s,]{1,3}1(?:29|30|31)[\s,]", _NOT, "these are octets as decimal numbers: put the certificate there, as PEM"),
    (rf"(?i:{_PATH})", _NOT, "this is the path of a file, not its content: put the content there"),
    (
        r"(?i:https?|s3|gs|ftp)://\S{1,500}\s*$",
        _NOT,
        "this is an address, not what is found there: put the content there",
    ),
    (rf"(?i:{_FAILURE})", _NOT, "this is an error message of a program: put the certificate itself there, as PEM"),
    (r"0[\x80-\x84]", _BROKEN, "this begins like DER, but is damaged or cut off: put the whole certificate there"),
    (
        r"(?si:.*?)BEGIN[^a-z0-9]{1,9}[a-z0-9 ]{0,20}CERTIFICATE",
        _BROKEN,
        "the certificate is damaged or cut off: put the whole certificate there, from its BEGIN to its END line",
    ),
)
PLACEHOLDERS = tuple((re.compile(rf"[\"']?(?:{pattern})"), _NOT, message) for pattern, message in _PLACEHOLDERS)
BEGINNINGS = (
    *(
        (re.compile(pattern), _NOT, f"this is encrypted by {name}: decrypt it, and put the certificate there, as PEM")
        for name, pattern in _ENCRYPTED.items()
    ),
    *PLACEHOLDERS,
    *(
        (re.compile(pattern), reason, message)
        for pattern, reason, message in (*_STORES_AND_KEYS, *_FILES, *_STRUCTURED)
    ),
)
"""Pattern of the beginning of the text, with reason and message; the first match decides. Placeholders come before HTML
and JSON, because they begin in the same way."""
