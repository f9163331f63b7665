"""The manifests of a folder: which are ours, what the others make, and what is wrong with their content. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clientcert.api.kinds import API_VERSION, CERTIFICATE_POLICY, GROUP, KINDS, Kind
from clientcert.api.policy import parse_policy
from clientcert.cli.check.finding import Check, CheckReason, Finding, Subject
from clientcert.cli.check.folder_rights import grants
from clientcert.cli.check.known import Declared, Known, SecretFacts
from clientcert.cli.cluster import Object, is_name
from clientcert.cli.loading import OPERATORS_OWN
from clientcert.cli.table import printable
from clientcert.errors import Reason
from clientcert.lifecycle.spec import ObjectKey

_BY_NAME = {kind.name: kind for kind in KINDS}
_CERT_MANAGER_KEYS = ("tls.crt", "tls.key", "ca.crt")
Documents = Iterable[tuple[str, Object]]
"""Each with its file."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest of ours."""

    kind: Kind
    key: ObjectKey
    content: Object
    file: str

    @property
    def subject(self) -> Subject:
        """For findings."""
        return Subject(self.kind.name, printable(self.key.name), printable(self.key.namespace), printable(self.file))

    @property
    def has_name(self) -> bool:
        """False if the API server makes the name, of `generateName`: each is another object."""
        return bool(self.content["metadata"].get("name"))


@dataclass(frozen=True, slots=True)
class Sorted:
    """The documents of a folder, by what they are."""

    manifests: tuple[Manifest, ...]
    declared: Declared
    findings: tuple[Finding, ...]


def sort_documents(documents: Documents, namespace: str) -> Sorted:
    """Sort them; `namespace` is that of objects that name none."""
    named: dict[tuple[Kind, ObjectKey], Manifest] = {}
    manifests, findings, foreign = list[Manifest](), list[Finding](), list[Object]()
    for file, content in documents:
        if not _is_ours(content):
            foreign.append(content)
            continue
        found = _manifest(file, content, namespace)
        if isinstance(found, Finding):
            findings.append(found)
        elif found.has_name and (before := named.get((found.kind, found.key))) is not None:
            findings.append(_twice(found, before))
        else:
            manifests.append(found)
            named[found.kind, found.key] = found
    return Sorted(tuple(manifests), _declared(foreign, namespace), tuple(findings))


def check_policies(known: Known) -> Iterator[Finding]:
    """A finding for each setting of a policy that cannot be used, although the schema allows it."""
    for item in known.of(CERTIFICATE_POLICY):
        for problem in parse_policy(item.content.get("spec") or {}, OPERATORS_OWN).problems:
            action = "Correct this part of the policy: until then the default is used instead of it."
            yield Finding(Check.MANIFESTS, item.subject, Reason.POLICY_INVALID, printable(problem), action)


def _is_ours(content: Object) -> bool:
    """True of our group, and of our kinds without a group; the same kinds of another group are not ours."""
    group, separator, _ = content["apiVersion"].partition("/")
    return group == GROUP or (not separator and content["kind"] in _BY_NAME)


def _manifest(file: str, content: Object, namespace: str) -> Manifest | Finding:
    metadata, kind = content.get("metadata"), _BY_NAME.get(content["kind"])
    metadata = metadata if isinstance(metadata, dict) else {}
    name, where = metadata.get("name") or metadata.get("generateName"), metadata.get("namespace") or namespace
    shown = (each if isinstance(each, str) else "" for each in (content["kind"], name, where, file))
    subject = Subject(*map(printable, shown))
    if kind is None or content["apiVersion"] != API_VERSION:
        words = f"there is no kind {subject.kind} in {printable(content['apiVersion'])}"
        action = f"The kinds of {API_VERSION} are {', '.join(_BY_NAME)}."
        return Finding(Check.MANIFESTS, subject, CheckReason.KIND_UNKNOWN, words, action)
    if not (isinstance(name, str) and isinstance(where, str) and is_name(name.rstrip("-")) and is_name(where)):
        words = "metadata.name or metadata.namespace is missing, or is no name that an object can have"
        action = "Use lower-case letters, digits, '-' and '.'; put it in quotation marks if it looks like a number."
        return Finding(Check.MANIFESTS, subject, CheckReason.REFUSED, words, action)
    return Manifest(kind, ObjectKey(where, name), content, file)


def _twice(found: Manifest, before: Manifest) -> Finding:
    words = f"it is declared in {printable(before.file)}, too"
    action = "Delete one of the two manifests: which of them is applied last cannot be said."
    return Finding(Check.MANIFESTS, found.subject, CheckReason.DECLARED_TWICE, words, action)


def _declared(documents: list[Object], namespace: str) -> Declared:
    """The Secrets and the like that these objects make, as far as they can be read: the API server checks them."""
    secrets: dict[ObjectKey, SecretFacts] = {}
    config_maps, namespaces = set[ObjectKey](), set[str]()
    for content in documents:
        metadata = _mapping(content, "metadata")
        name, where = str(metadata.get("name") or ""), str(metadata.get("namespace") or namespace)
        made = _secret(content, name)
        if made is not None:
            secrets[ObjectKey(where, made[0])] = made[1]
        elif content["kind"] == "ConfigMap":
            config_maps.add(ObjectKey(where, name))
        elif content["kind"] == "Namespace":
            namespaces.add(name)
    return Declared(secrets, frozenset(config_maps), frozenset(namespaces), grants(documents, namespace))


def _secret(content: Object, name: str) -> tuple[str, SecretFacts] | None:
    """The name and the facts of the Secret that the object is, or has a controller make; None if it makes none."""
    spec, group = _mapping(content, "spec"), content["apiVersion"].partition("/")[0]
    match content["kind"], group:
        case "Secret", "v1":
            values = {**_mapping(content, "data"), **_mapping(content, "stringData")}
            return name, SecretFacts({str(key): bool(value) for key, value in values.items()}, _labels(content))
        case "ExternalSecret", "external-secrets.io":
            return str(_mapping(spec, "target").get("name") or name), SecretFacts(_external_keys(spec), None)
        case "SealedSecret", "bitnami.com":
            template = _mapping(spec, "template")
            keys = [*_mapping(spec, "encryptedData"), *_mapping(template, "data")]
            named = _mapping(template, "metadata").get("name") or name
            return str(named), SecretFacts(dict.fromkeys(map(str, keys), True), _labels(template))
        case "Certificate", "cert-manager.io":
            more = spec.get("keystores") or spec.get("additionalOutputFormats")
            keys_made = None if more else dict.fromkeys(_CERT_MANAGER_KEYS, True)
            return str(spec.get("secretName") or name), SecretFacts(keys_made, _labels(spec, "secretTemplate"))
    return None


def _external_keys(spec: Mapping[str, Any]) -> dict[str, bool] | None:
    """The keys that an ExternalSecret writes; None if they come from outside, or a template makes them."""
    data = spec.get("data")
    if spec.get("dataFrom") or _mapping(spec, "target").get("template") or not isinstance(data, list):
        return None
    return {str(each.get("secretKey")): True for each in data if isinstance(each, dict)}


def _labels(content: Mapping[str, Any], field: str = "metadata") -> dict[str, str]:
    return {str(key): str(value) for key, value in _mapping(_mapping(content, field), "labels").items()}


def _mapping(content: Mapping[str, Any], field: str) -> dict[str, Any]:
    found = content.get(field)
    return found if isinstance(found, dict) else {}
