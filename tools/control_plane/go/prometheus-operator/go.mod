// The CRDs of ServiceMonitor, PodMonitor and PrometheusRule, for tests. Only files of this module are read.
module clientcert.dev/tools/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
