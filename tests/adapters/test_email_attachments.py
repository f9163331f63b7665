"""The mail with a new certificate, and letters to plain addresses, over a real mail server."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from clientcert.alerting.notice_groups import NoticeGroups
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.renewal_notices import OperatorMail, RenewalNotices
from clientcert.alerting.renewal_outbox import RenewalOutbox
from clientcert.cache.object_cache import ObjectCache
from clientcert.delivery.forms import artefact_hash
from clientcert.delivery.interface import Attachment, Instruction
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.renewal.due_notices import due_notices
from clientcert.lifecycle.renewal.facts import Problem
from clientcert.lifecycle.renewal.status import State
from clientcert.metrics import Metrics
from clientcert.notifiers.consumer_contact import ContactNotifier
from clientcert.notifiers.email.notifier import EmailNotifier
from clientcert.workqueue.work_queue import Item, WorkQueue
from tests.adapters.mail_parts import LOGIN, SENDER, settings
from tests.unit.messages.renewals import PEM, RA, REQUEST, request, status
from tools.mail_server import LoopbackMailServer, Received

PEM_FILE, BINARY = "application/x-pem-file", "application/octet-stream"
FILES = (
    Attachment("client.pem", PEM_FILE, PEM.encode()),
    Attachment("client.tar.gz.enc", BINARY, bytes(range(256)) * 200),
)
STEPS = (Instruction("Decrypt it.", "openssl enc -d -aes-256-cbc -in client.tar.gz.enc"),)
ISSUED = status(State.ISSUED)


@pytest.fixture
def server() -> Iterator[LoopbackMailServer]:
    with LoopbackMailServer(tls="starttls", login=LOGIN) as running:
        yield running


def notices(server: LoopbackMailServer, **changes: Any) -> RenewalNotices:
    """The operator's own parts around the mail server, connected as in the operator."""
    mail, clock = settings(server, **changes), lambda: datetime.now(UTC)
    queue = WorkQueue(clock)
    queue.open()
    notifier = EmailNotifier(mail, server.tls_context())
    operator_mail = OperatorMail(mail.sender, mail.namespaces)
    return RenewalNotices(
        {"Email": ContactNotifier(notifier, notifier)},
        operator_mail,
        ChannelRateLimiter(queue),
        NoticeGroups(ObjectCache(queue), queue, frozenset()),
        RenewalOutbox(),
        lambda _: True,
        clock,
        Metrics(),
    )


async def delivered(server: LoopbackMailServer, files: tuple[Attachment, ...] = FILES) -> Received:
    assert await notices(server).deliver(request(ISSUED), files, STEPS) is not None
    return server.mails[-1]


def attached(mail: EmailMessage) -> list[tuple[str | None, str, bytes]]:
    return [(each.get_filename(), each.get_content_type(), each.get_content()) for each in mail.iter_attachments()]


