"""Secrets, keys, ConfigMaps and objects of ours that objects name, and that do not exist. Pure."""

from collections.abc import Iterable, Iterator

from clientcert.cli.check.finding import Check, Finding
from clientcert.cli.check.known import Item, Known, SecretFacts
from clientcert.cli.check.named import SecretReference
from clientcert.errors import Reason
from clientcert.lifecycle.renewal.consent import ALLOWED

_KEYS_SHOWN = 10


def check_references(known: Known) -> Iterator[Finding]:
    """A finding for each object of ours, or client list, that is named and does not exist."""
    there = known.by_place()
    for item in known.items:
        for each in item.references.objects:
            if each.kind is None:
                is_there = known.config_maps.get(each.key, True)
            else:
                is_there = (each.kind, each.key) in there or (each.kind, each.key.namespace) in known.unlisted
            if not is_there:
                kind = each.kind.name if each.kind else "ConfigMap"
                words = f"{kind} {each.name} does not exist"
                yield _finding(Check.REFERENCES, item, each.missing, words, f"Create it, or correct {each.where}.")


def check_secrets(known: Known) -> Iterator[Finding]:
    """A finding for each Secret that does not exist, lacks a key or a label, or has an empty value."""
    for item in known.items:
        for each in item.references.secrets:
            if each.key in known.secrets:
                yield from _of_secret(item, each, known.secrets[each.key])


def _of_secret(item: Item, each: SecretReference, found: SecretFacts | None) -> Iterator[Finding]:
    begin = f"{each.part}: " if each.part else ""
    if found is None:
        words = f"{begin}Secret {each.name} does not exist"
        yield _finding(Check.SECRETS, item, each.missing, words, f"Create it, or correct {each.where}.")
        return
    yield from _keys(item, each, found, begin)
    if each.label and found.labels is not None and found.labels.get(each.label) != ALLOWED:
        words = f"{begin}Secret {each.name} has no label {each.label}={ALLOWED}"
        action = f"Add the label if it may be used so, or name another Secret in {each.where}."
        yield _finding(Check.SECRETS, item, each.no_label, words, action)


def _keys(item: Item, each: SecretReference, found: SecretFacts, begin: str) -> Iterator[Finding]:
    if found.keys is None:
        return
    for key in each.keys:
        if key not in found.keys:
            words = f"{begin}Secret {each.name} has no key {key}: {_shown(found.keys)}"
            action = f"Add the key, or correct {each.where}."
            yield _finding(Check.SECRETS, item, each.no_key, words, action)
        elif not found.keys[key]:
            words = f"{begin}the value of key {key} of Secret {each.name} is empty"
            yield _finding(Check.SECRETS, item, each.empty, words, "Fill it in.")


def _shown(keys: Iterable[str]) -> str:
    every = sorted(keys)
    if not every:
        return "it holds nothing"
    return f"it has {', '.join(every[:_KEYS_SHOWN])}{', …' if len(every) > _KEYS_SHOWN else ''}"


def _finding(check: Check, item: Item, reason: Reason | str, message: str, action: str) -> Finding:
    return Finding(check, item.subject, reason, message, action)
