"""Every fenced command of the pages is run: here, as it stands there, or by a test that CLAIMS names.

Each other one says "Not run here" and why, below its block or below its heading.
"""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docs.fenced import PAGES_WITH_COMMANDS, Command, commands, disguised
from tests.docs.pages import blocks, name_of, names_in
from tests.docs.reader import Reader
from tests.unit.cli.renewal_objects import CSR, KEY, public_key
from tools.certificates import CertificateAuthority
from tools.control_plane import ControlPlane, OperatorProcess
from tools.helm import Helm

DOCS = "tests/docs"
CONTROL_PLANE = "tests/control_plane"
_DEMO = f"{DOCS}/test_demo.py::test_the_demo_succeeds_and_a_person_renews_a_certificate_with_it"
_CLI_PAGE = f"{CONTROL_PLANE}/test_cli_page.py::test_the_page_shows_the_real_output"
CLAIMS: dict[str, dict[str, str | None]] = {
    "": {
        "helm test ": "tests/node/test_node.py::test_helm_test_passes",
        "helm uninstall ": "tests/deploy/test_chart_releases.py"
        "::test_install_upgrade_rollback_and_uninstall_keep_all_objects",
        "clientcert approve ": f"{CONTROL_PLANE}/test_cli_renewal.py::TestApprove::test_what_is_seen_and_written",
    },
    "README.md": {
        "helm test ": "tests/node/test_readme.py::test_two_commands_install_it",
        "make demo": _DEMO,
        # Whoever runs this file has typed it.
        "make test": f"{DOCS}/test_fenced_commands.py::test_each_command_is_run_or_says_why_not",
        "$ kubectl get clientcertificates -A": _DEMO,
        "$ kubectl get certificaterenewals ": _DEMO,
        "$ clientcert renew ": _DEMO,
        "$ clientcert approve ": _DEMO,
        "$ clientcert inspect ": f"{DOCS}/test_readme.py::test_inspect_prints_what_it_shows",
    },
    "docs/backup.md": {
        "$ clientcert ": f"{CONTROL_PLANE}/test_cli_backup.py::test_the_page_shows_the_real_output",
    },
    "docs/cli.md": {
        "$ clientcert ": _CLI_PAGE,
        "$ clientcert test-alert ": f"{CONTROL_PLANE}/test_test_alert.py::test_every_channel_gets_a_test_once_a_value",
        'eval "$(_CLIENTCERT_COMPLETE=': f"{CONTROL_PLANE}/test_cli_page.py::test_completion",
        "_CLIENTCERT_COMPLETE=": f"{CONTROL_PLANE}/test_cli_page.py::test_completion",
    },
    "docs/for-consumers.md": {
        "": f"{DOCS}/test_for_consumers.py::test_every_command_for_linux_is_in_a_section_that_is_typed_here",
        "openssl version": None,
    },
    "docs/from-the-cron-script.md": {
        "": f"{CONTROL_PLANE}/test_cli_import.py::test_the_page_for_those_who_come_from_a_script",
    },
    "docs/gitops.md": {
        "kubectl patch configmap argocd-cm ": f"{DOCS}/test_gitops.py::test_the_command_adds_the_checks",
    },
    **{f"docs/{page}.md": {"": f"{DOCS}/test_{page}.py::test_every_command_works"} for page in ("install", "upgrade")},
}
"""By page ("" is every page) and the beginning of commands, of which the longest counts: the test that runs them.

A command that is shown with its output begins with a prompt. None is this file, which runs all that has no claim.
"""
LAST = ("docs/security.md", "docs/runbook.md")
"""They take rights away from the operator."""
_DECLARES = ("kubectl create secret generic nhs --from-file=tls.crt=client.pem", "kubectl apply -f nhs-prod.yaml")
_WAITS = "kubectl wait clientcertificate/nhs-prod --for=jsonpath={.status.phase}=Valid --timeout=60s"
BEFORE = {
    **dict.fromkeys(("docs/contacts.md", "docs/gitops.md", "docs/runbook.md"), _DECLARES),
    **dict.fromkeys(("docs/from-the-exporter.md", "docs/beside-cert-manager.md"), _DECLARES[:1]),
    "docs/renewal.md": (*_DECLARES, _WAITS),
    "docs/revocation.md": (
        *_DECLARES,
        _WAITS,
        "kubectl create secret generic client-certificate-auth --from-file=ca.crt=ca.pem",
    ),
}
"""The commands that a reader of the page has typed already."""
MADE_BY_SEVERAL_PAGES = "configmap/clientcert-operator secret/clientcert-operator-slack secret/clientcert-operator-mail"
MAY_FIND = "clientcert check "
"""Its exit code is 3 if it has something to say about the manifests that were made up."""


