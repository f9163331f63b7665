"""Opens PKCS#12 and Java keystores in a process of its own, and believes little of what it answers.

A request is a line of JSON with the password, then the container; `container_process.py` describes the answer. Both go
through pipes, so neither argument list nor environment nor disk ever holds a password or a key.
"""

import base64
import contextlib
import json
import subprocess
import sys
import threading
from signal import SIGKILL, SIGXCPU

from clientcert.errors import CertificateError, Reason
from clientcert.pki.container_entry import MAX_ENTRIES, Entry

WALL_CLOCK_SECONDS = 20.0
"""More than the processor time that it may use: a throttled pod makes five seconds long."""
_LONGEST_ANSWER = 4 * 1024 * 1024
_AT_ONCE = threading.BoundedSemaphore(2)

_MESSAGES = {
    Reason.PASSWORD_REQUIRED: "the container is encrypted: give its password (passwordSecretRef, or --password-file)",
    Reason.PASSWORD_INCORRECT: "the password does not open the container: correct it, or export the container again",
    Reason.TOO_EXPENSIVE: "opening the container takes too much work, its iteration counts are too high:"
    " export it again with fewer iterations",
    Reason.TOO_LARGE: "the container holds too many entries: put only the client certificate and its chain into it",
    Reason.UNSUPPORTED_FORMAT: "the container is protected in a way that is not supported: export it again with AES",
    Reason.INVALID_CERTIFICATE: "the container is damaged or cut off: export it again",
}


def open_container(data: bytes, password: str | None) -> list[Entry]:
    """The certificates of a container in their order; waits while two others are being opened.

    Raises CertificateError.
    """
    request = json.dumps({"password": password}).encode("ascii") + b"\n" + data
    with _AT_ONCE:
        answer, exit_code = _ask(request)
    if exit_code in (-SIGXCPU, -SIGKILL):
        # The kernel's own limit ends with SIGXCPU; SIGKILL is our clock's, and a busy machine's fault perhaps.
        raise _error(Reason.TOO_EXPENSIVE, retryable=exit_code == -SIGKILL)
    if exit_code > 0:
        raise CertificateError(Reason.INTERNAL_ERROR, "the process that opens containers does not run here")
    try:
        return _entries(answer)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _error(Reason.INVALID_CERTIFICATE) from None


def _ask(request: bytes) -> tuple[bytes, int]:
    """Answer and exit code; when this returns or raises, the process is gone."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-m", "clientcert.pki.container_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
        )
    except OSError:
        raise CertificateError(
            Reason.INTERNAL_ERROR, "no process could be started to open the container", retryable=True
        ) from None
    watchdog = threading.Timer(WALL_CLOCK_SECONDS, process.kill)
    watchdog.daemon = True
    watchdog.start()
    with process:
        try:
            assert process.stdin is not None  # noqa: S101 - PIPE was asked for
            assert process.stdout is not None  # noqa: S101
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(request)
            answer = process.stdout.read(_LONGEST_ANSWER + 1)
            if len(answer) > _LONGEST_ANSWER:
                process.kill()
            return answer, process.wait()
        finally:
            process.kill()
            watchdog.cancel()


def _entries(answer: bytes) -> list[Entry]:
    document = json.loads(answer)
    if "reason" in document:
        raise _error(Reason(document["reason"]))
    certificates = document["certificates"]
    if len(certificates) > MAX_ENTRIES:
        raise ValueError("more than it may answer")
    return [Entry(base64.b64decode(der, validate=True), has_key is True) for der, has_key in certificates]


def _error(reason: Reason, *, retryable: bool = False) -> CertificateError:
    return CertificateError(reason, _MESSAGES[reason], retryable=retryable)
