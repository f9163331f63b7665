"""docs/reference.md describes exactly the options, settings, metrics and fields that exist."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from clientcert.cache.revocations import RevocationCache
from clientcert.certificate_metrics import families, x509_families
from clientcert.controllers import certificate_store
from clientcert.controllers.certificate_revocation.conditions import IN_CRL, LISTED, REVOCATION_LISTS
from clientcert.controllers.issuer_readiness import ISSUER_READY
from clientcert.controllers.store_discovery.decisions import DISCOVERED
from clientcert.lifecycle import conditions
from clientcert.lifecycle.renewal.standing import RENEWABLE
from clientcert.lifecycle.renewal.status import NOTIFIED
from clientcert.lifecycle.renewal.vetting import VETTED
from clientcert.metrics import Metrics
from clientcert.object_metrics import crls, entries_without_object, open_requests, phases, policies, renewals, stores
from clientcert.settings import load_settings
from clientcert.shared_sources import SharedSources
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import NOW
from tests.conftest import REPOSITORY
from tests.docs.pages import first_column, section

PAGE = REPOSITORY / "docs/reference.md"
DESCRIBED_AS_A_WHOLE = ("conditions[].", "renewal.")
"""Fields that are described by one row for the whole."""


class Asked(Mapping[str, str]):
    """An empty environment that records the requested names."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def crd(plural: str) -> Any:
    return yaml.safe_load((REPOSITORY / f"crds/{plural}.yaml").read_text())["spec"]["versions"][0]


PAGES = dict.fromkeys(("run", "inspect"), PAGE) | dict.fromkeys(
    (
        "check",
        "list",
        "status",
        "test-alert",
        "import s3",
        "import secrets",
        "import files",
        "renew",
        "retrieve",
        "approve",
        "deny",
        "handed-over",
        "vet",
        "retire",
        "revoke",
        *("list", "report", "status", "renew", "retrieve", "approve", "deny", "handed-over", "vet", "retire", "revoke"),
        *("backup", "restore", "export", "version"),
    ),
    REPOSITORY / "docs/cli.md",
)


@pytest.mark.parametrize("verb", PAGES)
def test_help_is_what_the_program_prints(verb: str) -> None:
    environment = {**os.environ, "COLUMNS": "80", "TERMINAL_WIDTH": "80"}
    command = [sys.executable, "-m", "clientcert", *verb.split(), "--help"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    printed = ran.stdout.replace("python -m clientcert", "clientcert")
    assert section(PAGES[verb], f"### clientcert {verb}").split("```")[1].removeprefix("console\n") == printed


def test_every_variable_is_there() -> None:
    asked = Asked()
    load_settings({}, asked)
    files = {name for name in asked.names if name.endswith("_FILE")}
    text = section(PAGE, "## Settings")
    assert set(first_column(text)) == asked.names - files
    assert {name for name in files if f"`{name}`" in text} == files


def test_each_setting_has_its_value_of_the_chart() -> None:
    template = (REPOSITORY / "deploy/helm/clientcert-operator/templates/_settings.tpl").read_text()
    plain = re.findall(r'\(list "(\w+)" (?:\$|\.Values\.)([\w.]+)\)', template)
    secret = re.findall(r'"variable" "(\w+)" .*?"value" \.Values\.([\w.]+)', template)
    assert plain
    assert secret
    shown = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|", section(PAGE, "## Settings"), re.MULTILINE)
    assert dict(shown) == dict([*plain, *secret]) | {"CLIENTCERT_NAMESPACE": "includeNamespaces"}


def test_every_type_of_channel_is_there() -> None:
    """With each field that belongs to it."""
    spec = crd("certificatepolicies")["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    channel = spec["alerts"]["properties"]["channels"]["items"]["properties"]
    text = section(PAGE, "## Types of channels")
    rows = {row.split("`")[1]: row for row in text.splitlines() if row.startswith("| `")}
    assert set(rows) == set(channel["type"]["enum"])
    fields = {(kind, name) for kind in rows for name in channel[kind.lower()]["properties"]}
    assert sorted(each for each in fields if f"`{each[1]}`" not in rows[each[0]]) == []


def test_every_metric_is_there() -> None:
    text = (
        generate_latest(Metrics().registry).decode()
        + phases([])
        + renewals([])
        + crls([])
        + entries_without_object([])
        + "".join(render() for render in (*policies([], 1), *stores([], 1), *open_requests([], {}, 1)))
        + "".join(head for head, _ in families(NOW, RevocationCache(WorkQueue(lambda: NOW))))
        + "".join(head for head, _ in x509_families(NOW, SharedSources()))
    )
    typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert set(first_column(section(PAGE, "## Metrics"))) == {each for each in typed if not each.startswith("process_")}


def test_every_condition_is_there() -> None:
    types = {value for name, value in vars(conditions).items() if name.isupper() and isinstance(value, str)}
    types |= {certificate_store.PRIVATE_KEYS_ABSENT, DISCOVERED, RENEWABLE, VETTED, ISSUER_READY}
    types |= {LISTED, IN_CRL, REVOCATION_LISTS, NOTIFIED}
    assert set(first_column(section(PAGE, "## Conditions"))) == types


def test_every_column_is_there() -> None:
    columns = [column["name"].upper() for column in crd("clientcertificates")["additionalPrinterColumns"]]
    assert sorted(first_column(section(PAGE, "## Columns"))) == sorted(columns)


def test_every_status_field_is_there() -> None:
    status = crd("clientcertificates")["schema"]["openAPIV3Schema"]["properties"]["status"]
    paths = {path for path in _paths(status) if not path.startswith(DESCRIBED_AS_A_WHOLE)}
    assert set(first_column(section(PAGE, "## Status fields"))) == paths


def test_every_status_field_of_a_policy_is_there() -> None:
    status = crd("certificatepolicies")["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    paths = {f"digests[].{path}" for path in _paths(status["digests"]["items"])}
    assert set(first_column(section(PAGE, "## Status of a policy"))) == paths


def _paths(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        yield prefix + name
        yield from _paths(inner, f"{prefix}{name}.")
        yield from _paths(inner.get("items", {}), f"{prefix}{name}[].")
