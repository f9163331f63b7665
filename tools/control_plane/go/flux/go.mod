// The kinds of Flux, for tests: two CRDs, and the Go types of HelmRelease. Only files of these modules are read.
module clientcert.dev/tools/flux

go 1.26.0

require (
	github.com/fluxcd/helm-controller/api v1.6.5
	github.com/fluxcd/kustomize-controller v1.9.6
	github.com/fluxcd/source-controller v1.9.6
)
