"""The tests run on the version that was asked for."""

import os

import pytest

from tests.compat.suite import VERSION
from tools.control_plane import ControlPlane


@pytest.mark.compat
def test_the_api_server_has_the_version_that_was_asked_for(control_plane: ControlPlane) -> None:
    """Else a forgotten variable would make the whole run one of the usual version."""
    assert control_plane.version == os.environ[VERSION]
