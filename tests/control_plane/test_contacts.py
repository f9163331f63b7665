"""The contact of a consumer is found and gets letters: by mail, or in Slack if the consumer is internal."""

from collections.abc import Iterator

import pytest

from tests.control_plane.operators import MAIL_LOGIN, MAIL_SENDER, Operator, Operators, with_mail
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import Manifest, certificate_policy, secret, slack_channel
from tools.mail_server import LoopbackMailServer, Received
from tools.slack_server.workspace import User

DOMAINS = {"CLIENTCERT_MAIL_DOMAINS": "nhs.example,moj.example,münchen.example"}
CONSUMER = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact", "system": "Integration API"}}
JO, SAM = {"name": "Jo Bloggs", "email": "jo@nhs.example"}, {"name": "Sam Patel", "email": "sam@nhs.example"}


@pytest.fixture(scope="module")
def mail() -> Iterator[LoopbackMailServer]:
    with LoopbackMailServer(tls="starttls", login=MAIL_LOGIN) as server:
        yield server


@pytest.fixture(autouse=True)
def well_behaved(mail: LoopbackMailServer) -> Iterator[None]:
    yield
    mail.behave()


@pytest.fixture(scope="module")
def operator(
    operators: Operators, mail: LoopbackMailServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """The mail server requires TLS and a login, and recipients are allowed in two domains only."""
    with operators.running(settings=with_mail(mail, tmp_path_factory.mktemp("tls")) | DOMAINS) as running:
        yield running


def with_contacts(manifest: Manifest, **contacts: object) -> Manifest:
    return {**manifest, "spec": manifest["spec"] | {"contacts": contacts}}


def use_policy(team: Team, *channels: Manifest, **alerts: object) -> None:
    team.apply(
        secret("slack", token=team.slack.tokens[1]),
        certificate_policy("team", slack_channel("team", "#team", "slack"), *(channels or (CONSUMER,)), **alerts),
    )


def hand_out(team: Team, name: str, *, days: float = 14, **spec: object) -> None:
    team.hand_out(name, days=days, policyRef={"name": "team"}, **spec)


def letters(mail: LoopbackMailServer, team: Team, name: str) -> list[Received]:
    return [each for each in tuple(mail.mails) if team.consumer(name) in str(each.message["Subject"])]


def test_the_technical_contact_gets_all_instructions(team: Team, operator: Operator, mail: LoopbackMailServer) -> None:
    """One mail, over TLS and after a login; the team's channel is alerted, too; the status has both."""
    use_policy(team)
    hand_out(team, "nhs", contact={"technical": JO, "business": SAM})
    [letter] = until(lambda: letters(mail, team, "nhs"))
    assert (letter.recipient, letter.encrypted, letter.logged_in) == ("jo@nhs.example", True, True)
    assert str(letter.message["From"]) == MAIL_SENDER
    assert letter.message["Auto-Submitted"] == "auto-generated"
    for words in ("14 days", "Integration API", "openssl genrsa", "-pubout", "only the public key", "API key"):
        assert words in letter.text
    assert letter.html.count("<pre") == 2
    eventually(lambda: len(team.notified("nhs", "#team")), 1)
    eventually(lambda: team.channel("nhs", "consumer").get("stage"), 14)
    assert team.condition("nhs", "ContactResolved") == ("True", "TechnicalContact")
    assert team.condition("nhs", "Ready") == ("True", "ExpiringSoon")


def test_a_business_contact_is_asked_for_a_technical_one(
    team: Team, operator: Operator, mail: LoopbackMailServer
) -> None:
    use_policy(team)
    hand_out(team, "nhs", contact={"business": SAM})
    [letter] = until(lambda: letters(mail, team, "nhs"))
    assert letter.recipient == "sam@nhs.example"
    assert "technical contact" in letter.text
    assert "openssl" not in letter.text
    eventually(lambda: team.condition("nhs", "ContactResolved"), ("True", "BusinessContact"))


def test_the_contact_is_in_the_client_list(team: Team, operator: Operator, mail: LoopbackMailServer) -> None:
    """A ConfigMap with one entry for each consumer, which `clientcert contact` writes."""
    entry = f"consumer: {team.consumer('nhs')}\ntechnical: {{name: Jo Bloggs, email: jo@nhs.example}}\n"
    clients = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "clients"}, "data": {"nhs": entry}}
    path = f"/api/v1/namespaces/{team.namespace}/configmaps"
    team.api.request("POST", path, clients)
    team.apply(secret("slack", token=team.slack.tokens[1]))
    policy = certificate_policy("team", slack_channel("team", "#team", "slack"), CONSUMER)
    team.apply(with_contacts(policy, directoryRef={"name": "clients"}))
    hand_out(team, "nhs", contact={"lookup": ["Directory"]})
    hand_out(team, "moj", contact={"lookup": ["Directory"]})
    [letter] = until(lambda: letters(mail, team, "nhs"))
    assert letter.recipient == "jo@nhs.example"
    until(lambda: "the client list" in team.words("nhs", "ContactResolved"))
    [alert] = until(lambda: team.messages("nhs", "#team"))
    assert "Jo Bloggs, jo@nhs.example (technical contact)" in "\n".join(alert.texts())
    eventually(lambda: team.condition("moj", "ContactResolved"), ("False", "NotInDirectory"))
    assert letters(mail, team, "moj") == []


