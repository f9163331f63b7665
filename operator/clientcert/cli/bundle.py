"""Everything that a consumer gets, as files: in a new directory, or in one ZIP file."""

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from clientcert.cli.cluster import Object
from clientcert.cli.errors import AnswerIsNo
from clientcert.delivery.forms import attachments
from clientcert.delivery.instructions import instructions
from clientcert.delivery.interface import Instruction
from clientcert.errors import CertificateError

README = "README.txt"
_ZIP = ".zip"


def files(found: Object, certificate_pem: str) -> Mapping[str, bytes]:
    """The files by name, with the commands that open them in README.txt; raises AnswerIsNo."""
    name, ciphertext = found["metadata"]["name"], (found.get("status") or {}).get("ciphertext") or ""
    if found["spec"].get("publicKey") and not ciphertext:
        raise AnswerIsNo(
            f"request {name} has no private key any more, it was removed 30 days after delivery: -o pem has the"
            " certificate, and if the key is lost, ask for a new one"
        )
    try:
        attached = attachments(ciphertext, certificate_pem)
    except CertificateError as error:
        raise AnswerIsNo(f"request {name}: {error.message}") from None
    return {each.name: each.content for each in attached} | {README: _readme(instructions(attached))}


def _readme(steps: Iterable[Instruction]) -> bytes:
    lines = [
        f"{number}. {step.text}\n" + (f"\n   {step.command}\n" if step.command else "")
        for number, step in enumerate(steps, 1)
    ]
    return "\n".join(lines).encode()


def write(place: Path, content: Mapping[str, bytes]) -> list[str]:
    """Write them, and return their paths; raises AnswerIsNo. No file is overwritten."""
    try:
        if place.suffix == _ZIP:
            with zipfile.ZipFile(place, "x", zipfile.ZIP_DEFLATED) as archive:
                for name, data in content.items():
                    archive.writestr(zipfile.ZipInfo(name), data)
            return [str(place)]
        place.mkdir(parents=True)
        for name, data in content.items():
            (place / name).write_bytes(data)
        return [str(place / name) for name in content]
    except FileExistsError:
        raise AnswerIsNo(f"{place} exists already: name another place with --to") from None
    except OSError as error:
        raise AnswerIsNo(f"{place} cannot be written ({type(error).__name__}): name another place with --to") from None
