"""The labels by which the owner of a Secret consents that it is used in another way than as a source."""

ISSUER, DELIVER, CRL = "clientcert.dev/issuer", "clientcert.dev/deliver", "clientcert.dev/crl"
ALLOWED = "allowed"
"""The value of each; no other one counts."""
