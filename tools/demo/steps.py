"""The steps of the demo. The docstring of a step is shown on the screen before the step runs."""

from collections.abc import Callable, Mapping

from tools.demo.cast import NHS, ON_CALL, PASSWORD, TEAM, Seen
from tools.demo.checks import NotSeenError, eventually
from tools.demo.mailbox import Mailed, as_read
from tools.demo.moving import import_them, observe, switch
from tools.demo.renewal import approve, ask, let_sign, use
from tools.demo.stage import BUCKET, NAMESPACE, REPOSITORY, Stage
from tools.slack_server import render

_EVENTS = (
    "get", "events", "-n", NAMESPACE, "--sort-by=.involvedObject.name",
    "-o", "custom-columns=OBJECT:.involvedObject.name,TYPE:.type,REASON:.reason,MESSAGE:.message",
)  # fmt: skip
_RESOLVED = ".status.conditions[?(@.type=='ContactResolved')]"
_CONTACT = (
    "get", "clientcertificates", "-n", NAMESPACE, NHS,
    "-o", f"custom-columns=NAME:.metadata.name,REASON:{_RESOLVED}.reason,CONTACT:{_RESOLVED}.message",
)  # fmt: skip
_EXAMPLES = ("minimal", "from-secret", "from-s3", "silenced", "policy-daily", "policy-on-days", "policy-weekdays")
_CONSUMER_CHANNEL = "tools/demo/consumer-channel.yaml"


def start(stage: Stage) -> None:
    """Start a Kubernetes API, a bucket, a Slack and a mail server.

    These are a real kube-apiserver with etcd, a real S3 server, a server with Slack's API, and a mail server that
    delivers nothing. All of them run on this machine, on free ports, and end with the demo. No other cluster is used.
    """
    stage.start_servers()
    stage.screen.seen(f"API server {stage.control_plane.url}")
    stage.screen.seen(f"S3 server {stage.s3.endpoint}, bucket {BUCKET}")
    stage.screen.seen(f"Slack {stage.slack.url}, channels {TEAM} and {ON_CALL}")
    stage.screen.seen(f"Mail server {stage.mailbox.server.host}:{stage.mailbox.server.port}, with TLS and a login")


def install(stage: Stage) -> None:
    """Install what the operator needs.

    Its kinds of objects, its rights, and the rules of admission. It reads its objects and the Secrets that they name,
    and writes only status and Events; who may ask for a certificate, and who may approve one, are roles of their own.
    """
    output = stage.control_plane.apply_kustomize(REPOSITORY / "crds", REPOSITORY / "deploy/kustomize/base")
    stage.screen.command("kubectl apply -k crds; kubectl apply -k deploy/kustomize/base", output)


def hand_out(stage: Stage) -> None:
    """Certificates were handed to consumers outside the cluster.

    The team keeps a copy of each certificate in a Secret, or in the backup bucket with a folder for each consumer. Some
    are valid, some expire soon, one has expired, and some cannot be read or are wrong.
    """
    stage.control_plane.create_namespace(NAMESPACE)
    for name, files in stage.cast.secrets.items():
        stage.put_secret(name, files)
        stage.screen.seen(f"Secret {name}: {', '.join(files)}")
    for key, content in stage.cast.objects.items():
        stage.bucket.put_object(BUCKET, key, content)
        stage.screen.seen(f"s3://{BUCKET}/{key}")


