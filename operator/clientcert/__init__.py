"""clientcert-operator: looks after mTLS client certificates that were handed to consumers outside the cluster."""

__version__ = "0.1.0"
