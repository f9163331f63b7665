"""The directory that `clientcert import` writes: equal for equal values, and nothing of anybody else's."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientcert.api.manifests import client_certificate
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.manifest_directory import KUSTOMIZATION, ManifestDirectory
from clientcert.cli.manifest_text import documents, read_text, write_text
from clientcert.lifecycle.spec import CertificateSpec, Contact, ObjectKey, S3Source
from clientcert.pki.identity import Identity

ORIGIN = "s3 backup nhs/client.pem"
NOT_TEXT_IN_EVERY_PARSER = (
    "0o17",
    "1e3",
    "y",
    "No",
    "on",
    "12:30",
    "2026-01-01",
    "0x1f",
    "1_000",
    ".inf",
    "~",
    "=",
    "",
)
HOSTILE = (
    "a: b",
    "- a",
    "a\nb: c",
    "# a",
    "'",
    '"',
    "{a}",
    "&a",
    "*a",
    "!!python/none",
    "%YAML",
    "\u2028",
    "---",
    "é\u0085",
)


def manifest(origin: str = ORIGIN, name: str = "nhs-prod", consumer: str = "nhs", namespace: str = "team") -> bytes:
    contact = Contact(lookup=("Directory", "Slack"))
    spec = CertificateSpec(
        consumer, "prod", S3Source("backup", f"{consumer}/client.pem"), contact, identity=Identity(consumer)
    )
    return write_text(origin, [client_certificate(ObjectKey(namespace, name), spec)])


def read(path: Path) -> ManifestDirectory:
    return ManifestDirectory.read(path).applied_in("team")


def content(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir()}


def resources(path: Path) -> list[str]:
    found: list[str] = yaml.safe_load((path / KUSTOMIZATION).read_text())["resources"]
    return found


class TestText:
    @pytest.mark.parametrize("text", [*NOT_TEXT_IN_EVERY_PARSER, *HOSTILE, "nhs", "Zoë", "x" * 5000])
    def test_every_text_stays_one(self, text: str) -> None:
        """Whatever a parser of YAML 1.1 or 1.2 takes for something else has quotation marks, and one line."""
        body = write_text(ORIGIN, [{"key": text, "list": [text]}]).decode().split("\n", 2)[2]
        assert documents(body) == [{"key": text, "list": [text]}]
        assert body.count("\n") == 3
        if text in NOT_TEXT_IN_EVERY_PARSER:
            assert f'key: "{text}"' in body

    def test_the_same_objects_twice(self) -> None:
        """Every value is written out: nothing refers to anything before it."""
        shared: dict[str, Any] = {"a": ["b"]}
        assert b"&" not in write_text(ORIGIN, [{"one": shared, "two": shared}])

    @pytest.mark.parametrize("origin", ["s3 a ../\n\u202e'\"/client.pem", "file " + "x" * 1024, "x\udc80"])
    def test_an_origin_is_one_visible_line(self, origin: str) -> None:
        text = write_text(origin, [{"a": "b"}]).decode()
        first = text.splitlines()[0]
        assert first.isascii()
        assert first.isprintable()
        written = read_text(text.encode())
        assert written is not None
        assert (written.origin, written.is_changed) == (ascii(origin), False)

    def test_a_change_is_recognised(self) -> None:
        text = manifest()
        for changed in (text.replace(b"nhs/", b"acme/"), text + b"\n", text.replace(b"\n", b"\r\n")):
            written = read_text(changed)
            assert written is not None
            assert written.is_changed

    @pytest.mark.parametrize("text", [b"", b"apiVersion: v1\n", b"\xff", b"# Written by clientcert import.\n"])
    def test_a_text_of_somebody_else(self, text: bytes) -> None:
        assert read_text(text) is None


class TestWriting:
    def test_twice(self, tmp_path: Path) -> None:
        """The second time nothing differs; other manifests of an import stay, and are resources, too."""
        out = tmp_path / "a" / "out"
        read(out).write({"nhs-prod.yaml": manifest()})
        before = content(out)
        read(out).write({"nhs-prod.yaml": manifest()})
        assert content(out) == before
        read(out).write({"acme-prod.yaml": manifest("s3 backup acme/client.pem", "acme-prod", "acme")})
        assert resources(out) == ["acme-prod.yaml", "nhs-prod.yaml"]
        assert content(out)["nhs-prod.yaml"] == before["nhs-prod.yaml"]

    def test_what_was_written_is_found_again(self, tmp_path: Path) -> None:
        read(tmp_path).write({"nhs-prod.yaml": manifest()})
        found = read(tmp_path).find("team", "prod", ORIGIN)
        assert found is not None
        assert (found.file_name, found.key, found.is_changed) == ("nhs-prod.yaml", ("team", "nhs-prod"), False)
        for other in (("other", "prod", ORIGIN), ("team", "dev", ORIGIN), ("team", "prod", f"{ORIGIN}x")):
            assert read(tmp_path).find(*other) is None

    @pytest.mark.parametrize("kind", ["text", "link", "directory", "broken link"])
    def test_a_file_of_somebody_else(self, tmp_path: Path, kind: str) -> None:
        """Nothing is written at all, and a link is not followed."""
        out, target = tmp_path / "out", tmp_path / "target"
        out.mkdir()
        place = out / "nhs-prod.yaml"
        match kind:
            case "text":
                place.write_text("apiVersion: v1\n")
            case "link":
                target.write_bytes(manifest())
                place.symlink_to(target)
            case "broken link":
                place.symlink_to(target)
            case _:
                place.mkdir()
        before = os.listdir(out)
        with pytest.raises(AnswerIsNo, match="is not of clientcert import"):
            read(out).write({"acme-prod.yaml": manifest("s3 a b", "acme-prod"), "nhs-prod.yaml": manifest()})
        assert os.listdir(out) == before
        assert not target.exists() or target.read_bytes() == manifest()

    @pytest.mark.parametrize("name", ["kustomization.yaml", "kustomization.yml", "Kustomization"])
    def test_a_kustomization_of_somebody_else(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("resources: []\n")
        with pytest.raises(AnswerIsNo, match="name another directory with --out"):
            read(tmp_path)

    def test_a_kustomization_that_was_changed(self, tmp_path: Path) -> None:
        """It is left alone if it has every file; if not, nothing is written."""
        read(tmp_path).write({"nhs-prod.yaml": manifest()})
        own = (tmp_path / KUSTOMIZATION).read_text() + "commonLabels: {team: integration}\n"
        (tmp_path / KUSTOMIZATION).write_text(own)
        read(tmp_path).write({"nhs-prod.yaml": manifest(consumer="other")})
        assert (tmp_path / KUSTOMIZATION).read_text() == own
        before = content(tmp_path)
        new = {f"{name}-prod.yaml": manifest(f"s3 a {name}", f"{name}-prod") for name in ("weather", "acme")}
        with pytest.raises(AnswerIsNo, match="lacks resources") as caught:
            read(tmp_path).write(new)
        assert caught.value.message.splitlines()[1:] == ["acme-prod.yaml", "weather-prod.yaml"]
        assert content(tmp_path) == before

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text.replace("  namespace: team\n", ""),
            lambda text: f"{text}---\napiVersion: clientcert.dev/v1alpha1\nkind: CertificatePolicy\nspec: {{}}\n",
            lambda text: f"apiVersion: clientcert.dev/v1alpha1\nkind: CertificateStore\n---\n{text}---\n- a\n",
        ],
    )
    def test_a_manifest_that_somebody_has_changed(self, tmp_path: Path, change: Callable[[str], str]) -> None:
        """The usual changes of a person: it is still the manifest of its place."""
        head, body = manifest().decode().split("\napiVersion", 1)
        (tmp_path / "nhs-prod.yaml").write_text(f"{head}\n{change(f'apiVersion{body}')}")
        found = read(tmp_path).find("team", "prod", ORIGIN)
        assert found is not None
        assert (found.key, found.is_changed) == (("team", "nhs-prod"), True)

    @pytest.mark.parametrize("change", [lambda text: f"{text}\n[", lambda text: text.replace("consumer", "client")])
    def test_a_manifest_that_cannot_be_read_any_more(self, tmp_path: Path, change: Callable[[str], str]) -> None:
        """It is found by its first line, and stops nothing else."""
        (tmp_path / "nhs-prod.yaml").write_text(change(manifest().decode()))
        directory = read(tmp_path)
        found = directory.find("team", "prod", ORIGIN)
        assert found is not None
        assert (found.file_name, found.key, found.is_changed) == ("nhs-prod.yaml", None, True)
        assert directory.find("team", "prod", f"{ORIGIN}x") is None
        directory.write({"acme-prod.yaml": manifest("s3 a b", "acme-prod")})
        assert resources(tmp_path) == ["acme-prod.yaml", "nhs-prod.yaml"]
        with pytest.raises(AnswerIsNo, match="was changed"):
            read(tmp_path).write({"nhs-prod.yaml": manifest()})

    def test_no_directory(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("")
        with pytest.raises(AnswerIsNo, match="name another directory with --out"):
            read(file)