def declare(stage: Stage) -> None:
    """Declare one ClientCertificate for each, a policy for the alerts, and a store for the bucket.

    Most manifests are from deploy/examples; those for other phases are in tools/demo/manifests. The Secrets that the
    examples leave to the reader are created here. The store gets the address of the S3 server on this machine and is
    polled every ten seconds. The shortest ClientCertificate, and the channel that sends mail to a consumer, are these:
    """
    minimal = (REPOSITORY / "deploy/examples/minimal.yaml").read_text()
    stage.screen.output("\n".join(line for line in minimal.splitlines() if not line.startswith("#")))
    files = [*(f"deploy/examples/{name}.yaml" for name in _EXAMPLES), "tools/demo/manifests"]
    output = stage.kubectl("apply", "-n", NAMESPACE, *(part for each in files for part in ("-f", REPOSITORY / each)))
    stage.put_settings_of_examples()
    stage.screen.command(f"kubectl apply -n {NAMESPACE} -f {' -f '.join(files)}", output)
    stage.screen.output((REPOSITORY / _CONSUMER_CHANNEL).read_text())
    for policy in ("daily", "weekdays"):
        patch = ("patch", "certificatepolicy", policy, "-n", NAMESPACE, "--type=json", "--patch-file")
        output = stage.kubectl(*patch, REPOSITORY / _CONSUMER_CHANNEL)
        stage.screen.command(f"kubectl {' '.join(patch)} {_CONSUMER_CHANNEL}", output)


def run_operator(stage: Stage) -> None:
    """Start the operator, and see the days left.

    It runs under its own ServiceAccount with the rights that were just installed. It reads each Secret that an object
    names, lists the bucket once for all certificates in it, and writes the result into the status of each object.
    """
    stage.start_operator()
    expected = _phases_and_days(stage.cast.today)
    eventually("Phase and days of every ClientCertificate", expected, stage.phases_and_days)
    eventually("CertificateStore backup-prod lists the bucket", "True", lambda: _store_condition(stage, "Ready"))
    stage.show("get", "clientcertificates", "-A")
    eventually(
        "The private key in the bucket is reported", "False", lambda: _store_condition(stage, "PrivateKeysAbsent")
    )
    stage.show("get", "certificatestores", "-A")
    reported = _store_condition(stage, "PrivateKeysAbsent", "message")
    stage.screen.note(f"The status of the store reports a private key in the bucket: {reported}.")


def see_messages(stage: Stage) -> None:
    """The team on call is alerted in Slack.

    Each message contains the consumer, the environment, the time left, the person to ask and the next step; the details
    are in its thread (a webhook cannot reply, so its message contains them). court-lists expires in ten days and has no
    alert, because it is silenced, by name, with a reason and an end. tribunals has none in the first two minutes of its
    absence, because a moment is no alarm.
    """
    eventually("The messages in Slack", _expected_messages(stage.cast.today), lambda: _told(stage))
    first, *others = sorted(stage.messages(), key=lambda message: "nhs" not in message.text)
    eventually("The details in the thread", True, lambda: bool(stage.slack.replies(first)))
    stage.screen.output(render(first, stage.slack.replies(first)))
    for message in others:
        stage.screen.output(render(message))


def see_mail(stage: Stage) -> None:
    """The consumers are notified by mail.

    The technical contacts of nhs and prison-visits get a letter with every step, once a week as the channel says. Such
    letters used to be written by hand. The status says which contact was found, and where, but no name and no address.
    """
    _see_letters(stage, "The mails to the contacts", list(stage.cast.letters))
    eventually("The contact in the status of nhs", True, lambda: "TechnicalContact" in stage.kubectl(*_CONTACT))
    stage.show(*_CONTACT)


def see_events(stage: Stage) -> None:
    """The same alerts as Kubernetes Events.

    There is one Event for each object and reason, for `kubectl describe` and for tools that collect Events. A repeated
    alert increases its count.
    """
    expected = {(name, seen.event) for name, seen in stage.cast.today.items() if seen.event}
    eventually("The Events", expected, stage.events)
    stage.show(*_EVENTS)


