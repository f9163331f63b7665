"""Run a command as the Deployment's pod runs it, on a Linux that allows user namespaces.

    unshare --user --map-user=65532 --map-group=65532 --keep-caps --mount python as_in_a_pod.py CREDENTIALS COMMAND...

No file can be written, neither below / nor in /tmp. CREDENTIALS (token, ca.crt, namespace) are mounted where Kubernetes
mounts those of a ServiceAccount. The user is 65532, without a name, a home directory or a capability, and cannot gain
one. Anything that cannot be set up raises an error.
"""

import ctypes
import os
import shutil
import sys
from pathlib import Path

UNSHARE = ("unshare", "--user", "--map-user=65532", "--map-group=65532", "--keep-caps", "--mount")
_RUN = Path("/run")
_ACCOUNT = _RUN / "secrets/kubernetes.io/serviceaccount"  # Kubernetes says /var/run, which leads to /run
_WRITABLE_ELSEWHERE = ("/", "/tmp", "/var/tmp", "/run", "/dev/shm")
_SETPRIV = ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 1  # mount_setattr(2), Linux 5.12


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "namespace")]


def main(credentials: Path, command: list[str]) -> None:
    """Set up the environment of the pod, then replace this process by the command."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.mount(b"tmpfs", bytes(_RUN), b"tmpfs", 0, b"mode=755"))
    shutil.copytree(credentials, _ACCOUNT)
    attributes = _Attributes(set=_READ_ONLY)
    size = ctypes.sizeof(attributes)
    _check(libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, b"/", _AT_RECURSIVE, ctypes.byref(attributes), size))
    for folder in _WRITABLE_ELSEWHERE:
        if os.access(folder, os.W_OK):
            raise RuntimeError(f"{folder} can be written to")
    os.execvp(_SETPRIV[0], [*_SETPRIV, "--pdeathsig=KILL", "--", *command])


def _check(answer: int) -> None:
    if answer != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
