"""The group that every verb belongs to.

What a verb needs from outside comes through click's context object, a mapping that the composition root passes as
`cli(obj=...)`: `now`, a function that returns the time (aware UTC). `run` is added there as well, because it stands
above this layer.
"""

import click

from clientcert import __version__
from clientcert.cli.contact import contact
from clientcert.cli.forecast import forecast
from clientcert.cli.inspect import inspect
from clientcert.cli.silence import silence


@click.group(name="clientcert", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clientcert")
def cli() -> None:
    """Look after the mTLS client certificates that were handed to consumers outside the cluster."""


for verb in (inspect, silence, contact, forecast):
    cli.add_command(verb)
