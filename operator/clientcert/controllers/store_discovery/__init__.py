"""Discovery: the certificates of a bucket that no ClientCertificate watches yet."""
