"""Silence after a renewal lasts, and nothing else ends the alerts (design section 4, rule 5)."""

import pytest

from tests.control_plane.diary import Diary
from tests.control_plane.sentences import expiring, replaced
from tests.control_plane.team import DAY
from tools.certificates import Issued

NO_REPLACEMENTS = ("anothers", "expired", "unreadable", "key")


@pytest.fixture(scope="module")
def renewed(diary: Diary) -> dict[str, Issued]:
    """On the first day all are alerted. Before the second, all Secrets are changed while no operator runs."""
    team = diary.team
    one, other = diary.use_more_channels()
    for name in ("renewed", "future"):
        team.hand_out(name, days=20)
    for name, policy in zip(NO_REPLACEMENTS, (one, one, other, other), strict=True):
        team.hand_out(name, days=20, policyRef=policy)
    diary.run_on(0)
    new = {"renewed": team.renew("renewed", days=365), "future": team.renew("future", days=365, since=2 * DAY)}
    team.put("anothers", team.issue("somebody-else", days=365))
    team.renew("expired", days=-1)
    team.put("unreadable", b"not a certificate")
    team.put("key", team.issue("key", days=365).private_key_pem)
    diary.run_on(1, 3)
    return new


def test_a_renewal_while_the_operator_was_away_is_closed_when_it_is_back(
    diary: Diary, renewed: dict[str, Issued]
) -> None:
    """One closing message, and silence from then on."""
    assert diary.notified("renewed") == {
        0: [expiring("renewed", 20)],
        1: [replaced("renewed", renewed["renewed"])],
        3: [],
    }


@pytest.mark.parametrize("name", NO_REPLACEMENTS)
def test_invalid_content_does_not_end_the_alerts(name: str, diary: Diary, renewed: dict[str, Issued]) -> None:
    """The alerts about the certificate in use continue, with its own date."""
    assert diary.notified(name) == {0: [expiring(name, 20)], 1: [expiring(name, 19)], 3: [expiring(name, 17)]}


def test_one_of_the_future_takes_over_when_its_time_comes(diary: Diary, renewed: dict[str, Issued]) -> None:
    """Until its notBefore the alerts about the old certificate continue; then one closing message is sent."""
    assert diary.notified("future") == {
        0: [expiring("future", 20)],
        1: [expiring("future", 19)],
        3: [replaced("future", renewed["future"])],
    }
