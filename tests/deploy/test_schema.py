"""Each bound and rule in crds/ accepts valid values, and refuses others with a message that says what to fix."""

from typing import Any

import pytest

from tests.deploy.cases import Case, all_cases
from tests.deploy.conftest import Server
from tests.deploy.schema import read
from tools.control_plane import ApiError

CASES = all_cases()


def submit(server: Server, case: Case) -> Any:
    return server.change(case.document, case.base, case.part) if case.base else server.create(case.document)


@pytest.mark.parametrize("case", [case for case in CASES if not case.refusal], ids=str)
def test_a_valid_value_is_accepted_and_kept(server: Server, case: Case) -> None:
    """Nothing is pruned or changed; missing fields have their defaults."""
    answer = submit(server, case)
    if case.where:
        assert read(answer, case.where) == case.kept


@pytest.mark.parametrize("case", [case for case in CASES if case.refusal], ids=str)
def test_an_invalid_value_is_refused_with_what_to_fix(server: Server, case: Case) -> None:
    with pytest.raises(ApiError) as refused:
        submit(server, case)
    assert refused.value.status == 422
    for words in case.refusal:
        assert words in str(refused.value)
