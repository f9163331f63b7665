"""The reconciler of ClientCertificates."""
