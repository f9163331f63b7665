"""Commands of the pages, as a test runs them: nothing is changed."""

import shlex

from tests.conftest import REPOSITORY
from tools.control_plane import ControlPlane
from tools.helm import Helm

CHANGES = {"apply", "create", "label", "set", "delete"}
_RENDERS = {"install", "template", "upgrade"}
_NEEDS_PODS = {"test", "uninstall"}
_OF_AN_INSTALLATION_ALONE = {"--create-namespace", "--reset-then-reuse-values", "--take-ownership"}


def run_dry(line: str, helm: Helm, control_plane: ControlPlane | None = None) -> str:
    """Run one line: kubectl with a dry run, and helm as `helm template` with the same values."""
    program, verb, *arguments = shlex.split(line.partition(" > ")[0])
    arguments = [str(REPOSITORY / each) if each == "crds" or each.startswith("deploy/") else each for each in arguments]
    if program == "helm":
        if verb in _NEEDS_PODS:
            return ""
        assert verb in _RENDERS
        return helm.run("template", *(each for each in arguments if each not in _OF_AN_INSTALLATION_ALONE))
    assert program == "kubectl"
    assert control_plane is not None
    # Another test may have created the namespace, and the server would refuse a second one.
    where = "client" if (verb, arguments[0]) == ("create", "namespace") else "server"
    return control_plane.kubectl(verb, *arguments, *([f"--dry-run={where}"] if verb in CHANGES else []))
