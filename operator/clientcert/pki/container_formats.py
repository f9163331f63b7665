"""Opens one container of any format, in the subprocess that `container_subprocess.py` runs.

The cost of opening a container cannot be known in advance, and the interpreter lock is held meanwhile. So it is opened
here, where the kernel enforces limits. The answer has certificates or a reason, and never keys or other texts.
"""

import base64
import json
import resource
import sys

from clientcert.errors import Reason
from clientcert.pki.container_entry import MAX_ENTRIES, Entry, NotOpenedError
from clientcert.pki.jks import KEYSTORE_MAGIC, open_keystore
from clientcert.pki.pkcs12 import open_pkcs12

CPU_SECONDS = 5
_ADDRESS_SPACE = 256 * 1024 * 1024
_OPEN_FILES = 16


def limit_this_process() -> None:
    """Limit CPU time, memory and open files; forbid written files, core dumps and child processes."""
    for what, soft, hard in (
        (resource.RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS + 1),
        (resource.RLIMIT_AS, _ADDRESS_SPACE, _ADDRESS_SPACE),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES, _OPEN_FILES),
        (resource.RLIMIT_NPROC, 0, 0),
    ):
        resource.setrlimit(what, (soft, hard))


def answer(request: bytes) -> bytes:
    """Return JSON: `certificates`, each with base64 DER and whether its key is in the container, or a `reason`."""
    try:
        entries = _open(request)
        if len(entries) > MAX_ENTRIES:
            raise NotOpenedError(Reason.TOO_LARGE)
    except NotOpenedError as error:
        return json.dumps({"reason": error.reason.value, "algorithm": error.algorithm}).encode()
    except MemoryError:
        return json.dumps({"reason": Reason.TOO_EXPENSIVE.value}).encode()
    except BaseException:  # noqa: BLE001 - includes panics of the library, which are no Exception; the container is the cause
        return json.dumps({"reason": Reason.INVALID_CERTIFICATE.value}).encode()
    certificates = [[base64.b64encode(each.der).decode("ascii"), each.has_key] for each in entries]
    return json.dumps({"certificates": certificates}).encode()


def _open(request: bytes) -> list[Entry]:
    header, _, data = request.partition(b"\n")
    password = json.loads(header)["password"]
    if data[:4] in KEYSTORE_MAGIC:
        return open_keystore(data, password)
    return open_pkcs12(data, password)


if __name__ == "__main__":
    limit_this_process()
    sys.stdout.buffer.write(answer(sys.stdin.buffer.read()))
