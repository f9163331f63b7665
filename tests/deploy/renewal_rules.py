"""The entries of rules.py for renewals: of the policy, of a request, and of a revocation."""

from typing import Any

from tests.deploy.pem_texts import CMS, CSR, PUBLIC_KEY
from tests.deploy.rules import Rule
from tests.deploy.schema import REMOVED

POLICY = "CertificatePolicy.spec.renewal"
REQUEST = "CertificateRenewal.spec"
RENEWAL, ISSUER = "spec.renewal", "spec.renewal.issuer"
AUTOMATIC: dict[str, Any] = {
    f"{RENEWAL}.approval": "Automatic",
    f"{RENEWAL}.proofOfPossession": "Required",
    f"{RENEWAL}.requesters": ["Holder"],
}
PAIR = {"name": "client-ca"}
CERT_MANAGER = {"name": "client-ca", "caRef": {"name": "client-ca", "key": "ca.crt"}}

POLICIES = [
    Rule(
        POLICY,
        message := "approval Automatic needs proofOfPossession: Required",
        accepted=[("renews", AUTOMATIC), ("renews", {})],
        refused=[
            ("renews", AUTOMATIC | {f"{RENEWAL}.proofOfPossession": value}, message) for value in ("NotRequired",)
        ],
    ),
    Rule(
        POLICY,
        message := "requesters Holder needs proofOfPossession: Required, "
        "because the proof is what tells the holder from others",
        accepted=[("renews-for-holders", {}), ("renews-for-holders", {f"{RENEWAL}.requesters": ["Holder"]})],
        refused=[
            ("renews-for-holders", {f"{RENEWAL}.proofOfPossession": REMOVED}, message),
            ("renews", {f"{RENEWAL}.requesters": ["Team", "Holder"]}, message),
        ],
    ),
    Rule(
        POLICY,
        message := "approval Automatic needs requesters: [Holder]: what the team asks for is always approved by hand",
        accepted=[("renews", AUTOMATIC), ("renews-for-holders", {f"{RENEWAL}.approval": "Automatic"})],
        refused=[
            ("renews", AUTOMATIC | {f"{RENEWAL}.requesters": ["Team"]}, message),
            ("renews-for-holders", {f"{RENEWAL}.approval": "Automatic", f"{RENEWAL}.requesters": REMOVED}, message),
        ],
    ),
    *(
        Rule(
            f"{POLICY}.issuer",
            f"set {field} when the issuer's type is {kind}, and only then",
            accepted=[("renews", {ISSUER: {"type": kind, field: content}})],
            refused=[
                ("renews", {ISSUER: {"type": kind}}, f"set {field} when the issuer's type is {kind}"),
                (
                    "renews",
                    {ISSUER: {"type": other, other_field: other_content, field: content}},
                    f"remove {field}, or set the issuer's type to {kind}",
                ),
            ],
        )
        for (kind, field, content), (other, other_field, other_content) in (
            (("CASecret", "caSecret", PAIR), ("CertManager", "certManager", CERT_MANAGER)),
            (("CertManager", "certManager", CERT_MANAGER), ("CASecret", "caSecret", PAIR)),
        )
    ),
    Rule(
        f"{POLICY}.key.generate",
        message := "RSA has a size of 2048, 3072 or 4096, and ECDSA of 256 or 384",
        accepted=[
            ("renews", {f"{RENEWAL}.key.generate": value})
            for value in (
                *({"algorithm": "RSA", "size": size} for size in (2048, 3072, 4096)),
                *({"algorithm": "ECDSA", "size": size} for size in (256, 384)),
                {"size": 4096},
                {"algorithm": "RSA"},
                {},
            )
        ],
        refused=[
            ("renews", {f"{RENEWAL}.key.generate": value}, message)
            for value in (
                {"algorithm": "RSA", "size": 256},
                {"algorithm": "ECDSA", "size": 3072},
                {"algorithm": "ECDSA"},
                {"size": 384},
            )
        ],
    ),
]

ONE_KEY = "give one of csr, publicKey and reuse"
UNCHANGEABLE = "a request cannot be changed: make another one. Only approval and handedOver may be set"
FINAL = "the decision about a request is final: make another request"

