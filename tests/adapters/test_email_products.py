"""Replies of real mail servers, as their users report them: what the operator says, and who else is written to."""

import pytest

from clientcert.errors import DeliveryError, Reason
from tests.adapters.mail_parts import JO, LOGIN, SAM, message_to, to_contact
from tests.adapters.scripted_mail_server import ScriptedMailServer
from tests.adapters.test_email_replies import THE_NEXT, sending

REFUSED, UNAVAILABLE = Reason.RECIPIENT_REFUSED, Reason.CHANNEL_UNAVAILABLE
OURS, LATER, LOGINS = Reason.MESSAGE_REFUSED, Reason.RECIPIENT_UNAVAILABLE, Reason.MAIL_LOGIN_REJECTED
SENDER, RELAY = "CLIENTCERT_SMTP_FROM as the sender", "to relay to all recipients"
GMAIL_UNKNOWN = """550-5.1.1 The email account that you tried to reach does not exist. Please try
550-5.1.1 double-checking the recipient's email address for typos or
550 5.1.1 unnecessary spaces. For more information, go to
"""
GMAIL_SPF = """550-5.7.26 Your email has been blocked because the sender is unauthenticated.
550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.
550 5.7.26 For instructions on setting up authentication, go to
"""
EXIM_CALLOUT = """550-Verification failed for <certificates@integration.example>
550-Called:   192.0.2.25
550-Sent:     RCPT TO:<certificates@integration.example>
550-Response: 550 5.1.1 <certificates@integration.example>: Recipient address rejected
550 Sender verify failed
"""

