"""Rules about the requested key: the one that goes into the certificate, or the one to encrypt to."""

from clientcert.errors import Reason
from clientcert.lifecycle.renewal.check_rules import Answer, passed, refused
from clientcert.lifecycle.renewal.facts import Facts
from clientcert.lifecycle.renewal.policy import DeliveryType, KeyChange
from clientcert.pki.certificate_fields import public_key_info
from clientcert.pki.key_rules import can_encrypt_to, key_problem
from clientcert.pki.public_keys import key_hash


def strong(facts: Facts) -> Answer:
    """The key is of an accepted kind, and has none of the known weaknesses."""
    problem = key_problem(facts.known_request.public_key_info)
    if problem:
        return refused(Reason.KEY_NOT_ALLOWED, problem)
    return passed(f"the key, {facts.known_request.key_algorithm}, is allowed")


def encrypts(facts: Facts) -> Answer:
    """A public key that came alone can be encrypted to, in the form that the policy delivers."""
    if facts.certifies_requested_key:
        return passed("")
    request = facts.known_request
    if not can_encrypt_to(request.public_key_info):
        words = f"nothing can be encrypted to a key of type {request.key_algorithm}: send an RSA or EC key, or a CSR"
        return refused(Reason.KEY_NOT_ALLOWED, words)
    if facts.policy.delivery.type is DeliveryType.OPENSSL and not request.key_algorithm.startswith("RSA"):
        words = "delivery.type OpenSSL encrypts to RSA keys alone: send an RSA key or a CSR, or set delivery.type: CMS"
        return refused(Reason.KEY_NOT_ALLOWED, words)
    return passed("the new key is encrypted to this one")


def changed_as_asked(facts: Facts) -> Answer:
    """The key is another one, or the same, as the policy has it. A key that the operator makes is another one."""
    change = facts.policy.key.change
    is_same = facts.certifies_requested_key and _is_current_key(facts)
    if change is KeyChange.REKEY and is_same:
        words = "the policy wants another key than the current one: have the consumer make a new key, and send its CSR"
        return refused(Reason.KEY_NOT_ALLOWED, words)
    if change is KeyChange.REUSE and not is_same:
        words = "the policy keeps the current key: ask with --reuse, or send a CSR by the current key"
        return refused(Reason.KEY_NOT_ALLOWED, words)
    return passed("the key stays" if is_same else "the key is another one")


def new(facts: Facts) -> Answer:
    """A reissued certificate has a new key, whatever the policy says about renewals."""
    is_last_known = facts.known_request.key_hash == facts.last_known_key
    if facts.certifies_requested_key and (is_last_known or _is_current_key(facts)):
        words = "the key of an expired, revoked, refused or lost certificate is not used again: have a new key made"
        return refused(Reason.KEY_NOT_ALLOWED, words)
    return passed("the key is another one")


def nobody_elses(facts: Facts) -> Answer:
    """The key is not compromised, and no other consumer's. A letter may quote the sentence, so it names nobody."""
    if facts.compromised_key:
        words = "the key was revoked as compromised, and is never certified again: have a new key made"
        return refused(Reason.KEY_NOT_ALLOWED, words)
    if facts.other_consumer_with_key:
        words = "another consumer's certificate has this key: have the consumer make a key of their own"
        return refused(Reason.KEY_NOT_ALLOWED, words)
    return passed("")


def _is_current_key(facts: Facts) -> bool:
    if facts.current is None:
        return False
    return key_hash(facts.known_request.public_key_info) == key_hash(public_key_info(facts.current.der))
