"""What can go wrong here: `ControlPlaneError` for everything that a person can act on."""


class ControlPlaneError(Exception):
    """A part could not be found, built, started or asked; the message says which and shows the end of its log."""


class PortTakenError(ControlPlaneError):
    """The port was free when it was chosen and taken when the process wanted it: worth another try on another."""


class ApiError(ControlPlaneError):
    """The API server answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status
