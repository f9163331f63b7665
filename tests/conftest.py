"""One real API server for all tests that need one, with what we ship applied to it."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tools.control_plane import ControlPlane

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Started when the first test asks for it. Nothing cleans up in it: a test makes a namespace of its own."""
    with ControlPlane.start(tmp_path_factory.mktemp("control-plane")) as running:
        running.apply_kustomize(REPOSITORY / "deploy/kustomize/base")
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    """An empty namespace that no other test has seen."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    control_plane.create_namespace(name)
    return name
