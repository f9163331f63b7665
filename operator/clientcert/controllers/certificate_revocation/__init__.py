"""The reconcilers of CertificateRevocations, and of the lists that are made from them."""
