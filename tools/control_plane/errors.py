"""The errors of this package: `ControlPlaneError` for everything that a person can fix."""


class ControlPlaneError(Exception):
    """A program could not be found, built, started or called; the message names it and shows the end of its log."""


class PortTakenError(ControlPlaneError):
    """The port was free when it was chosen, but another process has taken it: try again on another port."""


class ApiError(ControlPlaneError):
    """The API server answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status
