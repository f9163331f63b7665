"""Read the files that a call names."""

import sys
from pathlib import Path

from clientcert.errors import Reason, SourceError
from clientcert.pki import MAX_SIZE

STDIN = "-"


def read_file(file: str) -> bytes:
    """The content, up to one octet more than any file may have; `-` is standard input. Raises SourceError."""
    try:
        if file == STDIN:
            return sys.stdin.buffer.read(MAX_SIZE + 1)
        with Path(file).open("rb") as stream:
            return stream.read(MAX_SIZE + 1)
    except FileNotFoundError:
        raise SourceError(Reason.SOURCE_NOT_FOUND, "the file does not exist") from None
    except PermissionError:
        raise SourceError(Reason.ACCESS_DENIED, "you have no permission to read this file") from None
    except IsADirectoryError:
        raise SourceError(Reason.SOURCE_UNAVAILABLE, "this is a directory: name a file") from None
    except OSError:
        raise SourceError(Reason.SOURCE_UNAVAILABLE, "the file could not be read") from None
