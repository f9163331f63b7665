"""Each counter is at 0 from the start, for each value that its labels can have."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from clientcert.errors import Reason
from clientcert.lifecycle.policy import EVENT
from clientcert.metrics import CHANNEL_TYPES, SOURCE_KINDS, SOURCE_REASONS, STORE_REASONS, WRITTEN_KINDS, Metrics
from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "operator/clientcert"
READERS = ("access", "address", "calls", "client", "connection", "connections", "errors", "page", "reader", "transport")
FORMATS = (
    *("advice", "bundle", "choice", "container_entry", "container_formats", "container_subprocess", "jks", "leaf"),
    *("loose_pem", "parsing", "pem", "pkcs12", "pkcs7", "strict", "lenient", "structure", "text_damage", "beginnings"),
)
ONLY_OF_WRITES = frozenset({Reason.WRITE_NOT_ALLOWED, Reason.SOURCE_CHANGED, Reason.SOURCE_HAS_PRIVATE_KEY})
OF_THE_API_SERVER = frozenset({Reason.FORBIDDEN, Reason.NOT_FOUND})
"""A source gives them another reason."""


@pytest.fixture
def exposed() -> dict[str, dict[tuple[str, ...], float]]:
    """By name: the values of the labels of each series, and its value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(generate_latest(Metrics().registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def reasons_in(*files: Path) -> set[Reason]:
    """The reasons that the code of these files names."""
    return {Reason[name] for path in files for name in re.findall(r"Reason\.([A-Z_]+)\b", path.read_text())}


def test_every_counter_begins_at_zero(exposed: dict[str, dict[tuple[str, ...], float]]) -> None:
    counters = {name: series for name, series in exposed.items() if name.endswith("_total") and "process" not in name}
    assert {name: len(series) for name, series in counters.items()} == {
        "clientcert_notifications_total": 6 * 3,
        "clientcert_heartbeats_total": 2,
        "clientcert_status_writes_total": 5,
        "clientcert_reconcile_errors_total": 1,
        "clientcert_store_polls_total": 1 + len(STORE_REASONS),
        "clientcert_discovery_total": 2,
        "x509_source_errors_total": 2 * len(SOURCE_REASONS),
    }
    assert {value for series in counters.values() for value in series.values()} == {0.0}


def test_nothing_tells_when_a_series_was_created(exposed: dict[str, dict[tuple[str, ...], float]]) -> None:
    assert [name for name in exposed if name.endswith("_created")] == []


def test_the_process_and_the_version_are_there(exposed: dict[str, dict[tuple[str, ...], float]]) -> None:
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"} <= exposed.keys()
    assert list(exposed["clientcert_build_info"].values()) == [1.0]


def test_a_failed_read_is_counted_under_both_names() -> None:
    metrics = Metrics()
    metrics.count_source_error("s3", Reason.TOO_LARGE)
    text = generate_latest(metrics.registry).decode()
    assert 'x509_source_errors_total{reason="TooLarge",source_kind="s3",source_name="buckets"} 1.0' in text
    assert "x509_read_errors 1.0" in text


def test_all_types_of_channels_are_known() -> None:
    crd = yaml.safe_load((REPOSITORY / "crds/certificatepolicies.yaml").read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    types = spec["alerts"]["properties"]["channels"]["items"]["properties"]["type"]["enum"]
    assert sorted(CHANNEL_TYPES) == sorted([*types, EVENT])


def test_all_kinds_are_known() -> None:
    files = (REPOSITORY / "crds").glob("certificate*.yaml"), (REPOSITORY / "crds").glob("client*.yaml")
    kinds = [yaml.safe_load(path.read_text())["spec"]["names"]["kind"] for path in chain(*files)]
    assert sorted(WRITTEN_KINDS) == sorted(kinds)


def test_all_kinds_of_sources_are_known() -> None:
    code = (PACKAGE / "lifecycle/spec.py").read_text()
    assert set(re.findall(r'kind: ClassVar\[str\] = "(\w+)"', code)) == set(SOURCE_KINDS)


def test_all_reasons_of_stores_are_known() -> None:
    written = reasons_in(*(PACKAGE / f"sources/s3/{name}.py" for name in READERS)) - ONLY_OF_WRITES
    assert sorted(written - {Reason.KEY_MISSING} - set(STORE_REASONS)) == []


def files_of_sources() -> Iterator[Path]:
    yield PACKAGE / "sources/secret.py"
    yield PACKAGE / "cache/source_cache.py"
    yield from (PACKAGE / f"sources/s3/{name}.py" for name in READERS)
    yield from (PACKAGE / f"pki/{name}.py" for name in FORMATS)


def test_all_reasons_of_sources_are_known() -> None:
    assert sorted(reasons_in(*files_of_sources()) - ONLY_OF_WRITES - OF_THE_API_SERVER - set(SOURCE_REASONS)) == []
