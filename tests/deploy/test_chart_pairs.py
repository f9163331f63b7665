"""Each pair of the chart's switches, as a real API server accepts it."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.deploy.chart import default_values, merged, nested, objects_of
from tools.control_plane import ControlPlane
from tools.control_plane.go_module import module_directory
from tools.helm import Helm

Choice = Mapping[str, bool]
INCLUDE, EXISTING = "includeNamespaces", "existingSecret"
NAMESPACES = ("pairs-system", "pairs-a", "pairs-b")
SERVICE_MONITOR, POD_MONITOR = "prometheus.servicemonitor.enabled", "prometheus.podmonitor.enabled"
BOTH_MONITORS = {(SERVICE_MONITOR, True), (POD_MONITOR, True)}
"""The only pair that the chart refuses."""
_CRDS = "example/prometheus-operator-crd"


def booleans(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, bool):
            yield f"{prefix}{key}"
        elif isinstance(value, Mapping):
            yield from booleans(value, f"{prefix}{key}.")


SWITCHES = (*booleans(default_values()), INCLUDE, EXISTING)


def all_pairs() -> list[Choice]:
    """Few choices of all switches, in which each pair of two switches has each pair of positions."""
    missing = {
        frozenset({(one, first), (other, second)})
        for one, other in itertools.combinations(SWITCHES, 2)
        for first, second in itertools.product((True, False), repeat=2)
    } - {frozenset(BOTH_MONITORS)}
    choices: list[Choice] = []
    while missing:
        choice = dict(min(missing, key=sorted))
        for switch in (each for each in SWITCHES if each not in choice):
            positions = {
                position: sum(frozenset({(switch, position), set_one}) in missing for set_one in choice.items())
                for position in (True, False)
                if not {*choice.items(), (switch, position)} >= BOTH_MONITORS
            }
            choice[switch] = max(positions, key=lambda position: positions[position])
        choices.append(choice)
        missing -= {frozenset(pair) for pair in itertools.combinations(choice.items(), 2)}
    return choices


CHOICES = all_pairs()


def values_of(choice: Choice) -> dict[str, Any]:
    """The values of a choice, with what each position needs."""
    secrets = {"channel": "#a", "token": "xoxb-1"}
    needed = {
        INCLUDE: nested(INCLUDE, list(NAMESPACES[1:])),
        EXISTING: {EXISTING: "mine", "existingSecretKeys": {"slackToken": "token"}, "slack": {"channel": "#a"}},
    }
    off = {
        EXISTING: {"slack": secrets},
        "serviceAccount.create": nested("serviceAccount.name", "mine"),
        "config.leaderElection": nested("replicaCount", 1),
    }
    parts = [nested(switch, position) for switch, position in choice.items() if switch not in needed]
    parts += [needed[switch] for switch in needed if choice[switch]]
    parts += [off[switch] for switch in off if not choice[switch]]
    return merged(*parts)


@pytest.fixture(scope="module")
def ready(control_plane: ControlPlane) -> ControlPlane:
    """With the namespaces, and with the kinds of the Prometheus operator."""
    for name in NAMESPACES:
        control_plane.create_namespace(name)
    module = module_directory("prometheus-operator", "github.com/prometheus-operator/prometheus-operator")
    names = ("servicemonitors", "podmonitors", "prometheusrules")
    files = [("-f", module / _CRDS / f"monitoring.coreos.com_{name}.yaml") for name in names]
    control_plane.kubectl("apply", "--server-side", *itertools.chain(*files))
    control_plane.kubectl(
        "wait", "--for=condition=Established", *(f"crd/{name}.monitoring.coreos.com" for name in names)
    )
    return control_plane


def test_the_choices_have_every_pair() -> None:
    assert {"crds.enabled", "prometheusRules.create", "networkPolicy.enabled"} <= set(SWITCHES)
    for one, other in itertools.combinations(SWITCHES, 2):
        seen = {(choice[one], choice[other]) for choice in CHOICES}
        refused = {(True, True)} if {one, other} == {SERVICE_MONITOR, POD_MONITOR} else set()
        assert seen == set(itertools.product((True, False), repeat=2)) - refused


@pytest.mark.parametrize("number", range(len(CHOICES)))
def test_every_pair_is_accepted(ready: ControlPlane, helm: Helm, number: int) -> None:
    """By dry runs with strict validation, which store nothing."""
    objects = objects_of(helm, values_of(CHOICES[number]), release=f"pairs-{number}", namespace=NAMESPACES[0])
    text = yaml.dump_all(objects, Dumper=yaml.CSafeDumper)
    arguments = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
    accepted = ready.kubectl(*arguments, input=text)
    assert accepted.count("serverside-applied") == len(objects)
    cluster_wide = {each["kind"] for each in objects if "namespace" not in each["metadata"]}
    assert ("ClusterRoleBinding" in cluster_wide) == (not CHOICES[number][INCLUDE])
