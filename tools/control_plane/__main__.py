"""`python -m tools.control_plane build | up`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from .api_server import ControlPlane
from .binaries import find_or_build, find_or_build_crane, find_or_build_helm
from .errors import ControlPlaneError
from .progress import report
from .s3_server import S3Server
from .stop_signal import StopSignal


def main() -> int:
    arguments = _parse_arguments()
    try:
        if arguments.verb == "build":
            _build(with_helm=arguments.helm, with_crane=arguments.crane)
        elif arguments.directory is not None:
            _up(arguments.directory)
        else:
            with tempfile.TemporaryDirectory(prefix="clientcert-control-plane-") as temporary:
                _up(Path(temporary))
    except ControlPlaneError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.control_plane", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="find kube-apiserver, etcd, kubectl and versitygw, or build them")
    build.add_argument("--helm", action="store_true", help="and helm, which only the tests need")
    build.add_argument("--crane", action="store_true", help="and crane, which only the release and its tests need")
    up = verbs.add_parser("up", help="start an API server and an S3 server, and stop them on Ctrl-C")
    up.add_argument("--directory", type=Path, help="keep state, logs and credentials in this directory")
    return parser.parse_args()


def _build(*, with_helm: bool, with_crane: bool) -> None:
    found = dict(vars(find_or_build()))
    if with_helm:
        found["helm"] = find_or_build_helm()
    if with_crane:
        found["crane"] = find_or_build_crane()
    for name, path in found.items():
        report(f"{name.replace('_', '-')}: {path}")


def _up(directory: Path) -> None:
    binaries, started = find_or_build(), time.monotonic()
    stop = StopSignal()
    with (
        ControlPlane.start(directory, binaries=binaries) as control_plane,
        S3Server.start(directory / "s3", binaries=binaries) as s3,
    ):
        report(_how_to_use(control_plane, s3, time.monotonic() - started))
        stop.wait()
        report("Stopping.")


def _how_to_use(control_plane: ControlPlane, s3: S3Server, seconds: float) -> str:
    return f"""\
An empty Kubernetes API server and an empty S3 server are ready after {seconds:.1f} s. In another terminal:

  export KUBECONFIG={control_plane.kubeconfig}
  {control_plane.binaries.kubectl} get namespaces

  export AWS_ENDPOINT_URL={s3.endpoint} AWS_REGION={s3.region}
  export AWS_ACCESS_KEY_ID={s3.access_key} AWS_SECRET_ACCESS_KEY={s3.secret_key}

Logs: {control_plane.directory}. No controllers run: nothing is garbage-collected, and there are no pods.
Ctrl-C stops both."""


if __name__ == "__main__":
    sys.exit(main())
