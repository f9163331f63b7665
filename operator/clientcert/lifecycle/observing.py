"""The words of conditions and errors while the operator only observes (CLIENTCERT_OBSERVE_ONLY)."""

_WHY = "the operator only observes (CLIENTCERT_OBSERVE_ONLY)"


def withheld(what: str) -> str:
    """The message of the reason ObserveOnly. `what` says what is not done: "no alert is sent"."""
    return f"{what}: {_WHY}"
