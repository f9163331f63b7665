"""The messages that follow a change of the leaf, its chain or both: every history, against the rule in words."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from clientcert.lifecycle.assessment import Observation
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.phase import Phase
from clientcert.pki.certificate import Certificate, Expiry
from tests.builders import DAY, HOUR, NOW, assessment, certificate, policy
from tests.unit.lifecycle.timeline import Timeline

LEAVES = {
    name: certificate(NOW + days * DAY, serial_number=at)
    for at, (name, days) in enumerate({"a": 20, "b": 300}.items(), 1)
}
ISSUERS = {name: Expiry(NOW + days * DAY, f"CN={name}", name, name * 32) for name, days in {"c1": 5, "c2": 40}.items()}


@dataclass(frozen=True)
class File:
    """The content of the source: a leaf, and the issuer that ends first, if one does."""

    leaf: str
    issuer: str | None

    @property
    def certificate(self) -> Certificate:
        leaf = LEAVES[self.leaf]
        issuer = ISSUERS[self.issuer] if self.issuer else None
        return replace(leaf, ends_first=issuer if issuer and issuer.time < leaf.not_after else None)

    @property
    def counts(self) -> str:
        """The fingerprint of the certificate whose date counts."""
        return self.certificate.expires.fingerprint_sha256


FILES = st.builds(File, st.sampled_from(sorted(LEAVES)), st.sampled_from([None, *sorted(ISSUERS)]))


@given(st.lists(FILES, min_size=1, max_size=8))
def test_every_history_of_leaf_and_chain(files: list[File]) -> None:
    """A closing message for what was alerted about and is gone; an alert about what is soon; and nothing twice.

    A certificate is gone if it is neither the leaf nor the one whose date counts.
    """
    timeline = Timeline(policy(), Observation())
    alerted: str | None = None
    for hours, file in enumerate(files):
        now = NOW + hours * HOUR
        timeline.replace_source(file.certificate)
        before = len(timeline.sent)
        timeline.reconcile(now)
        sent = [(each.kind, each.about) for each in timeline.sent[before:]]
        is_soon = file.certificate.expires.time - now <= 30 * DAY
        expected = []
        if alerted not in {None, file.counts, file.certificate.fingerprint_sha256}:
            expected.append((MessageKind.CLOSING, file.counts))
            alerted = None
        if is_soon and alerted != file.counts:
            expected.append((MessageKind.ALERT, file.counts))
            alerted = file.counts
        assert sent == expected
        timeline.reconcile(now)
        assert len(timeline.sent) == before + len(sent)


@given(FILES, st.integers(-10, 320))
def test_phase_and_days_are_those_of_the_first_to_end(file: File, days: int) -> None:
    """However far away the leaf's own date is."""
    now = NOW + days * DAY
    found = assessment(file.certificate, now)
    left = file.certificate.expires.time - now
    assert found.days_remaining == left // DAY
    assert found.expired is (left < 0 * DAY)
    assert found.phase is (
        Phase.EXPIRED if left < 0 * DAY else Phase.EXPIRING_SOON if left <= 30 * DAY else Phase.VALID
    )
