"""The operator's ServiceAccount, and the question to the API server what it may do."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from clientcert.cli.check.finding import Check, NotMade, Right
from clientcert.cli.check.reading import AUTHORIZATION, Reader, attributes
from clientcert.cli.errors import Forbidden, NotFound

_OPTION = "--operator-service-account NAMESPACE:NAME"


@dataclass(frozen=True, slots=True)
class OperatorAccount:
    """A ServiceAccount."""

    namespace: str
    name: str

    def lacks(self, reader: Reader, rights: Iterable[Right]) -> frozenset[Right] | None:
        """Those of the rights that it has not; None if the caller may not ask.

        A right that it has in all namespaces is asked for once.
        """
        everywhere = dict[Right, bool]()
        missing = set[Right]()
        try:
            for right in dict.fromkeys(rights):
                general = replace(right, namespace="", name="")
                if general not in everywhere:
                    everywhere[general] = self._has(reader, general)
                if not everywhere[general] and not self._has(reader, right):
                    missing.add(right)
        except Forbidden:
            asking = Right("create", AUTHORIZATION.partition("/")[0], "subjectaccessreviews")
            reader.note(Check.RIGHTS, asking, "the rights of the operator")
            return None
        return frozenset(missing)

    def _has(self, reader: Reader, right: Right) -> bool:
        groups = [f"system:serviceaccounts{each}" for each in ("", f":{self.namespace}")]
        who = {
            "user": f"system:serviceaccount:{self.namespace}:{self.name}",
            "groups": [*groups, "system:authenticated"],
        }
        review = {"apiVersion": AUTHORIZATION, "kind": "SubjectAccessReview", "spec": {**who, **attributes(right)}}
        path = f"/apis/{AUTHORIZATION}/subjectaccessreviews"
        found = reader.cluster.send("POST", path, review, "the question what the operator may do")
        return bool((found.get("status") or {}).get("allowed"))


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
