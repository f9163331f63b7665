"""The reconciler of CertificateRenewals."""