PERMANENT = [
    # Postfix: with smtpd_delay_reject, its default, everything is refused at RCPT
    ("RCPT", "550 5.1.1 <jo@nhs.example>: Recipient address rejected: User unknown in local table", REFUSED, ""),
    ("RCPT", "554 5.7.1 <jo@nhs.example>: Relay access denied", OURS, RELAY),
    ("RCPT", "553 5.7.1 <c@i.example>: Sender address rejected: not owned by user operator", OURS, "send as"),
    (
        "RCPT",
        "550 5.1.0 <c@i.example>: Sender address rejected: User unknown in virtual mailbox table",
        OURS,
        "send as",
    ),
    ("RCPT", "550 5.1.8 <c@i.example>: Sender address rejected: Domain not found", OURS, SENDER),
    ("RCPT", "554 5.7.1 <unknown[192.0.2.9]>: Client host rejected: Access denied", OURS, "operator's address"),
    ("RCPT", "504 5.5.2 <operator>: Helo command rejected: need fully-qualified hostname", OURS, "(504 5.5.2)"),
    ("RCPT", "530 5.7.0 Must issue a STARTTLS command first", LOGINS, "CLIENTCERT_SMTP_TLS"),
    ("RCPT", "554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.example", OURS, "address"),
    ("RCPT", "550 5.1.1 <jo@nhs.example>: undeliverable address: mail for nhs.example loops back", REFUSED, ""),
    ("RCPT", "556 5.1.10 <jo@nhs.example>: Recipient address rejected: Domain does not accept mail", REFUSED, ""),
    ("RCPT", "552 5.2.2 <jo@nhs.example>: Recipient address rejected: Quota exceeded", LATER, "is full"),
    ("content", "554 5.7.1 Spam message rejected", OURS, "content filter"),
    ("content", "550 5.7.1 [192.0.2.9] rejected by the milter", OURS, "see its log"),
    ("MAIL", "552 5.3.4 Message size exceeds fixed limit", OURS, "content"),
    # Exchange and Microsoft 365
    ("RCPT", "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", OURS, RELAY),
    ("RCPT", "550 5.7.64 TenantAttribution; Relay Access Denied [x.prod.outlook.com]", OURS, RELAY),
    ("RCPT", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", REFUSED, ""),
    ("MAIL", "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM", LOGINS, "login"),
    ("MAIL", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", OURS, SENDER),
    ("content", "554 5.2.252 SendAsDenied; operator@i.example not allowed to send as c@i.example", OURS, SENDER),
    (
        "content",
        "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied",
        OURS,
        "sender",
    ),
    ("RCPT", "550 5.7.606 Access denied, banned sending IP [192.0.2.9]", OURS, "address"),
    ("RCPT", "550 5.7.501 Access denied, spam abuse detected", OURS, "(550 5.7.501)"),
    ("content", "554 5.3.4 Message too big for system", OURS, "content"),
    # Google
    ("RCPT", GMAIL_UNKNOWN, REFUSED, ""),
    ("content", GMAIL_SPF, OURS, SENDER),
    ("RCPT", "550 5.2.1 The email account that you tried to reach is disabled", REFUSED, ""),
    ("RCPT", "550 5.2.1 The email account that you tried to reach is inactive. 5si123", REFUSED, ""),
    ("RCPT", "552 5.2.2 The recipient's inbox is out of storage space", LATER, "is full"),
    ("MAIL", "550 5.7.1 Invalid credentials for relay [192.0.2.9]", OURS, SENDER),
    ("MAIL", "530-5.7.0 Authentication Required. For more information, go to\r\n530 5.7.0 help", LOGINS, "login"),
    # Amazon SES, SendGrid
    ("content", "554 Message rejected: Email address is not verified. c@i.example", OURS, "CLIENTCERT_SMTP_FROM"),
    ("MAIL", "530 Authentication required", LOGINS, "CLIENTCERT_SMTP_USERNAME"),
    ("MAIL", "501 Invalid MAIL FROM address provided", OURS, SENDER),
    ("content", "550 The from address does not match a verified Sender Identity", OURS, "CLIENTCERT_SMTP_FROM"),
    ("content", "403 You are not authorized to send from that email address", OURS, SENDER),
    ("MAIL", "550 Unauthenticated senders not allowed", OURS, SENDER),
    # Exim, qmail, Cisco: codes are rare, or in another place
    ("RCPT", "550 relay not permitted", OURS, "does not say whether"),
    ("RCPT", "550 Unrouteable address", OURS, "does not say whether"),
    ("RCPT", "550 Sender verify failed", OURS, "does not say whether"),
    ("RCPT", EXIM_CALLOUT, OURS, "does not say whether"),
    ("RCPT", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", OURS, RELAY),
    ("RCPT", "550 sorry, no mailbox here by that name. (#5.1.1)", REFUSED, ""),
    ("RCPT", "550 #5.1.0 Address rejected.", OURS, "(550 5.1.0)"),
    ("RCPT", "550 5.1.1.7 is the address of a router", OURS, "does not say whether"),
    ("connect", "554 5.7.1 mx.example ESMTP not accepting connections from 192.0.2.9", UNAVAILABLE, "allow"),
    ("EHLO", "550 5.7.1 Access denied", UNAVAILABLE, "allow"),
    ("STARTTLS", "502 5.5.1 Not for you", UNAVAILABLE, "refuses connections"),
]
LOGIN_REPLIES = [
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant", "SMTP AUTH"),
    ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled", "basic authentication"),
    ("535 5.7.3 Authentication unsuccessful [x.prod.outlook.com]", "SMTP AUTH"),
    ("535-5.7.8 Username and Password not accepted. Learn more at\r\n535 5.7.8 help", "correct CLIENTCERT_SMTP_USER"),
    ("534-5.7.9 Application-specific password required.\r\n534 5.7.9 help", "application password"),
    ("534-5.7.14 <https://accounts.example/signin> Please log in\r\n534 5.7.14 help", "application password"),
    ("535 Authentication Credentials Invalid", "correct CLIENTCERT_SMTP_USERNAME"),
    ("535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6", "correct CLIENTCERT_SMTP_USERNAME"),
    ("535 Incorrect authentication data", "correct CLIENTCERT_SMTP_USERNAME"),
    ("535 Authentication failed: The provided authorization grant is invalid", "correct CLIENTCERT_SMTP_USERNAME"),
    ("538 5.7.11 Encryption required for requested authentication mechanism", "CLIENTCERT_SMTP_USERNAME"),
]


@pytest.mark.parametrize(("command", "reply", "reason", "words"), PERMANENT, ids=lambda each: str(each)[:40])
async def test_a_permanent_refusal(command: str, reply: str, reason: Reason, words: str) -> None:
    """Only of the recipient's mailbox it sends the letter to the next contact; otherwise it says what to set."""
    async with ScriptedMailServer(command, reply.strip().replace("\r\n", "\n").replace("\n", "\r\n")) as server:
        notifier = sending(server, tls="starttls" if command == "STARTTLS" else "none")
        with pytest.raises(DeliveryError) as caught:
            await notifier.notify(to_contact(), message_to(JO, SAM))
    assert caught.value.reason is reason
    assert words in caught.value.message
    assert (THE_NEXT in server.recipients) is (reason is REFUSED)
    assert "i.example" not in caught.value.message


@pytest.mark.parametrize(("reply", "words"), LOGIN_REPLIES, ids=lambda each: each[:40])
async def test_a_refused_login(reply: str, words: str) -> None:
    """It says what else than the password may be wrong."""
    async with ScriptedMailServer("AUTH", reply, login="LOGIN XOAUTH2") as server:
        with pytest.raises(DeliveryError) as caught:
            await sending(server, login=LOGIN).notify(to_contact(), message_to(JO, SAM))
    assert (caught.value.reason, caught.value.retryable) == (Reason.MAIL_LOGIN_REJECTED, False)
    assert words in caught.value.message
    assert server.recipients == []


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ("XOAUTH2", "a login by OAuth 2.0 (XOAUTH2) only"),
        ("XOAUTH2 OAUTHBEARER", "a login by OAuth 2.0 (XOAUTH2) only"),
        ("OAUTHBEARER", "a login by OAuth 2.0 (XOAUTH2) only"),
        ("GSSAPI NTLM", "methods that the operator does not have only"),
        ("SCRAM-SHA-256", "methods that the operator does not have only"),
        ("", "offers no login"),
    ],
)
async def test_a_login_that_the_operator_cannot_make(methods: str, words: str) -> None:
    async with ScriptedMailServer(login=methods) as server:
        with pytest.raises(DeliveryError) as caught:
            await sending(server, login=LOGIN).notify(to_contact(), message_to(JO, SAM))
    assert caught.value.reason is Reason.MAIL_LOGIN_REJECTED
    assert words in caught.value.message


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "content"])
async def test_a_login_is_required_and_none_is_set(command: str) -> None:
    """The login has words of its own; with encryption it is the login alone that is missing."""
    async with ScriptedMailServer(command, "530 5.7.0 Authentication required") as server:
        with pytest.raises(DeliveryError) as caught:
            await sending(server).notify(to_contact(), message_to(JO, SAM))
    assert caught.value.message == (
        "the mail server requires encryption or a login: set CLIENTCERT_SMTP_TLS to starttls or implicit, or set"
        " CLIENTCERT_SMTP_USERNAME and CLIENTCERT_SMTP_PASSWORD"
    )
