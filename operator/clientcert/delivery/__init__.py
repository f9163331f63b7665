"""The files for a consumer: the certificate, and a private key that the operator made, encrypted. No I/O."""