def claim(command: Command) -> str | None:
    """The test that runs it; None if it is run here."""
    known = CLAIMS[""] | CLAIMS.get(command.page, {})
    begins = f"$ {command.text}" if command.has_output else command.text
    return known.get(max((each for each in known if begins.startswith(each)), key=len, default=""))


def words(command: Command) -> list[str]:
    """However its lines are broken."""
    return shlex.split(command.text.replace("\\\n", ""))


ALL = [command for page in PAGES_WITH_COMMANDS for command in commands(page)]
UNCLAIMED = [command for command in ALL if command.why_not is None and claim(command) is None]
[INSTALLATION] = [each for each in UNCLAIMED if each.page == "README.md" and each.text.startswith("helm install ")]
"""The cluster of all pages is made with it; the page of the chart has it, too."""
HERE = [command for command in UNCLAIMED if words(command) != words(INSTALLATION)]
PAGES_HERE = sorted({command.page for command in HERE}, key=lambda page: (page in LAST, page))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, helm: Helm) -> Iterator[Reader]:
    """The operator is installed as the README says, and runs as a process."""
    directory = tmp_path_factory.mktemp("pages") / "checkout"
    with ControlPlane.start(tmp_path_factory.mktemp("cluster")) as cluster:
        reader = Reader.in_checkout(directory, cluster, helm.binary, files())
        reader.types(INSTALLATION.text)
        cluster.apply_kustomize()
        for name in ("integration", "integration-api", "argocd"):
            cluster.create_namespace(name)
        with OperatorProcess.start(cluster, directory=tmp_path_factory.mktemp("operator")):
            yield reader


def files() -> dict[str, bytes]:
    """Those of a reader's own that the pages name."""
    now = datetime.now(UTC)
    minimal = (REPOSITORY / "deploy/examples/minimal.yaml").read_text()
    authority = CertificateAuthority.create()
    [renewing] = [each for each in blocks(REPOSITORY / "README.md", "yaml") if "renewal:" in each]
    return {
        "client.pem": authority.issue("nhs", now, now + timedelta(days=300)).certificate_pem,
        "ca.pem": authority.identity.certificate_pem,
        "ca.key": authority.identity.private_key_pem,
        "nhs.csr": CSR.encode(),
        "nhs.pem": public_key(KEY).encode(),
        **dict.fromkeys(("token", "username", "password"), b"example"),
        "nhs-prod.yaml": minimal.replace("weather-client-cert", "nhs").replace("weather", "nhs").encode(),
        "renewing.yaml": renewing.encode(),
        "manifests/minimal.yaml": minimal.encode(),
        "overlays/prod/minimal.yaml": minimal.encode(),
        "overlays/prod/kustomization.yaml": b"resources: [minimal.yaml]",
    }


@pytest.mark.parametrize("page", PAGES_HERE)
def test_every_command_without_a_claim_works(reader: Reader, page: str) -> None:
    """In the order of the page, in a namespace and with files of its own."""
    namespace = page.replace("/", "-").removesuffix(".md").lower()
    reader = reader.in_another_directory(namespace)
    reader.cluster.create_namespace(namespace)
    reader.types(f"kubectl delete --ignore-not-found -n clientcert-system {MADE_BY_SEVERAL_PAGES}")
    for command in BEFORE.get(page, ()):
        reader.types(command, namespace=namespace)
    for command in (each.text for each in HERE if each.page == page):
        typed = command.replace("-n NAMESPACE NAME", f"-n {namespace} nhs-prod")
        reader.types(typed, namespace=namespace, codes=(0, 3) if MAY_FIND in command else (0,))


def test_each_command_is_run_or_says_why_not() -> None:
    """A test that a command is said to be run by exists, and no page has a claim that nothing needs."""
    assert [str(each) for each in ALL if each.why_not is not None and len(each.why_not.split()) < 3] == []
    named = {test for each in ALL if each.why_not is None and (test := claim(each)) is not None}
    assert sorted(test for test in named if not _exists(test)) == []
    claimed = {test for claims in CLAIMS.values() for test in claims.values() if test is not None}
    assert sorted(claimed - named) == []


def _exists(test: str) -> bool:
    path, _, name = test.partition("::")
    return name in names_in(REPOSITORY / path)


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=name_of)
def test_no_command_is_in_a_block_of_text(page: Path) -> None:
    """There nothing would ask for a test."""
    if page.name != "messages.md":  # its blocks are letters, with sentences that begin so
        assert disguised(page) == []
