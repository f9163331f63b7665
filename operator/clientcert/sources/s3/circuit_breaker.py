"""Spares everyone the wait for a server that is known to be away.

A hundred certificates in a store whose server swallows requests would else hold a hundred workers for the whole
deadline, and again at each retry, while the certificates of other stores wait for a worker.
"""

import asyncio

from clientcert.sources.s3.errors import Fault, NoAnswerError

_IN_A_ROW = 8
_TRY_EVERY_SECONDS = 3.0
_OF_THE_SERVER = frozenset({Fault.NAME_UNKNOWN, Fault.SLOW, Fault.UNREACHABLE, Fault.UNTRUSTED})


class CircuitBreaker:
    """After a few requests in a row without any answer, one is let through now and then; the others fail at once."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._fault = Fault.UNREACHABLE
        self._next_try = 0.0

    def check(self) -> None:
        """Raises NoAnswerError with the last fault if this is not the time for a try."""
        if self._in_a_row < _IN_A_ROW:
            return
        now = asyncio.get_running_loop().time()
        if now < self._next_try:
            raise NoAnswerError(self._fault)
        self._next_try = now + _TRY_EVERY_SECONDS

    def failed(self, fault: Fault) -> None:
        """A request came back without a whole answer; that an answer was cut or too large is no outage."""
        if fault not in _OF_THE_SERVER:
            self.answered()
            return
        self._in_a_row += 1
        self._fault = fault
        self._next_try = asyncio.get_running_loop().time() + _TRY_EVERY_SECONDS

    def answered(self) -> None:
        """The server is there, whatever it said."""
        self._in_a_row = 0
