"""`python -m tools.node [ARGUMENT…]`: builds all, and runs `pytest tests/node` with these arguments on a new node.

The tests are in network, mount and process namespaces of their own. Where that is impossible they are skipped, and the
end of the run says why.
"""

import os
import shlex
import sys
import tempfile
from pathlib import Path

from tools.control_plane import ControlPlaneError, find_or_build
from tools.helm import HelmError
from tools.release.__main__ import find_programs
from tools.release.errors import ReleaseError
from tools.release.versions import REPOSITORY

from .errors import NodeError
from .obstacles import NAMESPACES, obstacle
from .prepared import Prepared
from .programs import find_or_build_node

DIRECTORY = REPOSITORY / "build/node"
PREPARED = "CLIENTCERT_NODE"
"""The variable that says to the tests where the files are, and that they are in namespaces."""
_ENTER = (
    "mount --make-rshared / && mount -t tmpfs tmpfs /run && mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni"
)


def main() -> None:
    pytest = [sys.executable, "-m", "pytest", "tests/node", "-m", "node", *sys.argv[1:]]
    os.chdir(REPOSITORY)
    if obstacle() is None:
        try:
            prepare()
        except (ReleaseError, ControlPlaneError, HelmError, NodeError) as error:
            sys.exit(str(error))
        os.environ[PREPARED] = str(DIRECTORY)
        pytest = [*NAMESPACES, "sh", "-c", f"{_ENTER} && exec {shlex.join(pytest)}"]
    sys.stdout.flush()
    os.execvp(pytest[0], pytest)


def prepare() -> None:
    """Everything for which the network is needed."""
    find_or_build()
    find_or_build_node()
    with tempfile.TemporaryDirectory() as home:
        Prepared.make(find_programs(Path(home)), DIRECTORY)


if __name__ == "__main__":
    main()
