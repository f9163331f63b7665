// The CRD of CertificateRequests, for tests. Only files of this module are read; nothing is built.
module clientcert.dev/tools/cert-manager

go 1.26.0

require github.com/cert-manager/cert-manager v1.21.2
