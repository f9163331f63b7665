"""The steps of a team that comes from a cron script. Each docstring is shown before its step runs."""

from collections import Counter
from datetime import timedelta
from functools import partial

from tools.control_plane import S3Server
from tools.demo.cast import TEAM
from tools.demo.checks import eventually
from tools.demo.people import Administrator
from tools.demo.stage import Stage

_NAMESPACE = "care-api"
_ENVIRONMENTS = ("prod", "preprod")
_NOW, _WEEK = timedelta(days=1), timedelta(days=8)
"""The clock of the demo is one day ahead by now."""
_ENDS = (-2, 3, 12, 21, 30, 37, *range(46, 309, 8))
"""Days until each certificate in the buckets ends; the third and the fifth are on the ignore list."""
_IGNORED = (2, 4)
_COUNT = len(_ENDS) + 1
_SUMMARY = ("get", "clientcertificates", "-n", _NAMESPACE, "--sort-by=.status.expires.time")


def import_them(stage: Stage) -> None:
    """Another team comes from a cron script, with 40 certificates. It has no operator yet.

    39 are in two buckets and one is in a Secret. The team has its wiki page of clients as CSV, and the script's list of
    ignored consumers. Three commands write the manifests, and change nothing in the cluster; a fourth applies them.
    """
    stage.stop_operator()
    administrator = Administrator(stage.control_plane, _NAMESPACE, stage.directory / _NAMESPACE)
    buckets = _upload(stage, administrator)
    lists = ("--endpoint-url", stage.s3.endpoint, "--credentials-secret", "backup", "--contacts", "clients.csv")
    for environment, bucket in buckets.items():
        from_bucket = ("import", "s3", bucket, "--store", f"backup-{environment}", "--environment", environment)
        _show(stage, administrator, *from_bucket, *lists, "--ignored", "ignored.txt")
    _show(stage, administrator, "import", "secrets", "--environment", "prod", "--contacts", "clients.csv")
    applied = stage.kubectl("apply", "-k", administrator.directory / "clientcert-manifests")
    stage.screen.command("kubectl apply -k clientcert-manifests", _ends_of(applied))


def observe(stage: Stage) -> None:
    """A week beside the script: the operator only observes.

    With CLIENTCERT_OBSERVE_ONLY=true it reads and judges, and writes days and conditions. It sends nothing, and records
    nothing as sent, so the script goes on alone. The clock of the demo is moved by a week.
    """
    before, mails = len(stage.slack.messages), len(stage.mailbox.server.mails)
    for clock in (_NOW, _WEEK):
        _start(stage, clock, CLIENTCERT_OBSERVE_ONLY="true")
        eventually("Every object says that the operator only observes", _COUNT, partial(_observed, stage, clock))
    stage.screen.command(f"kubectl {' '.join(_SUMMARY)}", _ends_of(stage.kubectl(*_SUMMARY)))
    eventually("No message and no mail", (0, 0), lambda: _sent(stage, before, mails))
    stage.screen.seen("No message in Slack and no mail in this week")


def switch(stage: Stage) -> None:
    """The switch: the script is suspended, and the operator starts without the setting.

    Each certificate that ends within 30 days, or has expired, has one message, and the ignored ones have none.
    """
    before = len(stage.slack.messages)
    due = {_consumer(number) for number, days in enumerate(_ENDS) if days < 37.5 and number not in _IGNORED}
    expected = Counter(dict.fromkeys(due | {"gateway"}, 1))
    _start(stage, _WEEK)
    eventually("One message about each certificate that is due", expected, lambda: _messages(stage, before))
    stage.screen.output("\n".join(f"{each.channel}   {each.text}" for each in stage.messages(before)))
    stage.kubectl("delete", "clientcertificates,certificatestores", "--all", "-n", _NAMESPACE)
    stage.start_operator("--clock-offset", "24h")


def _upload(stage: Stage, administrator: Administrator) -> dict[str, str]:
    """The buckets by environment; beside them the Secrets, the client list and the ignore list."""
    server: S3Server = stage.s3
    stage.control_plane.create_namespace(_NAMESPACE)
    buckets = {environment: f"care-api-{environment}-certificates-backup" for environment in _ENVIRONMENTS}
    for bucket in buckets.values():
        stage.bucket.create_bucket(bucket)
        stage.screen.seen(f"s3://{bucket}")
    for number, days in enumerate(_ENDS):
        key = f"{_consumer(number)}/client.pem"
        content = stage.cast.lasting(_consumer(number), stage.started, days).certificate_pem
        stage.bucket.put_object(buckets[_environment(number)], key, content)
    gateway = stage.cast.lasting("gateway", stage.started, 16).certificate_pem
    stage.put_secret("gateway", {"tls.crt": gateway}, namespace=_NAMESPACE)
    credentials = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    stage.put_secret("backup", {name: value.encode() for name, value in credentials.items()}, namespace=_NAMESPACE)
    rows = [f"{_consumer(number)},Jo Bloggs,jo@{_consumer(number)}.example" for number in range(len(_ENDS))]
    words = [f"{_environment(number)}/{_consumer(number)}" for number in _IGNORED]
    files = {"clients.csv": "\n".join(["Consumer,Technical name,Technical email", *rows])}
    administrator.settle(files | {"ignored.txt": f'ignore="{" ".join(words)}"\n'}, credentials, server.region)
    return buckets


def _show(stage: Stage, administrator: Administrator, *arguments: str) -> None:
    output = administrator.clientcert(*arguments)
    stage.screen.command(f"clientcert {' '.join(arguments)}", _ends_of(output))


def _ends_of(output: str) -> str:
    """The first lines and the last ones."""
    lines = output.rstrip().splitlines()
    return output if len(lines) < 16 else "\n".join([*lines[:7], f"… ({len(lines) - 12} lines)", *lines[-5:]])


def _start(stage: Stage, clock: timedelta, **settings: str) -> None:
    offset = f"{clock.total_seconds():.0f}s"
    stage.start_operator("--namespace", _NAMESPACE, "--clock-offset", offset, **settings)


def _observed(stage: Stage, clock: timedelta) -> int:
    """The objects that say so, with the days left of this clock."""
    days = {_consumer(number): ends - clock.days for number, ends in enumerate(_ENDS)} | {"gateway": 16 - clock.days}
    return sum(
        condition["reason"] == "ObserveOnly" and status.get("daysRemaining") == days[name.rpartition("-")[0]]
        for name, status in stage.statuses(_NAMESPACE).items()
        for condition in status.get("conditions") or ()
        if condition["type"] == "AlertsDelivered"
    )


def _sent(stage: Stage, messages: int, mails: int) -> tuple[int, int]:
    return len(stage.slack.messages) - messages, len(stage.mailbox.server.mails) - mails


def _messages(stage: Stage, since: int) -> Counter[str]:
    """By consumer, the messages in the team's channel; an unexpected one is counted by its text."""
    known = [*map(_consumer, range(len(_ENDS))), "gateway"]
    return Counter(
        next((name for name in known if f" {name} " in each.text), each.text)
        for each in stage.messages(since)
        if each.channel == TEAM
    )


def _environment(number: int) -> str:
    return _ENVIRONMENTS[number % 2]


def _consumer(number: int) -> str:
    return f"client{number:02}"
