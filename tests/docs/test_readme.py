"""The README shows what is in the examples, in the roles and in the program; test_fenced_commands.py types it."""

import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from tests.conftest import REPOSITORY
from tests.docs.pages import blocks
from tools.certificates import CertificateAuthority

README = REPOSITORY / "README.md"
COMMANDS = [line for block in blocks(README, "sh") for line in block.splitlines()]
KUBECTL = [line for line in COMMANDS if line.startswith("kubectl ")]


def test_every_make_target_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = [line.split()[1] for line in COMMANDS if line.startswith("make ")]
    assert targets
    assert [target for target in targets if f"\n{target}: " not in makefile] == []


def test_its_first_manifest_is_the_minimal_example() -> None:
    example = yaml.safe_load((REPOSITORY / "deploy/examples/minimal.yaml").read_text())
    assert yaml.safe_load(blocks(README, "yaml")[0]) == example


def test_its_policy_is_that_of_the_example_about_renewals() -> None:
    """Four lines, and nothing else."""
    example = next(yaml.safe_load_all((REPOSITORY / "deploy/examples/policy-with-renewal.yaml").read_text()))
    demo = yaml.safe_load((REPOSITORY / "tools/demo/renewal-by-our-ca.yaml").read_text())
    [block] = [each for each in blocks(README, "yaml") if "renewal:" in each]
    assert yaml.safe_load(block) == example
    assert example["spec"] == demo["spec"]
    assert len(block.partition("  renewal:")[2].splitlines()) == 4  # with the one that was cut


def test_the_roles_that_it_binds_exist() -> None:
    text = (REPOSITORY / "deploy/kustomize/base/user-roles.yaml").read_text()
    roles = {each["metadata"]["name"] for each in yaml.safe_load_all(text)}
    bound = {word.partition("=")[2] for line in KUBECTL for word in line.split() if word.startswith("--clusterrole=")}
    assert len(bound) == 3
    assert bound <= roles


def test_inspect_prints_what_it_shows(tmp_path: Path) -> None:
    """The same columns, and the same message for a container without its password."""
    now = datetime.now(UTC)
    issued = CertificateAuthority.create().issue("weather", now, now + timedelta(days=22, hours=1))
    (tmp_path / "client.pem").write_bytes(issued.certificate_pem)
    (tmp_path / "client.p12").write_bytes(issued.pkcs12("a password"))
    shown = next(block for block in blocks(README, "console") if "clientcert inspect" in block)
    command, headings, row, _, remark = shown.splitlines()
    program, *arguments = shlex.split(command)[1:]
    ran = subprocess.run(
        [Path(sys.executable).parent / program, *arguments],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3
    printed = ran.stdout.splitlines()
    assert (printed[0].split(), printed[1].split()[:3], printed[3]) == (headings.split(), row.split()[:3], remark)
