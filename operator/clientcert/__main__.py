"""The program `clientcert`: the verbs of the command line, and `run`, which is the operator."""

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from clientcert.cli.main import cli
from clientcert.errors import SettingsError
from clientcert.settings import load_settings, parse_duration


class DurationType(click.ParamType[timedelta]):
    """A Go duration on the command line."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The duration; fails with a message for the user if the value is invalid."""
        try:
            return value if isinstance(value, timedelta) else parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--namespace", "namespaces", multiple=True, metavar="NS", help="Serve this namespace only; repeatable.")
@click.option("--context", help="A context of the kubeconfig.")
@click.option("--host", help="The address that health and metrics are served on.  [default: all, IPv4 and IPv6]")
@click.option("--port", type=click.IntRange(1, 65535), help="For /healthz, /readyz and /metrics.  [default: 8080]")
@click.option("--log-format", type=click.Choice(["json", "text"]), help="[default: json]")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="[default: info]")
@click.option(
    "--leader-election/--no-leader-election",
    default=None,
    help="Elect a leader among the replicas.  [default: on]",
)
@click.option("--lease-namespace", metavar="NS", help="The namespace of the Lease.  [default: the pod's own]")
@click.option("--resync", type=DurationType(), help="How often the cache is compared with the cluster.  [default: 10m]")
@click.option("--x509-metrics/--no-x509-metrics", default=None, help="Expose the x509_cert_* series.  [default: on]")
@click.option("--clock-offset", type=DurationType(), hidden=True)
def run(**flags: Any) -> None:
    """Run the operator. Each flag is also an environment variable: CLIENTCERT_PORT, CLIENTCERT_NAMESPACE and so on."""
    from clientcert.app import run as run_operator

    try:
        run_operator(load_settings(flags))
    except SettingsError as error:
        raise click.UsageError(error.message) from error


def main() -> None:
    """The entry point of `clientcert` and `kubectl clientcert`."""
    cli.add_command(run)
    cli(obj=_outside())


def complete() -> None:
    """The entry point of `kubectl_complete-clientcert`, which kubectl asks to complete `kubectl clientcert`."""
    from clientcert.cli.completion import for_kubectl

    cli.add_command(run)
    for_kubectl(cli, sys.argv[1:], _outside())


def _outside() -> dict[str, Any]:
    return {"now": lambda: datetime.now(UTC), "sleep": time.sleep}


if __name__ == "__main__":
    main()
