"""The subprocess that opens containers: its limits, its answers and its end (row 25 of the faults)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clientcert.errors import Reason
from clientcert.pki.container_formats import answer
from tests.unit.pki.certificates import LEAF, refusal

LIMITED = "from clientcert.pki.container_formats import limit_this_process; limit_this_process(); "


def run_limited(program: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([sys.executable, "-I", "-B", "-c", LIMITED + program], capture_output=True, timeout=60)


def ask(data: bytes, password: str | None) -> dict[str, object]:
    answered = json.loads(answer(json.dumps({"password": password}).encode() + b"\n" + data))
    assert isinstance(answered, dict)
    return answered


def test_it_writes_no_file(tmp_path: Path) -> None:
    """It cannot write a single octet."""
    run_limited(f"open({str(tmp_path / 'file')!r}, 'w').write('octets')")
    assert (tmp_path / "file").read_bytes() == b""


def test_it_dumps_no_core() -> None:
    """A core dump could contain a private key."""
    assert run_limited("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))").stdout == b"(0, 0)\n"


def test_its_memory_is_limited() -> None:
    """It cannot allocate 1 GiB; a container of 1 MiB needs far less."""
    assert b"MemoryError" in run_limited("bytes(1 << 30)").stderr


def test_it_opens_few_files() -> None:
    """Sixteen open files are enough for pipes and libraries."""
    assert b"Too many open files" in run_limited("files = [open('/dev/null') for _ in range(20)]").stderr


def test_it_answers_with_certificates_and_never_with_the_key() -> None:
    """The answer has certificates as DER, each with a flag whether its key was there."""
    for container, password in ((LEAF.pkcs12("secret"), "secret"), (LEAF.jks("secret"), None)):
        answered = ask(container, password)
        assert list(answered) == ["certificates"]
        certificates = answered["certificates"]
        assert isinstance(certificates, list)
        assert [has_key for _, has_key in certificates] == [True, False, False]


@pytest.mark.parametrize(
    "request_", [b"", b"\n", b"{}\n", b'{"password": 5}\n\xfe\xed\xfe\xed', b"[" * 100_000, b"\xff\n"]
)
def test_it_answers_any_request(request_: bytes) -> None:
    """Each request gets an answer, even an invalid one."""
    assert json.loads(answer(request_)) == {"reason": Reason.INVALID_CERTIFICATE.value}


def test_no_process_is_left() -> None:
    """Every subprocess is reaped, however it ended: no child process is alive or a zombie."""
    refusal(LEAF.pkcs12("secret"))
    refusal(LEAF.pkcs12("secret")[:100])
    children = [Path(each, "cmdline").read_bytes() for each in Path("/proc").glob("[0-9]*") if is_child(each)]
    assert not [each for each in children if b"container_formats" in each or each == b""]


def is_child(process: Path) -> bool:
    try:
        return f"PPid:\t{os.getpid()}\n" in (process / "status").read_text()
    except OSError:
        return False


def test_the_password_is_on_no_command_line_and_in_no_environment() -> None:
    """A list of processes shows no password: each start has the same arguments and an empty environment."""
    program = (
        "import subprocess, sys\n"
        "from clientcert.pki import container_subprocess\n"
        "started = []\n"
        "sys.addaudithook(lambda event, words: started.append(words) if event == 'subprocess.Popen' else None)\n"
        "container_subprocess.open_container(sys.stdin.buffer.read(), 'a secret password')\n"
        "[(_, arguments, directory, environment)] = started\n"
        "print(arguments[1:], directory, environment)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], input=LEAF.pkcs12("a secret password"), capture_output=True, check=True
    )
    assert finished.stdout == b"['-I', '-B', '-m', 'clientcert.pki.container_formats'] / {}\n"