def renew_by_hand(stage: Stage) -> None:
    """One certificate is renewed by hand, and the alerts about it end.

    The team has signed a new certificate for nhs itself, and puts it into its Secret. The channel that had an alert
    gets one closing message with the new serial number, and so does the contact of nhs.
    """
    before, mails, new = len(stage.slack.messages), len(stage.mailbox.server.mails), stage.cast.renewed
    stage.put_secret("nhs-client-cert", {"client.p12": new.pkcs12(PASSWORD)})
    stage.screen.seen(f"Secret nhs-client-cert holds serial number {new.serial_number_hex}")
    expected = _phases_and_days(stage.cast.today) | {NHS: ("Valid", 365)}
    eventually("The days of nhs go up", expected, stage.phases_and_days)
    eventually("One closing message", [TEAM], lambda: _closings(stage, before))
    stage.show("get", "clientcertificates", "-n", NAMESPACE, NHS)
    for message in stage.messages(before):
        stage.screen.output(render(message))
    _see_letters(stage, "The closing mail to the contact of nhs", [stage.cast.last_letter], mails)
    eventually("An Event Renewed", True, lambda: (NHS, "Renewed") in stage.events())


def see_next_day(stage: Stage) -> None:
    """The next day: no message about the renewed certificates, and another one about the others.

    The operator is restarted with `--clock-offset 24h`, which only moves its clock. The status of each object records
    what was sent, so a restart alone repeats nothing.
    """
    stage.stop_operator()
    before, mails = len(stage.slack.messages), len(stage.mailbox.server.mails)
    stage.start_operator("--clock-offset", "24h")
    cast = stage.cast.tomorrow
    expected = _phases_and_days(cast)
    eventually("Phase and days of the next day", expected, stage.phases_and_days)
    eventually("The messages of the next day", _expected_messages(cast), lambda: stage.told(cast, before))
    stage.show("get", "clientcertificates", "-A")
    stage.screen.output("\n".join(f"{each.channel}   {each.text}" for each in stage.messages(before)))
    if (found := _closings(stage, 0)) != [TEAM]:
        raise NotSeenError("Still one closing message about nhs", [TEAM], found)
    if more := stage.mailbox.mails(mails):
        raise NotSeenError("No more mails", [], [mail.subject for mail in more])
    stage.screen.seen(
        "No message about nhs and prison-visits: messages are sent before the new day is written to the status."
    )


def _see_letters(stage: Stage, what: str, expected: list[Mailed], since: int = 0) -> None:
    """Show the first one whole; the others have the same words."""
    eventually(what, expected, lambda: sorted(stage.mailbox.told(expected, since), key=lambda each: each.subject))
    first, *others = sorted(stage.mailbox.mails(since), key=lambda mail: mail.subject)
    stage.screen.output(as_read(first))
    for mail in others:
        stage.screen.seen(f"To {mail.recipient}: {mail.subject}")


def _store_condition(stage: Stage, kind: str, field: str = "status") -> str:
    path = f"jsonpath={{.status.conditions[?(@.type=='{kind}')].{field}}}"
    return stage.kubectl("get", "certificatestore", "backup-prod", "-n", NAMESPACE, "-o", path)


def _phases_and_days(cast: Mapping[str, Seen]) -> dict[str, tuple[str | None, int | None]]:
    return {name: (seen.phase, seen.days) for name, seen in cast.items()}


def _expected_messages(cast: Mapping[str, Seen]) -> dict[tuple[str, str], int]:
    """One message in each channel."""
    return {(name, channel): 1 for name, seen in cast.items() if seen.says for channel in seen.channels}


def _told(stage: Stage) -> dict[tuple[str, str], int]:
    """The messages of the first day, but for that about tribunals: it comes after two minutes, so perhaps in time."""
    cast = stage.cast.today
    return {key: count for key, count in stage.told(cast).items() if key[0] not in cast or cast[key[0]].channels}


def _closings(stage: Stage, since: int) -> list[str]:
    """The channels with a closing message about nhs."""
    says = f"was replaced by serial number {stage.cast.renewed.serial_number_hex}"
    return [each.channel for each in stage.messages(since) if says in each.text]


STEPS: tuple[Callable[[Stage], None], ...] = (
    start, install, hand_out, declare, run_operator, see_messages, see_mail, see_events, renew_by_hand,
    let_sign, ask, approve, use, see_next_day, import_them, observe, switch,
)  # fmt: skip
