"""Decides if a person has to approve a request: not every one passes `approval: Automatic`."""

from clientcert.lifecycle.renewal.facts import Facts
from clientcert.lifecycle.renewal.policy import Requester
from clientcert.lifecycle.renewal.request_rules import requester_of


def needs_approval(facts: Facts, changed: tuple[str, ...]) -> str:
    """The reason why a person has to approve the request, as a sentence; empty: it is approved automatically.

    `changed` are the fields of the certificate's spec that were changed since the last delivery or first look.
    """
    policy = facts.policy
    if facts.is_reissue:
        return "a request with mode Reissue is always approved by a person"
    if not policy.automatic:
        return "the policy has approval: Manual"
    if Requester.HOLDER not in policy.requesters or not policy.proof_required:
        return "approval: Automatic needs requesters: [Holder] and proofOfPossession: Required in the policy"
    if requester_of(facts) is not Requester.HOLDER:
        return "the request has no proof by the current key, so the team asks"
    if facts.request is None or not facts.request.csr_der:
        return "the request has no CSR"
    if changed:
        return f"changed since the last delivery or first look: {', '.join(changed)}"
    return ""
