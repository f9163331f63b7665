"""Read and write the files that a call names."""

import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import click

from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.table import printable
from clientcert.errors import Reason, SourceError
from clientcert.pki.parsing import MAX_SIZE

STDIN = STDOUT = "-"
_OPEN_FILES = "/proc"
"""Linux has the files there that a process has open; /dev/stdout and /dev/fd lead there."""


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


def write_file(file: str, text: str, *, is_private: bool = False) -> None:
    """Write a file whole or not at all, in place of an earlier one; `-` is standard output. Raises AnswerIsNo.

    A pipe and a device are written to. A new file with `is_private` is for its owner alone.
    """
    write_pieces(file, (text.encode(),), is_private=is_private)


def write_pieces(file: str, pieces: Iterable[bytes], *, is_private: bool = False) -> None:
    """The same for a content that comes in pieces, of which one is held at a time."""
    if file == STDOUT:
        for each in pieces:
            click.echo(each, nl=False)
        return
    try:
        if _is_replaceable(Path(file)):
            _replace(Path(file).resolve(), pieces, 0o600 if is_private else 0o666 & ~_umask())
        else:
            with Path(file).open("ab") as stream:
                stream.writelines(pieces)
    except OSError as error:
        raise AnswerIsNo(f"{printable(file)} cannot be written ({type(error).__name__}): name another file") from None


def _is_replaceable(file: Path) -> bool:
    """True for a regular file, and if there is none. Raises OSError."""
    try:
        return stat.S_ISREG(file.stat().st_mode) and not _is_stream(file)
    except FileNotFoundError:
        return True


def _is_stream(file: Path) -> bool:
    """True for a path such as /dev/stdout or /dev/fd/3, which is open already, also where it is a regular file."""
    while not file.parent.resolve().is_relative_to(_OPEN_FILES):
        if not file.is_symlink():
            return False
        file = file.parent / file.readlink()
    return True


def _replace(target: Path, pieces: Iterable[bytes], mode: int) -> None:
    """A reader sees the earlier content or this one, never a part, and nobody else can read the draft.

    The permissions of an earlier file are kept; `mode` is that of a new one.
    """
    number, draft = tempfile.mkstemp(prefix=".clientcert-", dir=target.parent)
    try:
        with os.fdopen(number, "wb") as stream:
            stream.writelines(pieces)
            stream.flush()
            os.fsync(stream.fileno())
            os.fchmod(stream.fileno(), stat.S_IMODE(target.stat().st_mode) if target.exists() else mode)
        Path(draft).replace(target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """It can be read only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
