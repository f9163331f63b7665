"""The parts of a check: rules answer, and compose as the policies of sigstore do; a check gives a rule its name."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from clientcert.errors import CertificateError, Reason
from clientcert.lifecycle.renewal.facts import Facts
from clientcert.lifecycle.renewal.status import CheckResult, Outcome
from clientcert.pki.der import MalformedError


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a rule: an outcome, a sentence, and the reason if it did not pass."""

    outcome: Outcome
    message: str
    reason: Reason | None = None


Rule: TypeAlias = Callable[[Facts], Answer]


def passed(message: str) -> Answer:
    """The rule is kept."""
    return Answer(Outcome.PASSED, message)


def refused(reason: Reason, message: str) -> Answer:
    """The rule is broken, which is final."""
    return Answer(Outcome.REFUSED, message, reason)


def waits(reason: Reason, message: str) -> Answer:
    """The rule cannot be kept yet."""
    return Answer(Outcome.WAITS, message, reason)


class AllOf:
    """Passes if every rule does, with all their sentences; else it gives the first answer that did not pass."""

    def __init__(self, *rules: Rule) -> None:
        self._rules = rules

    def __call__(self, facts: Facts) -> Answer:
        """Ask the rules in order."""
        messages = []
        for rule in self._rules:
            answer = rule(facts)
            if answer.outcome is not Outcome.PASSED:
                return answer
            messages.append(answer.message)
        return passed("; ".join(dict.fromkeys(filter(None, messages))))


class AnyOf:
    """Passes if one rule does; else it gives the last answer."""

    def __init__(self, first: Rule, *others: Rule) -> None:
        self._rules = (first, *others)

    def __call__(self, facts: Facts) -> Answer:
        """Ask the rules in order, until one passes."""
        for rule in self._rules:
            answer = rule(facts)
            if answer.outcome is Outcome.PASSED:
                break
        return answer


class Need(Enum):
    """An input that a check requires."""

    SOURCE = auto()
    """The source was read: with a certificate, or with none for a consumer's first."""
    CURRENT = auto()
    """There is a current certificate."""
    AUTHORITY = auto()
    """The issuer is ready, with the certificates of its CA and of former ones."""
    REQUEST = auto()
    """The CSR or public key."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one check, with its reason if it did not pass."""

    result: CheckResult
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One rule with the name that status shows."""

    name: str
    rule: Rule
    needs: frozenset[Need] = frozenset()
    """Without one of these it is left out: an earlier check waits or refuses."""

    def __call__(self, facts: Facts) -> Verdict:
        """Judge. A rule may raise CertificateError or MalformedError: both refuse the request."""
        try:
            answer = self.rule(facts)
        except CertificateError as error:
            answer = refused(error.reason, error.message)
        except MalformedError:
            answer = refused(
                Reason.INVALID_CERTIFICATE,
                "the current certificate is not well-formed (RFC 5280), so it cannot be renewed as it is: remove it"
                " from the source, and ask for a first one with mode Reissue",
            )
        return Verdict(CheckResult(self.name, answer.outcome, answer.message), answer.reason)