class TestTheAttachments:
    async def test_arrive_byte_for_byte(self, server: LoopbackMailServer) -> None:
        """Text and binary, in their order, beside a mail that can be read as before."""
        mail = await delivered(server)
        assert mail.message.get_content_type() == "multipart/mixed"
        first, *_ = mail.message.iter_parts()
        assert first.get_content_type() == "multipart/alternative"
        assert attached(mail.message) == [(each.name, each.media_type, each.content) for each in FILES]
        assert "    openssl enc -d -aes-256-cbc -in client.tar.gz.enc\n" in mail.text
        assert "<pre>openssl enc -d -aes-256-cbc -in client.tar.gz.enc</pre>" in mail.html

    async def test_are_plain_ascii_on_the_wire(self, server: LoopbackMailServer) -> None:
        """Every server accepts them, and no line exceeds SMTP's limit."""
        content = (await delivered(server)).content
        assert content.isascii()
        assert max(map(len, content.split(b"\r\n"))) <= 78

    async def test_are_certificates_that_openssl_reads(self, server: LoopbackMailServer, tmp_path: Path) -> None:
        _, _, content = attached((await delivered(server)).message)[0]
        (tmp_path / "client.pem").write_bytes(content)
        command = ["openssl", "x509", "-in", "client.pem", "-noout", "-serial"]
        shown = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        assert shown.strip() == "serial=2AEB3F"
        assert "serial number 2aeb3f" in (await delivered(server)).text

    async def test_of_any_size_up_to_that_of_a_status(self, server: LoopbackMailServer) -> None:
        large = Attachment("client.key.cms", PEM_FILE, os.urandom(64 * 1024))
        assert attached((await delivered(server, (large,))).message)[0][2] == large.content

    @pytest.mark.parametrize(
        ("name", "arrives"),
        [
            ("../../.ssh/authorized_keys", "ssh-authorized_keys"),
            ('x"\r\nBcc: eve@evil.example\r\n', "x-Bcc-eve-evil.example-"),
            ("C:\\autoexec.bat", "C-autoexec.bat"),
            ("Łódź.pem", "d-.pem"),
            ("\u202egnp.exe", "gnp.exe"),
            ("=?utf-8?q?x?=", "utf-8-q-x-"),
            ("...", "attachment"),
            ("", "attachment"),
        ],
    )
    async def test_have_plain_names(self, server: LoopbackMailServer, name: str, arrives: str) -> None:
        """No folder, no hidden file, no header, whatever a file is called."""
        mail = await delivered(server, (Attachment(name, PEM_FILE, b"x"),))
        assert [each[0] for each in attached(mail.message)] == [arrives]
        assert mail.message["Bcc"] is None
        assert mail.recipient == "jo@nhs.example"

    @pytest.mark.parametrize("kind", ["text/html", "application/x\r\nBcc: eve@x.example", "application/", "", "a/b/c"])
    async def test_have_plain_types(self, server: LoopbackMailServer, kind: str) -> None:
        """No reader runs an attachment."""
        mail = await delivered(server, (Attachment("client.pem", kind, b"<script>"),))
        assert [each[1] for each in attached(mail.message)] == [BINARY]


class TestARepeat:
    async def test_has_the_same_message_id(self, server: LoopbackMailServer) -> None:
        """After a crash between mail and record: mailboxes show it once."""
        first, second = await delivered(server), await delivered(server)
        assert first.message["Message-ID"] == second.message["Message-ID"]

    async def test_after_a_lost_answer_is_the_same_mail(self, server: LoopbackMailServer) -> None:
        """The server has taken it, and the connection breaks."""
        server.drop("DATA")
        with pytest.raises(DeliveryError) as raised:
            await notices(server).deliver(request(ISSUED), FILES, STEPS)
        assert raised.value.retryable
        server.behave()
        again = await delivered(server)
        assert len(server.mails) == 2
        assert server.mails[0].message["Message-ID"] == again.message["Message-ID"]
        assert attached(server.mails[0].message) == attached(again.message)


class TestTheRecord:
    async def test_has_the_hash_of_what_was_sent(self, server: LoopbackMailServer) -> None:
        record = await notices(server).deliver(request(ISSUED), FILES, STEPS)
        files = tuple(
            Attachment(str(name), kind, content) for name, kind, content in attached(server.mails[-1].message)
        )
        assert record is not None
        assert (record.role, record.artefact) == ("technical contact", artefact_hash(files))


