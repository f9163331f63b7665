"""Read and write the files that a call names."""

import os
import shutil
import sys
from pathlib import Path

import click

from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.table import printable
from clientcert.errors import Reason, SourceError
from clientcert.pki import MAX_SIZE

STDIN = STDOUT = "-"


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


def write_file(file: str, text: str) -> None:
    """Write a file whole or not at all, in place of an earlier one; `-` is standard output. Raises AnswerIsNo."""
    if file == STDOUT:
        click.echo(text.encode(), nl=False)
        return
    try:
        target = Path(file).resolve()
        if target.exists() and not target.is_file():  # such as a pipe: it cannot be replaced
            target.write_bytes(text.encode())
            return
        _replace(target, text)
    except OSError as error:
        raise AnswerIsNo(f"{printable(file)} cannot be written ({type(error).__name__}): name another file") from None


def _replace(target: Path, text: str) -> None:
    """A reader sees the earlier content or this one, never a part; the earlier permissions are kept."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with draft.open("xb") as stream:
            if target.exists():
                shutil.copymode(target, draft)
            stream.write(text.encode())
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
