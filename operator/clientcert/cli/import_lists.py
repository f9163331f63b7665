"""The results of the lists that `clientcert import` is called with: every entry without an effect is named."""

from collections.abc import Callable, Iterable, Iterator

from clientcert.cli.import_plan import Planned, Result
from clientcert.cli.import_request import ImportRequest

_SILENCE = "Silence an object that exists with `clientcert silence`."
_CONTACTS = "Write the people of an object that exists with `clientcert contact`."
_MOST_CONTACTS = 10
_IN_A_MANIFEST = frozenset({Result.NEW, Result.CHANGED, Result.UNCHANGED})


def about_the_lists(planned: Iterable[Planned], request: ImportRequest) -> list[str]:
    """Sentences; none has a person's name or address."""
    places = _by_name(planned)
    return [*_ignored(places, request), *_contacts(places, request)]


def _by_name(planned: Iterable[Planned]) -> dict[str, list[Planned]]:
    """The places by each name of their consumers."""
    places: dict[str, list[Planned]] = {}
    for each in planned:
        found = each.candidate.found
        names = {each.candidate.folder} | ({found.name, found.consumer} if found else set())
        for name in names - {""}:
            places.setdefault(name, []).append(each)
    return places


def _ignored(places: dict[str, list[Planned]], request: ImportRequest) -> Iterator[str]:
    here = request.words_here
    if lost := [str(word) for word in here if word.consumer not in places]:
        yield f"No certificate is called as the list of --ignored says: {', '.join(lost)}."
    without = [
        f"{word} is ignored, but not silenced: {reason}."
        for word in here
        for reason in _without_effect(places.get(word.consumer, []), lambda each: each.silence is not None)
    ]
    yield from without
    if without:
        yield _SILENCE
    if others := [str(word) for word in request.words or () if word not in here]:
        yield f"Ignored words of other environments: {', '.join(others)}."


def _contacts(places: dict[str, list[Planned]], request: ImportRequest) -> Iterator[str]:
    rows = request.rows or {}
    if unknown := sum(consumer not in places for consumer in rows):
        yield f"Consumers of the client list without a certificate here: {unknown}."
    without = [
        f"The people of {consumer} in the client list are not written: {reason}."
        for consumer, row in rows.items()
        for reason in _without_effect(places.get(consumer, []), lambda each: each.result in _IN_A_MANIFEST)
        if row.has_people
    ]
    yield from without[:_MOST_CONTACTS]
    if (more := len(without) - _MOST_CONTACTS) > 0:
        yield f"Consumers of the client list of whom the same is true: {more} more."
    if without:
        yield _CONTACTS


def _without_effect(places: list[Planned], has_effect: Callable[[Planned], bool]) -> list[str]:
    """The places on which an entry has no effect, each with the reason; a copy of one on which it has is none."""
    without = [each for each in places if not has_effect(each)]
    if len(without) < len(places):
        without = [each for each in without if not each.candidate.left_out]
    return [f"{each.candidate.place}: {each.words}" for each in without]
