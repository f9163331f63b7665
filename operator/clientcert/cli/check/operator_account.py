"""The operator's ServiceAccount, and the question to the API server what it may do."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from clientcert.cli.check.finding import Check, NotMade, Right
from clientcert.cli.check.folder_rights import account_names, account_user
from clientcert.cli.check.reading import AUTHORIZATION, Reader, attributes
from clientcert.cli.errors import Forbidden, NotFound

_OPTION = "--operator-service-account NAMESPACE:NAME"


@dataclass(frozen=True, slots=True)
class OperatorAccount:
    """A ServiceAccount."""

    namespace: str
    name: str

    def lacks(self, reader: Reader, roles: Iterable[Sequence[Right]]) -> frozenset[Right] | None:
        """The rights of these roles that it has not; None if the caller may not ask.

        A right that it has in all namespaces is asked for once. A role is the same in all namespaces: if it is whole in
        one, its first right says whether it is bound in another one.
        """
        known, whole, missing = dict[Right, bool](), set[tuple[Right, ...]](), set[Right]()

        def has(right: Right) -> bool:
            if right not in known:
                known[right] = self._has(reader, right)
            return known[right]

        try:
            for rights in roles:
                role = tuple(replace(each, namespace="", name="") for each in rights)
                asked = rights[:1] if role in whole and has_any(rights[0], has) else rights
                lacking = [each for each in asked if not has_any(each, has)]
                missing.update(lacking)
                if not lacking:
                    whole.add(role)
        except Forbidden:
            asking = Right("create", AUTHORIZATION.partition("/")[0], "subjectaccessreviews")
            reader.note(Check.RIGHTS, asking, "the rights of the operator")
            return None
        return frozenset(missing)

    def _has(self, reader: Reader, right: Right) -> bool:
        user = account_user(self.namespace, self.name)
        who = {"user": user, "groups": sorted(account_names(self.namespace, self.name) - {user})}
        review = {"apiVersion": AUTHORIZATION, "kind": "SubjectAccessReview", "spec": {**who, **attributes(right)}}
        path = f"/apis/{AUTHORIZATION}/subjectaccessreviews"
        found = reader.cluster.send("POST", path, review, "the question what the operator may do")
        return bool((found.get("status") or {}).get("allowed"))


def has_any(right: Right, has: Callable[[Right], bool]) -> bool:
    """True if it has the right in all namespaces, or in that of the right."""
    return has(replace(right, namespace="", name="")) or has(right)


def find_account(reader: Reader, namespace: str, deployment: str) -> OperatorAccount | NotMade | None:
    """The account of the operator's Deployment; None if the caller may not read that, which is noted."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
    try:
        found = reader.cluster.document(path, f"Deployment {deployment} in namespace {namespace}")
    except NotFound:
        why = f"there is no Deployment {deployment} in namespace {namespace}: give {_OPTION}"
        return NotMade(Check.RIGHTS, "the rights of the operator", why)
    except Forbidden:
        right = Right("get", "apps", "deployments", namespace)
        reader.note(Check.RIGHTS, right, f"the rights of the operator, without {_OPTION}")
        return None
    name = found["spec"]["template"]["spec"].get("serviceAccountName") or "default"
    return OperatorAccount(namespace, name)