class TestTheRegistrationAuthority:
    async def test_gets_a_mail_at_each_address(self, server: LoopbackMailServer) -> None:
        """With a Message-ID of its own, and one thread for the request."""
        renewal = replace(_policy(), notify=(RA, "second@ra.example"))
        await _send(notices(server), request(ISSUED, renewal, recipient=None))
        assert sorted(mail.recipient for mail in server.mails) == [RA, "second@ra.example"]
        assert len({mail.message["Message-ID"] for mail in server.mails}) == 2
        assert all("requested by kim.roe@gov.example" in " ".join(mail.text.split()) for mail in server.mails)

    async def test_is_written_to_in_allowed_domains_alone(self, server: LoopbackMailServer) -> None:
        """CLIENTCERT_MAIL_DOMAINS holds for all mails."""
        sending = notices(server, domains=frozenset({"nhs.example"}))
        failure = await _send(sending, request(ISSUED))
        assert server.mails == []
        assert failure is not None
        assert failure.reason is Reason.RECIPIENT_NOT_ALLOWED

    async def test_is_not_written_to_for_other_namespaces(self, server: LoopbackMailServer) -> None:
        """CLIENTCERT_MAIL_NAMESPACES, too: nor is a certificate mailed there."""
        sending = notices(server, namespaces=frozenset({"other"}))
        assert not sending.has_mail_server(REQUEST.namespace)
        with pytest.raises(DeliveryError) as raised:
            await sending.deliver(request(ISSUED), FILES, STEPS)
        assert raised.value.reason is Reason.CHANNEL_NOT_ALLOWED
        assert server.mails == []

    @pytest.mark.parametrize("address", ["ra@gov.example, eve@evil.example", "ra@gov.example\r\nBcc: eve@evil.example"])
    async def test_is_one_plain_address(self, server: LoopbackMailServer, address: str) -> None:
        sending = notices(server)
        failure = await _send(sending, request(ISSUED, replace(_policy(), notify=(address,))))
        assert failure is not None
        assert failure.message == (
            "Issued to the registration authority: the registration authority has no"
            " plain e-mail address such as jo@example.com: correct the e-mail address"
            " in spec.renewal.notify of the CertificatePolicy"
        )
        assert server.mails == []

    async def test_that_is_refused_is_corrected_in_the_policy(self, server: LoopbackMailServer) -> None:
        """The error names the field, and no address."""
        server.answer("RCPT", "550 5.1.1 No such user", address=RA)
        sending = notices(server)
        failure = await _send(sending, request(ISSUED))
        assert failure is not None
        assert failure.message == (
            "Issued to the registration authority:"
            " the mail server refused the registration authority: correct the e-mail address in spec.renewal.notify of"
            " the CertificatePolicy"
        )


async def test_a_delivery_to_a_wrong_address_goes_to_nobody_else(server: LoopbackMailServer) -> None:
    """A certificate goes to the contact of record, whom the approver saw, and never to a fallback recipient."""
    server.answer("RCPT", "550 5.1.1 No such user", address="jo@nhs.example")
    with pytest.raises(DeliveryError) as raised:
        await notices(server).deliver(request(ISSUED), FILES, STEPS)
    assert raised.value.reason is Reason.RECIPIENT_REFUSED
    assert server.mails == []


async def test_a_business_contact_of_record_gets_the_certificate(server: LoopbackMailServer) -> None:
    sam = Recipient(Role.BUSINESS, "sam@nhs.example", "Sam Patel")
    record = await notices(server).deliver(request(ISSUED, recipient=sam), FILES, STEPS)
    assert record is not None
    assert (record.role, server.mails[-1].recipient) == ("business contact", "sam@nhs.example")
    assert server.mails[-1].message["From"] == SENDER


ITEM = Item("CertificateRenewal", REQUEST)


def _policy() -> Any:
    return request(ISSUED).policy


async def _send(sending: RenewalNotices, evaluation: Any) -> Problem | None:
    """Send all that is due to people, each after the interval of the mail server; returns the problem of the last."""
    due = [each for each in due_notices(evaluation, has_mail_server=True) if each.recipient is not None]
    problem = None
    for each in due:
        for _ in range(50):
            sent = await sending.send(evaluation, [each])
            problem = sending.problem(evaluation, [each])
            if problem or any(record.name == each.name for record in sent):
                break
            await asyncio.sleep(0.05)
    return problem
