"""The errors for a mail that was not accepted. Each says what to set, and repeats no text of the server.

A failure before RCPT has the reason ChannelUnavailable or MailLoginRejected: it would meet every mail. From RCPT on a
transient failure has the reason RecipientUnavailable: it may concern this recipient, or its domain, alone.
"""

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Role
from clientcert.notifiers.deadline import unavailable
from clientcert.notifiers.email.replies import Cause, Command, Reply, cause_of

LOGIN_REST_SECONDS = 300.0
"""The time without logins after a rejected one: a few wrong logins lock an account."""

_LOGIN_SETTINGS = "CLIENTCERT_SMTP_USERNAME and CLIENTCERT_SMTP_PASSWORD"
_ENCRYPTION_SETTING = "set CLIENTCERT_SMTP_TLS to starttls or implicit"
_BASIC_AUTHENTICATION = frozenset({"5.7.3", "5.7.139"})
"""Microsoft's codes, if the tenant or the mailbox allows no login with a password."""
_NO_PASSWORDS_OF_PEOPLE = 534
"""Google's reply code, if the account needs an application password."""
_WORDS = {
    Cause.RECIPIENT: "the mail server refused the {role}: {correct}",
    Cause.UNCLEAR: (
        "the mail server refused a mail to the {role} ({reply}), and does not say whether the address is wrong or the"
        " operator may not send there: allow the operator to relay, or {correct}; after a day the next contact is"
        " written to"
    ),
    Cause.MAILBOX_FULL: "the mailbox of the {role} is full: have space made in it, or name another contact",
    Cause.ENCRYPTION: f"the mail server requires an encrypted connection ({{reply}}): {_ENCRYPTION_SETTING}",
    Cause.SENDER: (
        "the mail server refused CLIENTCERT_SMTP_FROM as the sender ({reply}): allow that address there for the"
        " operator's login or address, or correct it"
    ),
    Cause.CLIENT: (
        "the mail server does not let the operator send this mail ({reply}): allow the operator's address or login"
        " there to relay to all recipients, and to send as CLIENTCERT_SMTP_FROM"
    ),
    Cause.CONTENT: (
        "the mail server refused the mail, but not the recipient ({reply}): allow the operator's mails in its content"
        " filter and CLIENTCERT_SMTP_FROM as the sender, or see its log"
    ),
}
_REASONS = {Cause.RECIPIENT: Reason.RECIPIENT_REFUSED, Cause.MAILBOX_FULL: Reason.RECIPIENT_UNAVAILABLE}


def refused(reply: Reply, cause: Cause, role: Role) -> DeliveryError:
    """The error for a permanent refusal of a mail, but for its login."""
    words = _WORDS[cause].format(role=role, reply=reply, correct=correction(role))
    return DeliveryError(_REASONS.get(cause, Reason.MESSAGE_REFUSED), words)


def correction(role: Role) -> str:
    """The advice for correcting the address of this recipient."""
    if role is Role.AUTHORITY:
        return "correct the e-mail address in spec.renewal.notify of the CertificatePolicy"
    if role is Role.TESTER:
        return "correct email.replyTo of the channel, or give --to"
    return "correct the e-mail address in spec.contact or in the client list"


def explain(reply: Reply, role: Role, *, has_login: bool, encrypted: bool) -> DeliveryError:
    """The error for any reply that is not the expected one; `has_login` and `encrypted` are the settings."""
    if not reply.permanent:
        return _not_now(reply.command, role)
    if reply.command in {Command.CONNECT, Command.EHLO, Command.STARTTLS}:
        return unavailable(
            f"the mail server refuses connections of the operator ({reply}): allow the operator's address there, or"
            " correct CLIENTCERT_SMTP_HOST and CLIENTCERT_SMTP_PORT"
        )
    cause = cause_of(reply)
    if cause is not Cause.LOGIN:
        return refused(reply, cause, role)
    return login_rejected(reply) if has_login else _login_wanted(encrypted=encrypted)


def _not_now(command: Command, role: Role) -> DeliveryError:
    if not command.knows_recipient:
        return unavailable("the mail server cannot accept the mail at the moment")
    return _recipient_unavailable(f"the mail server cannot accept mails to the {role} at the moment")


def cut_off(command: Command, role: Role) -> DeliveryError:
    """The error for a connection that could not be made, or ended."""
    if command.knows_recipient:
        return _recipient_unavailable(
            f"the mail server closed the connection before it accepted the mail to the {role}"
        )
    if command is Command.MAIL:
        return unavailable("the mail server closed the connection before it accepted the mail")
    return unavailable(
        "the mail server cannot be reached: check CLIENTCERT_SMTP_HOST, CLIENTCERT_SMTP_PORT and CLIENTCERT_SMTP_TLS"
    )


def too_slow(command: Command, role: Role, seconds: float) -> DeliveryError:
    """The error for a mail that was not accepted in time."""
    if command.knows_recipient:
        return _recipient_unavailable(
            f"the mail server did not accept the mail to the {role} within {seconds:.0f} seconds"
        )
    return unavailable(f"the mail server did not accept the mail within {seconds:.0f} seconds")


def login_rejected(reply: Reply | None = None) -> DeliveryError:
    """The error for a rejected login; without `reply`, for mails that waited for it."""
    words = f"the mail server rejected the login: correct {_LOGIN_SETTINGS}"
    if reply is not None and reply.enhanced & _BASIC_AUTHENTICATION:
        words = (
            "the mail server rejected the login, and may not allow logins with a password at all (basic"
            " authentication): enable SMTP AUTH for the tenant and for the mailbox of the login, or send through a"
            f" relay that accepts the operator, or correct {_LOGIN_SETTINGS}"
        )
    elif reply is not None and reply.code == _NO_PASSWORDS_OF_PEOPLE:
        words = f"{words}; the account may need an application password"
    return _of_the_login(words)


def login_not_offered(methods: frozenset[str]) -> DeliveryError:
    """The error for a server without a login that the operator can make; it offers these `methods`, in lower case."""
    if not methods:
        return _of_the_login(
            "the mail server offers no login: check CLIENTCERT_SMTP_PORT and CLIENTCERT_SMTP_TLS, or unset"
            " CLIENTCERT_SMTP_USERNAME"
        )
    only = "OAuth 2.0 (XOAUTH2)" if methods & {"xoauth2", "oauthbearer"} else "methods that the operator does not have"
    return _of_the_login(
        f"the mail server offers a login by {only} only, and not by PLAIN, LOGIN or CRAM-MD5: allow logins with a"
        " password (SMTP AUTH) there, or send through a relay that accepts the operator"
    )


def _login_wanted(*, encrypted: bool) -> DeliveryError:
    words = f"the mail server requires a login: set {_LOGIN_SETTINGS}"
    if not encrypted:
        words = f"the mail server requires encryption or a login: {_ENCRYPTION_SETTING}, or set {_LOGIN_SETTINGS}"
    return _of_the_login(words)


def _of_the_login(words: str) -> DeliveryError:
    return DeliveryError(Reason.MAIL_LOGIN_REJECTED, words, retry_after=LOGIN_REST_SECONDS)


def _recipient_unavailable(words: str) -> DeliveryError:
    return DeliveryError(Reason.RECIPIENT_UNAVAILABLE, words, retryable=True)