REQUESTS = [
    Rule(
        REQUEST,
        ONE_KEY,
        accepted=[("asks", {}), ("asks-with-a-public-key", {}), ("asks-with-the-same-key", {})],
        refused=[
            ("asks", {"spec.csr": REMOVED}, ONE_KEY),
            ("asks", {"spec.publicKey": PUBLIC_KEY.block}, ONE_KEY),
            ("asks", {"spec.reuse": True}, ONE_KEY),
            ("asks-with-a-public-key", {"spec.reuse": True}, ONE_KEY),
        ],
    ),
    Rule(
        REQUEST,
        message := "give the serialNumber of the certificate to be renewed; "
        "only a consumer's first one, with mode Reissue, has none",
        accepted=[("asks", {"spec.mode": "Reissue", "spec.serialNumber": REMOVED}), ("asks", {"spec.mode": "Reissue"})],
        refused=[
            ("asks", {"spec.serialNumber": REMOVED}, message),
            ("asks", {"spec.serialNumber": REMOVED, "spec.mode": REMOVED}, message),
        ],
    ),
    Rule(
        REQUEST,
        message := "mode Reissue needs a csr or a publicKey: a refused or expired certificate's key is not used again",
        accepted=[
            ("asks", {"spec.mode": "Reissue"}),
            ("asks-with-a-public-key", {"spec.mode": "Reissue"}),
            ("asks-with-the-same-key", {"spec.mode": "Renew"}),
        ],
        refused=[("asks-with-the-same-key", {"spec.mode": "Reissue"}, message)],
    ),
    Rule(
        REQUEST,
        UNCHANGEABLE,
        accepted=[
            ("asks", {}),
            ("asks", {"spec.approval": {"decision": "Deny", "by": "ra"}}),
            ("asks", {"spec.handedOver": {"by": "ra"}}),
        ],
        refused=[
            *(
                ("asks", {f"spec.{field}": value}, UNCHANGEABLE)
                for field, value in (
                    ("certificateRef", {"name": "another"}),
                    ("serialNumber", "4af3"),
                    ("subjectDN", "CN=another"),
                    ("subjectDN", None),
                    ("mode", "Reissue"),
                    ("csr", CSR.of_length(300)),
                    ("proof", None),
                    ("proof", {"type": "CMS", "cms": CMS.of_length(300)}),
                    ("requestedBy", "another"),
                    ("reason", "another"),
                    ("reason", None),
                )
            ),
            ("asks", {"spec.csr": None, "spec.publicKey": PUBLIC_KEY.block}, UNCHANGEABLE),
            ("asks", {"spec.csr": None, "spec.reuse": True}, UNCHANGEABLE),
            ("asks-with-a-public-key", {"spec.publicKey": PUBLIC_KEY.of_length(300)}, UNCHANGEABLE),
            ("asks-with-a-public-key", {"spec.proof": {"type": "CMS", "cms": CMS.block}}, UNCHANGEABLE),
            ("asks-with-the-same-key", {"spec.reason": "another"}, UNCHANGEABLE),
        ],
        on_update=True,
    ),
    Rule(
        REQUEST,
        FINAL,
        accepted=[("was-decided", {})],
        refused=[
            ("was-decided", {f"spec.approval{field}": value}, FINAL)
            for field, value in (
                ("", None),
                (".decision", "Deny"),
                (".by", "another"),
                (".keyHash", "another"),
                (".recipientHash", "another"),
                (".reason", "Another"),
                (".message", "another"),
                (".message", None),
            )
        ],
        on_update=True,
    ),
    Rule(
        REQUEST,
        message := "handedOver is set once, and stays",
        accepted=[("was-decided", {})],
        refused=[
            ("was-decided", {"spec.handedOver": None}, message),
            ("was-decided", {"spec.handedOver.by": "another"}, message),
        ],
        on_update=True,
    ),
    Rule(
        f"{REQUEST}.reuse",
        message := "reuse is true or absent",
        accepted=[("asks-with-the-same-key", {"spec.reuse": True})],
        refused=[("asks-with-the-same-key", {"spec.reuse": False}, message)],
    ),
    Rule(
        f"{REQUEST}.approval",
        message := "an approval names keyHash and recipientHash, as the status of the request has them",
        accepted=[("was-decided", {}), ("was-decided", {"spec.approval": {"decision": "Deny", "by": "ra"}})],
        refused=[
            ("was-decided", {"spec.approval.keyHash": REMOVED}, message),
            ("was-decided", {"spec.approval.recipientHash": REMOVED}, message),
        ],
    ),
]

REVOCATIONS = [
    Rule(
        "CertificateRevocation.spec",
        message := "a revocation is final, and cannot be changed",
        accepted=[("revoked", {})],
        refused=[
            ("revoked", {f"spec.{field}": value}, message)
            for field, value in (
                ("issuerDN", "CN=another"),
                ("serialNumber", "4af3"),
                ("consumer", "another"),
                ("reason", "Superseded"),
                ("revocationTime", "2026-03-02T00:00:00Z"),
                ("notAfter", "2026-03-02T00:00:00Z"),
                ("keyHash", "b" * 64),
                ("keyHash", None),
            )
        ],
        on_update=True,
    ),
]

RENEWAL_RULES = [*POLICIES, *REQUESTS, *REVOCATIONS]
