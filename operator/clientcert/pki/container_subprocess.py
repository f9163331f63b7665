"""Opens PKCS#12 files and Java keystores in a subprocess, and validates its answer.

A request is one line of JSON with the password, followed by the container; `container_formats.py` describes the answer.
Both are sent through pipes, so no password or key is ever in an argument list, in the environment or on disk.
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
from clientcert.pki.pkcs12_ciphers import UNSUPPORTED

WALL_CLOCK_SECONDS = 20.0
"""More than the CPU time limit of the subprocess, because a throttled pod needs longer for the same CPU time."""
_LONGEST_ANSWER = 4 * 1024 * 1024
_SUBPROCESSES = threading.BoundedSemaphore(2)

_MESSAGES = {
    Reason.PASSWORD_REQUIRED: "the container is encrypted: give its password (passwordSecretRef, or --password-file)",
    Reason.PASSWORD_INCORRECT: "the password does not open the container: correct it, or export the container again",
    Reason.TOO_EXPENSIVE: "opening the container takes too much computing time, its iteration counts are too high:"
    " export it again with fewer iterations",
    Reason.TOO_LARGE: "the container holds too many entries: put only the client certificate and its chain into it",
    Reason.UNSUPPORTED_FORMAT: "the container is protected in a way that is not supported: export it again with AES",
    Reason.INVALID_CERTIFICATE: "the container is damaged or cut off: export it again",
}


def open_container(data: bytes, password: str | None) -> list[Entry]:
    """Return the certificates of a container in their order; blocks while two others are being opened.

    Raises CertificateError.
    """
    request = json.dumps({"password": password}).encode("ascii") + b"\n" + data
    with _SUBPROCESSES:
        answer, exit_code = _run_subprocess(request)
    if exit_code in (-SIGXCPU, -SIGKILL):
        # SIGXCPU comes from the kernel's CPU limit. SIGKILL comes from our timeout: the machine may just be busy.
        raise _error(Reason.TOO_EXPENSIVE, retryable=exit_code == -SIGKILL)
    if exit_code > 0:
        raise CertificateError(Reason.INTERNAL_ERROR, "the subprocess that opens containers failed")
    try:
        return _entries(answer)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _error(Reason.INVALID_CERTIFICATE) from None


def _run_subprocess(request: bytes) -> tuple[bytes, int]:
    """Return answer and exit code; the subprocess has ended when this returns or raises."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-m", "clientcert.pki.container_formats"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
        )
    except OSError:
        raise CertificateError(
            Reason.INTERNAL_ERROR, "the subprocess that opens containers could not be started", retryable=True
        ) from None
    done = threading.Event()
    threading.Thread(target=_kill_after_timeout, args=(process, done), daemon=True).start()
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
            done.set()


def _kill_after_timeout(process: "subprocess.Popen[bytes]", done: threading.Event) -> None:
    if not done.wait(WALL_CLOCK_SECONDS):
        process.kill()


def _entries(answer: bytes) -> list[Entry]:
    document = json.loads(answer)
    if "reason" in document:
        raise _error(Reason(document["reason"]), algorithm=document.get("algorithm", ""))
    certificates = document["certificates"]
    if len(certificates) > MAX_ENTRIES:
        raise ValueError("more certificates than the limit")
    return [Entry(base64.b64decode(der, validate=True), has_key is True) for der, has_key in certificates]


def _error(reason: Reason, *, algorithm: str = "", retryable: bool = False) -> CertificateError:
    message = _MESSAGES[reason]
    if algorithm in UNSUPPORTED.values():
        message = f"{algorithm} protects the container and is not supported: export it with AES-256 and a password"
    return CertificateError(reason, message, retryable=retryable)
