"""One certificate that two ClientCertificates of a namespace watch: it is alerted twice, and not renewed. Pure."""

from collections.abc import Hashable, Iterator

from clientcert.api.client_certificate import parse_bucket, parse_spec
from clientcert.api.kinds import CERTIFICATE_STORE, CLIENT_CERTIFICATE
from clientcert.cli.check.finding import Check, Finding
from clientcert.cli.check.known import Item, Known
from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.spec import ObjectKey, S3Source, SourceRef

_ACTION = (
    "Delete the one that is not needed, or correct its source. Until then each alert is sent twice, and requests for a"
    " renewal wait."
)


def check_duplicates(known: Known) -> Iterator[Finding]:
    """A finding for each certificate that an object under check watches, and another one, too."""
    by_source, by_content = dict[Hashable, list[Item]](), dict[Hashable, list[Item]]()
    stores = {each.key: _bucket(each) for each in known.all_of(CERTIFICATE_STORE)}
    checked = {each.key for each in known.of(CLIENT_CERTIFICATE)}
    for item in known.all_of(CLIENT_CERTIFICATE):
        if (source := _source(item, stores)) is not None:
            by_source.setdefault(source, []).append(item)
        found = (item.status.get("certificate") or {}).get("fingerprintSHA256")
        if found and not item.changed:
            by_content.setdefault((item.key.namespace, found), []).append(item)
    said = set[frozenset[ObjectKey]]()
    for shared, words in ((by_source, "it reads the same source as"), (by_content, "it has the same certificate as")):
        for items in shared.values():
            same = frozenset(each.key for each in items)
            if len(same) > 1 and same & checked and same not in said:
                said.add(same)
                first = next(each for each in items if each.key in checked)
                others = ", ".join(sorted(key.name for key in same if key != first.key))
                message = f"{words} ClientCertificate {others}"
                yield Finding(Check.DUPLICATES, first.subject, Reason.SERIAL_SHARED, message, _ACTION)


def _source(item: Item, stores: dict[ObjectKey, Hashable]) -> Hashable:
    """Equal for objects that find the same certificate: one file may have those of several consumers."""
    try:
        spec = parse_spec(item.content.get("spec") or {})
        found = (item.key.namespace, *_place(item.key.namespace, spec.source, stores), spec.identity)
        hash(found)
    except (ClientCertError, TypeError):  # TypeError: a list instead of text, where no dry run was made
        return None
    return found


def _place(namespace: str, source: SourceRef, stores: dict[ObjectKey, Hashable]) -> tuple[Hashable, Hashable]:
    if isinstance(source, S3Source):
        store = ObjectKey(namespace, source.store)
        return stores.get(store) or store, source.key
    return source.name, source.key


def _bucket(store: Item) -> Hashable:
    """The bucket, wherever it is named."""
    try:
        found = parse_bucket(store.content.get("spec") or {})
    except ClientCertError:
        return None
    return found.endpoint or found.region, found.name
