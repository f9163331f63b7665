"""Every step of a release but signatures, against a registry on loopback.

Only the build of the image is played: by packing an environment for two platforms. `make release-dry-run` and
`make node` build it by the Dockerfile.
"""

import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.release.conftest import EPOCH
from tools.control_plane.binaries import find_or_build_helm
from tools.helm import Helm
from tools.release.chart import stamp
from tools.release.errors import ReleaseError
from tools.release.files import build_wheel, write_checksums
from tools.release.image import Base, Source, has_tls, resolve_base, without_tag
from tools.release.publishing import Programs, Target, publish
from tools.release.record import Release
from tools.release.registry import Crane, LoopbackRegistry
from tools.release.sbom import validate
from tools.release.versions import version_of, written_versions

pytestmark = pytest.mark.release

PLATFORMS = ["linux/amd64", "linux/arm64"]
PACKAGE = "Package: libssl3t64\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.5.1-1+deb13u1\n"


def packed(environment: Path, target: Path) -> Path:
    """The environment as an archive in which it is where the Dockerfile has it, and one Debian package."""
    with tarfile.open(target, "w") as archive:
        archive.add(environment, "opt/clientcert")
        for name, text in (
            ("var/lib/dpkg/status.d/libssl3t64", PACKAGE),
            ("etc/os-release", 'ID=debian\nVERSION_ID="13"\n'),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return target


@dataclass
class RootBuilder:
    """Plays Buildah: each platform's image is the same archive."""

    crane: Crane
    archive: Path
    built: list[Source] = field(default_factory=list)
    bases: list[Base] = field(default_factory=list)
    platforms: list[str] = field(default_factory=list)

    def build(self, base: Base, source: Source, platforms: list[str], volumes: list[str]) -> None:
        self.built.append(source)
        self.bases.append(base)
        self.platforms = platforms

    def push(self, reference: str) -> str:
        tags = [f"{reference}-{platform.rpartition('/')[2]}" for platform in self.platforms]
        for tag, platform in zip(tags, self.platforms, strict=True):
            self.crane.push_root(self.archive, tag, platform)
            label = f"org.opencontainers.image.version={self.built[-1].version}"
            self._crane("mutate", tag, "--label", label, "--tag", tag)
        self._crane("index", "append", *(part for tag in tags for part in ("--manifest", tag)), "--tag", reference)
        return self.crane.digest(reference)

    def _crane(self, *arguments: str) -> None:
        subprocess.run([self.crane.binary, *arguments], check=True, capture_output=True)


@dataclass(frozen=True)
class Published:
    release: Release
    directory: Path
    builder: RootBuilder
    registry: str
    helm: Helm


@pytest.fixture(scope="module")
def published(
    environment: Path, module_registry: LoopbackRegistry, tmp_path_factory: pytest.TempPathFactory
) -> Published:
    work, crane = tmp_path_factory.mktemp("release"), module_registry.crane
    archive = packed(environment, work / "root.tar")
    crane.push_root(archive, f"{module_registry.address}/python:3.13-slim", "linux/amd64")
    builder, helm = RootBuilder(crane, archive), Helm(find_or_build_helm(), work / "home")
    target = Target(f"{module_registry.address}/team", f"{module_registry.address}/python:3.13-slim", PLATFORMS)
    directory = work / "files"
    release = publish(target, Programs(crane, helm, builder), directory)
    return Published(release, directory, builder, module_registry.address, helm)


def sbom(published: Published, platform: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((published.directory / published.release.sboms[platform]).read_text())
    return found


class TestTheImage:
    def test_it_is_built_on_the_digest_that_the_base_has_now(self, published: Published, crane: Crane) -> None:
        name = f"{published.registry}/python:3.13-slim"
        assert published.builder.bases == [Base(name, crane.digest(name))]
        assert published.release.base == f"{published.registry}/python@{crane.digest(name)}"

    def test_one_reference_has_all_platforms(self, published: Published, crane: Crane) -> None:
        name = f"{published.registry}/team/clientcert-operator"
        assert published.release.image == f"{name}@{crane.digest(f'{name}:0.1.0')}"
        assert {
            platform: f"{name}@{digest}" for platform, digest in crane.platforms(published.release.image).items()
        } == (published.release.platforms)
        assert set(published.release.platforms) == set(PLATFORMS)

    def test_it_has_the_commit_and_its_time(self, published: Published) -> None:
        [source] = published.builder.built
        command = ["git", "log", "-1", "--format=%H %ct"]
        shown = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
        assert f"{source.revision} {source.epoch}" == shown.strip()


class TestTheListOfContents:
    def test_it_is_valid_for_each_platform(self, published: Published) -> None:
        for platform in PLATFORMS:
            validate(json.dumps(sbom(published, platform)))

    def test_it_is_about_the_image_and_names_the_base_by_digest(self, published: Published) -> None:
        image = sbom(published, "linux/arm64")["metadata"]["component"]
        name, _, digest = published.release.platforms["linux/arm64"].partition("@")
        assert (image["name"], image["version"], image["hashes"][0]["content"]) == (name, "0.1.0", digest[7:])
        purl = f"pkg:oci/clientcert-operator@{digest}?arch=arm64&repository_url={name}"
        assert unquote(image["purl"]) == purl
        [base] = image["pedigree"]["ancestors"]
        assert (base["name"], base["version"]) == (published.builder.bases[0].name, published.builder.bases[0].digest)

    def test_it_has_python_packages_debian_packages_and_the_interpreter(self, published: Published) -> None:
        found = {each["name"]: each for each in sbom(published, "linux/amd64")["components"]}
        assert set(found) == {"click", "idna", "clientcert-operator", "libssl3t64", "python"}
        assert found["click"]["purl"].startswith("pkg:pypi/click@")
        purl = "pkg:deb/debian/libssl3t64@3.5.1-1%2Bdeb13u1?arch=amd64&distro=debian-13"
        assert found["libssl3t64"]["purl"] == purl
        assert found["python"]["version"] == ".".join(map(str, sys.version_info[:3]))

    def test_an_invalid_list_is_refused(self) -> None:
        with pytest.raises(ReleaseError, match="not valid CycloneDX"):
            validate('{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "no type"}]}')


class TestTheChart:
    def test_it_installs_the_image_by_digest(self, published: Published) -> None:
        """Pulled from the registry, without a value."""
        chart = ["oci://" + published.release.chart.partition("@")[0], "--version", "0.1.0", "--plain-http"]
        text = published.helm.run("template", "clientcert-operator", *chart, "--namespace", "clientcert-system")
        [deployment] = [each for each in yaml.safe_load_all(text) if each and each["kind"] == "Deployment"]
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert container["image"] == published.release.image

    def test_it_has_the_kinds(self, published: Published) -> None:
        """In the checkout they are links to `crds/`."""
        chart = ["oci://" + published.release.chart.partition("@")[0], "--version", "0.1.0", "--plain-http"]
        text = published.helm.run("template", "clientcert-operator", *chart)
        kinds = [
            each["metadata"]["name"] for each in yaml.safe_load_all(text) if each and each["kind"].startswith("Custom")
        ]
        wanted = {f"{path.stem}.clientcert.dev" for path in (REPOSITORY / "crds").glob("c*s.yaml")}
        assert set(kinds) == wanted

    def test_its_reference_is_that_of_the_registry(self, published: Published, crane: Crane) -> None:
        name, _, digest = published.release.chart.partition("@")
        assert crane.digest(f"{name}:0.1.0") == digest

    def test_values_without_an_image_are_an_error(self) -> None:
        with pytest.raises(ReleaseError, match="below `image:`"):
            stamp("image:\n  tag: ''\n", "registry.example/team/image", "sha256:" + "0" * 64)


class TestFiles:
    def test_the_wheel_has_the_package_alone(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
        assert {name.partition("/")[0] for name in names} == {"clientcert", "clientcert_operator-0.1.0.dist-info"}
        assert "Provides-Extra: apprise" in metadata
        assert "clientcert/py.typed" in names

    def test_the_same_commit_makes_the_same_wheel(self, wheel: Path, tmp_path: Path) -> None:
        assert build_wheel(tmp_path, EPOCH).read_bytes() == wheel.read_bytes()

    def test_all_files_are_in_the_checksums(self, published: Published) -> None:
        checked = subprocess.run(
            ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=published.directory, capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stderr
        names = {path.name for path in published.directory.iterdir()} - {"SHA256SUMS"}
        assert {line.split(": ")[0] for line in checked.stdout.splitlines()} == names

    def test_a_second_call_does_not_count_the_checksums(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("a")
        first = write_checksums(tmp_path).read_text()
        assert write_checksums(tmp_path).read_text() == first

    def test_what_is_to_be_signed_is_written_down(self, published: Published) -> None:
        release = Release.read(published.directory)
        assert release == published.release
        assert release.references() == [release.image, *release.platforms.values(), release.chart]
        assert all("@sha256:" in reference for reference in release.references())


class TestTheVersion:
    def test_all_places_of_the_checkout_agree(self) -> None:
        assert len(set(written_versions().values())) == 1
        assert version_of("v" + version_of(None)) == version_of(None)

    def test_another_tag_is_refused(self) -> None:
        with pytest.raises(ReleaseError, match=r"the version is 9\.9\.9, but pyproject\.toml, project\.version has"):
            version_of("v9.9.9")

    def test_a_file_that_was_forgotten_is_named(self, tmp_path: Path) -> None:
        for name in ("pyproject.toml", "Dockerfile", "CHANGELOG.md", "deploy/helm/clientcert-operator/Chart.yaml"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, tmp_path / name)
        chart = tmp_path / "deploy/helm/clientcert-operator/Chart.yaml"
        chart.write_text(chart.read_text().replace("appVersion: 0.1.0", "appVersion: 0.0.9"))
        with pytest.raises(ReleaseError, match=r"but Chart\.yaml, appVersion has 0\.0\.9: correct the files"):
            version_of("v0.1.0", tmp_path)


class TestReferences:
    @pytest.mark.parametrize(
        ("reference", "name"),
        [("a.example/python:3.13", "a.example/python"), ("127.0.0.1:5000/python", "127.0.0.1:5000/python")],
    )
    def test_the_tag_is_removed_and_the_port_is_not(self, reference: str, name: str) -> None:
        assert without_tag(reference) == name

    def test_only_a_registry_on_loopback_is_without_tls(self) -> None:
        found = [
            has_tls(name)
            for name in ("127.0.0.1:5000/a", "localhost:5000/a", "127.0.0.1.example:5000/a", "a.example/b")
        ]
        assert found == [False, False, True, True]

    def test_a_base_that_does_not_exist_is_an_error(self, registry: LoopbackRegistry) -> None:
        with pytest.raises(ReleaseError, match="digest"):
            resolve_base(registry.crane, f"{registry.address}/nothing:1")
