"""The mail server of tests and demo, with the standard library's client: it behaves like a real one."""

import smtplib

import pytest

from tools.mail_server import LoopbackMailServer, Received

LOGIN = ("operator", "canary-7f3a-password")
MAIL = b"From: a@a.example\r\nTo: b@b.example\r\nSubject: hello\r\n\r\nGood morning\r\n"


def send(server: LoopbackMailServer, *, login: bool = True) -> None:
    with smtplib.SMTP(server.host, server.port) as client:
        client.starttls(context=server.tls_context())
        if login:
            client.login(*LOGIN)
        client.sendmail("a@a.example", ["b@b.example", "c@c.example"], MAIL)


def test_an_accepted_mail() -> None:
    """It is kept for each recipient, parsed, and reported as it arrives."""
    shown: list[Received] = []
    with LoopbackMailServer(tls="starttls", login=LOGIN, on_mail=shown.append) as server:
        send(server)
    assert [mail.recipient for mail in server.mails] == ["b@b.example", "c@c.example"]
    assert shown == server.mails
    assert (shown[0].sender, shown[0].encrypted, shown[0].logged_in) == ("a@a.example", True, True)
    assert (shown[0].message["Subject"], shown[0].text, shown[0].html) == ("hello", "Good morning\n", "")
    assert server.commands == ["EHLO", "EHLO", "AUTH", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]


def test_no_mail_is_accepted_without_a_login() -> None:
    with LoopbackMailServer(tls="starttls", login=LOGIN) as server, pytest.raises(smtplib.SMTPSenderRefused) as refused:
        send(server, login=False)
    assert refused.value.smtp_code == 530
    assert server.mails == []


def test_one_recipient_of_two() -> None:
    """Partial success: the other recipient gets it."""
    with LoopbackMailServer(tls="starttls", login=LOGIN) as server:
        server.answer("RCPT", "550 5.1.1 No such user", address="b@b.example")
        send(server)
    assert [mail.recipient for mail in server.mails] == ["c@c.example"]
