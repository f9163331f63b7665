import pytest

from tests.upgrade.versions import reference_before


def pytest_report_header() -> str:
    """Say which version is compared, and why."""
    try:
        return reference_before()[1]
    except (OSError, ValueError) as error:
        return f"the version before cannot be found: {error}"


@pytest.fixture(scope="module", autouse=True)
def needs_git() -> None:
    try:
        reference_before()
    except (OSError, ValueError) as error:
        pytest.skip(f"not a checkout of git: {error}")
