"""What the watches of ClientCertificates and of Secrets tell the store."""

from collections.abc import Callable

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cache.object_cache import ObjectCache
from clientcert.kube.client import KubeClient, Object
from clientcert.kube.list_watch import Keys, Watch
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget

Forget = Callable[[ObjectKey], None]
"""Called with the key of each certificate that is gone."""
OnReturn = Callable[[str], None]
"""Called with the namespace when its watch is there again after it was away."""


def watch_certificates(
    client: KubeClient, namespace: str, store: ObjectCache, forget: Forget, loop_budget: LoopBudget, on_return: OnReturn
) -> Watch:
    """Of the ClientCertificates in a namespace, or in all (empty)."""

    def changed(body: Object, gone: bool) -> None:
        if not gone:
            store.upsert_certificate(body)
            return
        metadata = body["metadata"]
        key = ObjectKey(metadata["namespace"], metadata["name"])
        if store.remove_certificate(key, metadata["uid"]):
            forget(key)

    path = CLIENT_CERTIFICATE.collection(namespace)
    return Watch(client, path, loop_budget, on_change=changed, on_return=lambda: on_return(namespace))


def watch_secrets(
    client: KubeClient, namespace: str, store: ObjectCache, loop_budget: LoopBudget, on_return: OnReturn
) -> Watch:
    """Of the metadata of the Secrets in a namespace, or in all (empty): which one changed, never what is in it."""

    def changed(item: Object, gone: bool) -> None:
        metadata = item["metadata"]
        store.secret_changed(metadata["namespace"], metadata["name"], "" if gone else metadata["resourceVersion"])

    def listed(present: Keys) -> None:
        for missing in store.secrets_wanted(namespace) - present:
            store.secret_changed(*missing, "")

    return Watch(
        client,
        f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets",
        loop_budget,
        on_change=changed,
        on_list=listed,
        on_return=lambda: on_return(namespace),
        metadata_only=True,
    )
