"""Finds or builds, starts and stops the real programs for the demo, tests and bench.

A kube-apiserver with etcd (`ControlPlane`), an S3 server (`S3Server`) and the operator itself (`OperatorProcess`): each
on free ports of 127.0.0.1, each a context manager. Each ends when the process that started it ends.

Of Kubernetes, only the API server runs. It validates, admits, authorizes, stores and watches like any other, but **no
controller acts on the stored objects**:

- nothing is garbage-collected: an object stays when the owner that it refers to is deleted;
- a deleted namespace stays `Terminating` with all its objects;
- a namespace has no `default` ServiceAccount and no `kube-root-ca.crt`;
- no `certificates.k8s.io` request is signed, and no Deployment gets a pod;
- there is no kubelet: nothing runs in pods, so the operator runs as a process.

A test that needs one of these does that work itself, through the API.
"""

from .api_client import ApiClient
from .api_server import ControlPlane
from .binaries import Binaries, find_or_build
from .errors import ApiError, ControlPlaneError
from .operator_process import OperatorProcess
from .s3_server import S3Server

__all__ = [
    "ApiClient",
    "ApiError",
    "Binaries",
    "ControlPlane",
    "ControlPlaneError",
    "OperatorProcess",
    "S3Server",
    "find_or_build",
]
