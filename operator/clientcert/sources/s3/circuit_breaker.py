"""A circuit breaker: calls to a server that does not answer fail at once, instead of each waiting for its deadline.

Without it, a hundred certificates in a store whose server does not answer would hold a hundred workers for the whole
deadline at each retry, while the certificates of other stores wait for a worker.
"""

import asyncio

from clientcert.sources.s3.errors import Fault, NoAnswerError

_FAILURES_TO_OPEN = 8
"""Failures in a row."""
_PROBE_SECONDS = 3.0
"""Time between two requests that are let through while the circuit is open."""
_OUTAGES = frozenset({Fault.NAME_UNKNOWN, Fault.SLOW, Fault.UNREACHABLE, Fault.PROXY, Fault.UNTRUSTED})


class CircuitBreaker:
    """Opens after some requests in a row without any answer; then lets one request through from time to time."""

    def __init__(self) -> None:
        self._failures = 0
        self._fault = Fault.UNREACHABLE
        self._next_probe = 0.0

    def check(self) -> None:
        """Raise NoAnswerError with the last fault while the circuit is open, unless a probe is due."""
        if self._failures < _FAILURES_TO_OPEN:
            return
        now = asyncio.get_running_loop().time()
        if now < self._next_probe:
            raise NoAnswerError(self._fault)
        self._next_probe = now + _PROBE_SECONDS

    def record_failure(self, fault: Fault) -> None:
        """Count a request without a complete answer; an answer that was cut off or too large is not an outage."""
        if fault not in _OUTAGES:
            self.record_answer()
            return
        self._failures += 1
        self._fault = fault
        self._next_probe = asyncio.get_running_loop().time() + _PROBE_SECONDS

    def record_answer(self) -> None:
        """Close the circuit: the server answered, with success or with an error."""
        self._failures = 0