def test_no_contact_is_known(team: Team, operator: Operator, mail: LoopbackMailServer) -> None:
    """A condition says what to do, and the team is alerted nevertheless."""
    use_policy(team)
    hand_out(team, "nhs", contact={"requester": JO})
    eventually(lambda: team.condition("nhs", "ContactResolved"), ("False", "NoContact"))
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "ContactNotFound"))
    assert "spec.contact.technical" in team.words("nhs", "ContactResolved")
    eventually(lambda: len(team.notified("nhs", "#team")), 1)
    hand_out(team, "nhs", contact={"technical": JO})
    until(lambda: letters(mail, team, "nhs"))
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("True", "Delivered"))


def test_a_recipient_who_is_refused_for_good(team: Team, operator: Operator, mail: LoopbackMailServer) -> None:
    """Row 12: the next contact gets the letter, once; a condition names the refused one until it is corrected."""
    mail.answer("RCPT", "550 5.1.1 no such user", address="gone@nhs.example")
    use_policy(team)
    hand_out(team, "nhs", contact={"technical": {"email": "gone@nhs.example"}, "business": SAM})
    [letter] = until(lambda: letters(mail, team, "nhs"))
    assert letter.recipient == "sam@nhs.example"
    eventually(lambda: team.condition("nhs", "ContactResolved"), ("False", "RecipientRefused"))
    assert "gone@" not in team.words("nhs", "ContactResolved")
    assert team.condition("nhs", "AlertsDelivered") == ("True", "Delivered")
    eventually(lambda: "RecipientRefused" in team.events("nhs"), expected=True)
    assert len(letters(mail, team, "nhs")) == 1
    hand_out(team, "nhs", contact={"technical": JO, "business": SAM})
    eventually(lambda: team.condition("nhs", "ContactResolved"), ("True", "TechnicalContact"))


@pytest.mark.parametrize(
    ("name", "command", "reply", "words"),
    [
        ("relay", "RCPT", "554 5.7.1 <jo@nhs.example>: Relay access denied", "to relay to all recipients"),
        (
            "owner",
            "RCPT",
            "553 5.7.1 <c@i.example>: Sender address rejected: not owned by user x",
            "CLIENTCERT_SMTP_FROM",
        ),
        ("sender", "DATA", "554 5.2.252 SendAsDenied; x not allowed to send as c@i.example", "CLIENTCERT_SMTP_FROM"),
    ],
)
def test_the_operator_is_refused_and_not_the_recipient(
    team: Team, operator: Operator, mail: LoopbackMailServer, name: str, command: str, reply: str, words: str
) -> None:
    """The letter stays due, nobody else is written to, and the contact's condition is as it was."""
    mail.answer(command, reply)
    use_policy(team)
    hand_out(team, name, contact={"technical": JO, "business": SAM})
    eventually(lambda: team.condition(name, "AlertsDelivered"), ("False", "MessageRefused"))
    assert words in team.words(name, "AlertsDelivered")
    assert team.condition(name, "ContactResolved") == ("True", "TechnicalContact")
    assert letters(mail, team, name) == []
    mail.behave()
    use_policy(team, runbookURL="https://runbooks.example/renew")
    until(lambda: [each.recipient for each in letters(mail, team, name)] == ["jo@nhs.example"])


def test_a_contact_with_an_internationalized_domain(team: Team, operator: Operator, mail: LoopbackMailServer) -> None:
    """The mail goes to its name in ASCII."""
    use_policy(team)
    hand_out(team, "idn", contact={"technical": {"email": "jo@München.example"}})
    [letter] = until(lambda: letters(mail, team, "idn"))
    assert letter.recipient == "jo@xn--mnchen-3ya.example"


