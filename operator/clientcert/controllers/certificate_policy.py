"""Says in a CertificatePolicy's own status whether all of it could be used."""

from datetime import datetime

from clientcert.alerting.digests import kept
from clientcert.api.kinds import CERTIFICATE_POLICY
from clientcert.api.policy import render_digests
from clientcert.api.status import digest, render_conditions
from clientcert.cache.object_cache import ObjectCache
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.status_writer import patch_status
from clientcert.lifecycle.conditions import READY, carried_over
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.spec import ObjectKey


async def write_policy_status(store: ObjectCache, client: KubeClient, key: ObjectKey, now: datetime) -> None:
    """Patch the status if it would say something new; what the API server would not take is left to the resync."""
    record = store.policies.get(key)
    if record is None:
        return
    problems = record.policy.problems
    ready = Condition(READY, "True", "Valid", "alerts go out as it says")
    if problems:
        words = f"{'; '.join(problems)}; the defaults stand in for it"
        ready = Condition(READY, "False", Reason.POLICY_INVALID, words)
    conditions = (carried_over(ready, record.conditions, now),)
    status = render_conditions(conditions, record.generation)
    # One that a wrong clock has dated to a later day must be gone by then: it would be taken for what was told.
    digests = kept(record.digests, now)
    if digest(status) == record.status_digest and digests == record.digests:
        return
    content = status | render_digests(digests) if digests != record.digests else status
    try:
        record.resource_version = await patch_status(client, CERTIFICATE_POLICY, key, record.resource_version, content)
    except KubeError as error:
        if error.reason in {Reason.CONFLICT, Reason.NOT_FOUND}:
            return  # its watch tells us of the newer version
        raise
    record.conditions, record.status_digest, record.digests = conditions, digest(status), digests
