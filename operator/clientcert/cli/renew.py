"""`clientcert renew`: ask for a renewal. It returns at once; the name of the request is the request id."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import click

from clientcert.api.kinds import CLIENT_CERTIFICATE, moment
from clientcert.cli.certificate_status import open_request_name
from clientcert.cli.cluster import Cluster, Object, Target
from clientcert.cli.completion import certificates
from clientcert.cli.errors import AnswerIsNo, Failed
from clientcert.cli.files import STDIN
from clientcert.cli.next_step import next_step
from clientcert.cli.one_line import one_line
from clientcert.cli.renewal_request import Ask, Asked, ask, state_of
from clientcert.cli.request_files import read_csr, read_proof, read_public_key
from clientcert.cli.table import aligned, printable, to_the_minute
from clientcert.cli.write_options import WritingCommand, write_options
from clientcert.lifecycle.renewal.spec import Mode

_FILE = click.Path(allow_dash=True)
_LONGEST_REASON = 256
_NO, _FAILED = 3, 1


@click.command(cls=WritingCommand)
@click.argument("name", required=False, shell_complete=certificates)
@click.option("--csr", metavar="FILE", type=_FILE, help="The consumer's CSR in any form; - is standard input.")
@click.option("--public-key", metavar="FILE", type=_FILE, help="A public key: the operator makes and encrypts a key.")
@click.option("--reuse", is_flag=True, help="The last CSR, else client.csr, else the current key.")
@click.option("--proof", metavar="FILE", type=_FILE, help="CMS by the current key over the CSR or public key.")
@click.option(
    "--reissue", is_flag=True, help="After a new vetting: renew an expired, refused or revoked one, or make the first."
)
@click.option("--reason", metavar="WORDS", help="Why, for those who decide.")
@click.option("-l", "--selector", metavar="LABELS", help="With --reuse: all certificates with these labels.")
@click.option("--all", "everything", is_flag=True, help="With --reuse: all certificates.")
@click.option("-A", "--all-namespaces", is_flag=True, help="With -l or --all: in every namespace.")
@write_options
@click.pass_context
def renew(context: click.Context, /, target: Target, name: str | None, **options: Any) -> Iterator[str]:
    """Ask for a renewal of ClientCertificate NAME, with one of --csr, --public-key and --reuse.

    A request that is open or issued is not made twice. `clientcert retrieve` collects the certificate.
    """
    _check(name, target, **options)
    wanted = _read(**options)
    cluster = Cluster.connect(target)
    wanted = Ask(wanted.mode, cluster.user(), wanted.request, wanted.proof_pem, wanted.reason)
    now = context.obj["now"]()
    if name is not None:
        found = cluster.get(CLIENT_CERTIFICATE, name)
        asked = ask(cluster, found, wanted, now)
        yield from _lines(asked, found, wanted)
        return
    everywhere = options["all_namespaces"]
    found_all = cluster.list(CLIENT_CERTIFICATE, everywhere=everywhere, labels=options["selector"] or "")
    many = Many(cluster, wanted, now)
    asked_all = list(many.ask(found_all))
    yield from _table(asked_all, everywhere=everywhere)
    many.finish(context)


class Many:
    """Requests about many certificates: a certificate that cannot be renewed stops no other."""

    def __init__(self, cluster: Cluster, wanted: Ask, now: datetime) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._now = now
        self._worst = 0
        self._found = False

    def ask(self, certificates: Iterable[Object]) -> Iterator[Asked]:
        """Ask about each, but for those that the operator calls too early. Problems go to standard error."""
        for each in certificates:
            metadata = each["metadata"]
            opens = moment(((each.get("status") or {}).get("renewal") or {}).get("opensTime"))
            if opens is not None and opens > self._now:
                self._found = True
                click.echo(f"{_key(each)}: left out, it may be renewed from {to_the_minute(opens)}", err=True)
                continue
            try:
                asked = ask(self._cluster.within(metadata["namespace"]), each, self._wanted, self._now)
            except (AnswerIsNo, Failed) as error:
                self._worst = _FAILED if isinstance(error, Failed) else self._worst or _NO
                click.echo(f"{_key(each)}: {error.message}", err=True)
                continue
            self._found = True
            yield asked

    def finish(self, context: click.Context) -> None:
        """Exit with 1 if a request failed, with 3 if one was refused or no certificate was found."""
        if not self._found and not self._worst:
            raise AnswerIsNo("no ClientCertificate matches")
        if self._worst:
            context.exit(self._worst)


def _check(name: str | None, target: Target, **options: Any) -> None:
    if sum(map(bool, (options["csr"], options["public_key"], options["reuse"]))) != 1:
        raise click.UsageError("give one of --csr, --public-key and --reuse")
    several = options["everything"] or options["selector"] is not None
    if (name is not None) == several:
        raise click.UsageError("give NAME, or -l or --all with --reuse")
    if several and (not options["reuse"] or options["proof"]):
        raise click.UsageError("-l and --all go with --reuse alone: a CSR, key or proof belongs to one certificate")
    if options["everything"] and options["selector"] is not None:
        raise click.UsageError("give either -l or --all")
    if options["all_namespaces"] and (not several or target.namespace):
        raise click.UsageError("-A goes with -l or --all, and without -n")
    if options["reuse"] and options["reissue"]:
        raise click.UsageError("--reissue needs --csr or --public-key: the old key is not used again")
    if options["proof"] == STDIN and STDIN in (options["csr"], options["public_key"]):
        raise click.UsageError("only one file can be standard input")
    if options["reason"]:
        one_line("--reason", options["reason"], _LONGEST_REASON)


def _read(**options: Any) -> Ask:
    """Read the files; whoever asks is not known yet."""
    request = None
    if options["csr"]:
        request = read_csr(options["csr"])
    elif options["public_key"]:
        request = read_public_key(options["public_key"])
    proof = read_proof(options["proof"]) if options["proof"] else ""
    mode = Mode.REISSUE if options["reissue"] else Mode.RENEW
    return Ask(mode, "", request, proof, options["reason"] or "")


def _lines(asked: Asked, certificate: Object, wanted: Ask) -> Iterator[str]:
    name = asked.found["metadata"]["name"]
    spec = certificate["spec"]
    about = printable(f"{certificate['metadata']['name']} ({spec['consumer']} in {spec['environment']})")
    yield f"{about}: request {name}" + ("" if asked.is_new else ", as asked before")
    if wanted.request:
        yield f"The SHA-256 fingerprint of its key is {wanted.request.key_hash}"
    yield next_step(asked.found)
    other = open_request_name(certificate)
    if other not in {"", name}:
        yield f"Request {printable(other)} about the same certificate is open, too."


def _table(asked: list[Asked], *, everywhere: bool) -> Iterator[str]:
    if not asked:
        return
    headings = ("NAMESPACE", "CERTIFICATE", "REQUEST", "STATE", "ASKED")
    rows = [
        (
            each.found["metadata"]["namespace"],
            each.found["spec"]["certificateRef"]["name"],
            each.found["metadata"]["name"],
            state_of(each.found).value,
            "now" if each.is_new else "before",
        )
        for each in asked
    ]
    first = 0 if everywhere else 1
    yield from aligned(headings[first:], [row[first:] for row in rows])


def _key(found: Object) -> str:
    return f"{found['metadata']['namespace']}/{found['metadata']['name']}"
