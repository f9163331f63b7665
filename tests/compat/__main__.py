"""The command of `make compat`: `python -m tests.compat VERSION [ARGUMENT…]`, where VERSION may be empty.

It builds the API server of that version once, and runs the tests of `suite.py` on it, with these arguments of pytest.
"""

import os
import sys

from tests.compat.suite import PATHS, VERSION
from tools.control_plane import ControlPlaneError
from tools.control_plane.components import OLDEST_KUBERNETES_VERSION
from tools.control_plane.kubernetes_versions import complete_version, find_or_build_kubernetes

_WITHOUT = "not slow and not soak and not upgrade and not node and not release"


def main() -> None:
    wanted, *arguments = sys.argv[1:]
    try:
        version = complete_version(wanted or OLDEST_KUBERNETES_VERSION)
        directory = find_or_build_kubernetes(version)
    except ControlPlaneError as error:
        sys.exit(str(error))
    os.environ |= {"KUBEBUILDER_ASSETS": str(directory), VERSION: version}
    workers = ["-n", "4", "--dist", "loadfile", "--no-loadscope-reorder"]
    command = [sys.executable, "-m", "pytest", *workers, "-m", _WITHOUT, *PATHS, *arguments]
    print(f"The tests run on Kubernetes v{version} ({directory}).", flush=True)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
