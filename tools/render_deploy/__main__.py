"""`python -m tools.render_deploy`: write what is made from the chart, and the version into the kinds."""

import tempfile
from pathlib import Path

from tools.control_plane.binaries import find_or_build_helm
from tools.helm import Helm
from tools.render_deploy.kinds import with_version
from tools.render_deploy.kustomizations import rendered
from tools.render_deploy.values_page import PAGE, page


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        files = rendered(Helm(find_or_build_helm(), Path(home)))
    for path, content in {**files, PAGE: page(), **with_version()}.items():
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
            print(f"wrote {path.name} in {path.parent}")


if __name__ == "__main__":
    main()
