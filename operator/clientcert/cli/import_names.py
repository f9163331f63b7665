"""Names for new objects and files of `clientcert import`: none that another one has."""

from collections.abc import Iterable
from itertools import count

from clientcert.lifecycle.spec import ObjectKey


class FreeNames:
    """The names that are taken, from before and in this run."""

    def __init__(self, objects: Iterable[ObjectKey], files: Iterable[str], secrets: Iterable[str]) -> None:
        """The ClientCertificates and files that exist, and the Secrets whose names no new one may have."""
        self._objects, self._files, self._secrets = set(objects), set(files), frozenset(secrets)

    def object(self, wanted: Iterable[ObjectKey], *, with_secret: bool) -> ObjectKey | None:
        """The first key that is free, also for its Secret; None if none is."""
        for key in wanted:
            if key not in self._objects and not (with_secret and secret_name(key.name) in self._secrets):
                self._objects.add(key)
                return key
        return None

    def file(self, *wanted: str) -> str:
        """The first name that is free; else the last with a number."""
        stem, ending = wanted[-1].removesuffix(".yaml"), ".yaml"
        numbered = (f"{stem}_{number}{ending}" for number in count(2))
        found = next((each for each in wanted if each not in self._files), None)
        found = found or next(each for each in numbered if each not in self._files)
        self._files.add(found)
        return found


def secret_name(name: str) -> str:
    """The Secret that holds the certificate of a file."""
    return f"{name}-certificate"