def test_a_recipient_outside_of_the_allowed_domains(team: Team, operator: Operator, mail: LoopbackMailServer) -> None:
    """It is refused with its reason; the team's channel is alerted."""
    use_policy(team)
    hand_out(team, "nhs", contact={"technical": {"email": "jo@elsewhere.example"}})
    eventually(lambda: team.condition("nhs", "AlertsDelivered"), ("False", "RecipientNotAllowed"))
    assert team.condition("nhs", "ContactResolved") == ("False", "RecipientNotAllowed")
    eventually(lambda: len(team.notified("nhs", "#team")), 1)
    assert "elsewhere" not in team.words("nhs", "AlertsDelivered")
    assert letters(mail, team, "nhs") == []


def test_an_internal_consumer_gets_a_direct_message(team: Team, operator: Operator, mail: LoopbackMailServer) -> None:
    """The Slack user with the consumer's name gets it; nobody gets a mail."""
    team.slack.users.append(User("U012AB3CD", team.consumer("jo-bloggs")))
    token = {"name": "slack", "key": "token"}
    team.apply(secret("slack", token=team.slack.tokens[1]))
    policy = certificate_policy("team", slack_channel("team", "#team", "slack"), CONSUMER)
    team.apply(with_contacts(policy, internalEnvironments=["dev"], slackTokenSecretRef=token))
    hand_out(team, "jo-bloggs", environment="dev", contact={"technical": JO})
    hand_out(team, "nobody", environment="dev", contact={"lookup": ["Slack"]})
    [direct] = until(lambda: [each for each in team.messages("jo-bloggs") if each.channel != "#team"])
    assert direct.channel == "U012AB3CD"
    assert "openssl genrsa" in "\n".join(direct.texts())
    eventually(lambda: team.condition("jo-bloggs", "ContactResolved"), ("True", "SlackUser"))
    eventually(lambda: team.condition("nobody", "ContactResolved"), ("False", "SlackUserNotFound"))
    assert letters(mail, team, "jo-bloggs") == []


def test_a_closing_letter_is_the_last(team: Team, operator: Operator, mail: LoopbackMailServer) -> None:
    """It is in the thread of the first letter."""
    use_policy(team)
    hand_out(team, "nhs", contact={"technical": JO})
    [first] = until(lambda: letters(mail, team, "nhs"))
    team.renew("nhs", days=365)
    [_, last] = until(lambda: letters(mail, team, "nhs"), lambda found: len(found) == 2)
    assert last.message["References"] == first.message["References"]
    assert last.message["Message-ID"] != first.message["Message-ID"]
    eventually(lambda: team.phase("nhs"), "Valid")


def test_no_person_is_in_log_status_or_metrics(team: Team, operator: Operator, mail: LoopbackMailServer) -> None:
    """Roles are allowed; at the usual log level the log does not name any person."""
    use_policy(team)
    hand_out(team, "nhs", contact={"technical": JO, "business": SAM})
    until(lambda: letters(mail, team, "nhs"))
    eventually(lambda: team.channel("nhs", "consumer").get("stage"), 14)
    events = " ".join(map(str, team.items("Event")))
    shown = f"{team.status('nhs')} {events} {operator.process.log_text()} {operator.get('/metrics')[1]}"
    for personal in ("Jo Bloggs", "jo@nhs", "Sam Patel", "sam@nhs", MAIL_LOGIN[1]):
        assert personal not in shown


def test_host_certificates_of_one_batch_are_one_letter(
    team: Team, operator: Operator, mail: LoopbackMailServer
) -> None:
    """The requester gets it when the first one enters its last month, about all, once. The team is alerted
    about each.
    """
    use_policy(team)
    host = {"profile": "Host", "batch": f"spring-{team.namespace}", "contact": {"requester": JO}}
    for name, days in (("later", 45), ("last", 300)):
        hand_out(team, name, days=days, **host)
        eventually(lambda name=name: team.phase(name), "Valid")
    hand_out(team, "first", days=20, **host)
    [letter] = until(lambda: [each for each in tuple(mail.mails) if host["batch"] in str(each.message["Subject"])])
    assert letter.recipient == "jo@nhs.example"
    positions = [letter.text.index(f"{team.consumer(name)} in prod") for name in ("first", "later", "last")]
    assert positions == sorted(positions)
    assert "not renewed here" in " ".join(letter.text.split())
    for name in ("first", "later", "last"):
        eventually(lambda name=name: team.channel(name, "consumer").get("stage"), 30)
    [alert] = until(lambda: team.messages("first", "#team"))
    assert [team.notified(name, "#team") for name in ("later", "last")] == [[], []]
    assert "a host certificate is not renewed here" in "\n".join(alert.texts())
    team.renew("first", days=365)
    eventually(lambda: len(team.notified("first", "#team")), 2)
    assert len([each for each in tuple(mail.mails) if host["batch"] in str(each.message["Subject"])]) == 1
