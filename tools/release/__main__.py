"""`python -m tools.release publish | plugin | dry-run | references | sboms`. The workflow of a release calls these.

publish: image, chart, wheel and lists of contents, by the login of ~/.docker/config.json.
plugin: after it, archives of `kubectl clientcert` for krew, and its manifest.
dry-run: the same against a registry on loopback, for this machine's platform, on a Debian base.
references: what `publish` has published, a line each, to be signed.
sboms: of each platform the image and the list of its contents, a line each, to be attested.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tools.control_plane.binaries import find_or_build_crane, find_or_build_helm
from tools.control_plane.components import cache_directory
from tools.control_plane.errors import ControlPlaneError
from tools.helm import Helm, HelmError

from .debian_base import own_platform
from .errors import ReleaseError
from .image import Buildah, default_base
from .krew_plugin import PLATFORMS as KREW_PLATFORMS
from .krew_plugin import LockedPackages
from .publishing import Programs, Target, publish, publish_plugin
from .record import Release
from .registry import Crane
from .rehearsal import rehearse
from .versions import REPOSITORY

DIRECTORY = REPOSITORY / "build/release"
PLATFORMS = "linux/amd64,linux/arm64"


def main() -> int:
    arguments = parser().parse_args()
    try:
        if arguments.verb == "publish":
            platforms = arguments.platforms.split(",")
            target = Target(arguments.registry, arguments.base, platforms, arguments.source_url, arguments.tag)
            _fresh(DIRECTORY)
            publish(target, find_programs(Path.home()), DIRECTORY)
        elif arguments.verb == "plugin":
            publish_plugin(LockedPackages(), DIRECTORY, arguments.source_url, [*KREW_PLATFORMS])
        elif arguments.verb == "dry-run":
            _fresh(DIRECTORY)
            with tempfile.TemporaryDirectory() as home:
                rehearse(find_programs(Path(home)), DIRECTORY, Path(home), own_platform())
        else:
            for line in _lines(arguments.verb):
                print(line)
    except (ReleaseError, ControlPlaneError, HelmError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    publishing = verbs.add_parser("publish", help="publish a release")
    publishing.add_argument("--registry", required=True, help="a registry with an owner: registry.example/team")
    publishing.add_argument("--tag", required=True, help="the tag of the commit, which must be the version")
    publishing.add_argument("--base", default=default_base(), help="the base of the image [default: the Dockerfile's]")
    publishing.add_argument("--platforms", default=PLATFORMS, help=f"[default: {PLATFORMS}]")
    publishing.add_argument("--source-url", default="", help="the address of the repository, for a label")
    plugin = verbs.add_parser("plugin", help="write the plugin for kubectl that krew installs")
    plugin.add_argument("--source-url", required=True, help="the address of the repository, which has the release")
    verbs.add_parser("dry-run", help="run all steps against a registry on loopback")
    verbs.add_parser("references", help="print what was published, to be signed")
    verbs.add_parser("sboms", help="print each platform's image and list of contents, to be attested")
    return parser


def find_programs(home: Path) -> Programs:
    """The programs that the steps call; they read logins below `home`."""
    storage = cache_directory() / "buildah"
    return Programs(Crane(find_or_build_crane()), Helm(find_or_build_helm(), home), Buildah(storage))


def _fresh(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


def _lines(verb: str) -> list[str]:
    release = Release.read(DIRECTORY)
    if verb == "references":
        return release.references()
    return [f"{release.platforms[platform]} {DIRECTORY / name}" for platform, name in release.sboms.items()]


if __name__ == "__main__":
    sys.exit(main())
