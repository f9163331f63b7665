// The CRD of Applications, for tests. Only files of this module are read; nothing is built.
module clientcert.dev/tools/argo-cd

go 1.26.0

require github.com/argoproj/argo-cd/v3 v3.4.13
