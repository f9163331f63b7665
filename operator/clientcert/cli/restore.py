"""`clientcert restore`: the objects of a backup, with their statuses."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from clientcert.api.kinds import CERTIFICATE_RENEWAL
from clientcert.cli.backup_file import BackupFile, lines_of, parse_backup
from clientcert.cli.cluster import Cluster, Target
from clientcert.cli.errors import AnswerIsNo, Failed
from clientcert.cli.files import STDIN
from clientcert.cli.restore_run import IN_TIME, Restore
from clientcert.cli.table import printable
from clientcert.cli.write_options import PlanLine, WritingCommand, write_options


@click.command(cls=WritingCommand)
@click.argument("file", metavar="FILE")
@write_options
def restore(file: str, *, target: Target) -> Iterator[str]:
    """Create the objects of a backup with their statuses, in all namespaces that it has; `-` is standard input.

    With -n in that namespace alone; that of the context does not count. Namespaces and Secrets have to be there. The
    operator may run: it sends nothing about a certificate before its status is there. What exists is not changed, and a
    later status stays; so the same call may be made again. Renewals are a record, and are not restored. What cannot be
    restored is named, and the others are; then it exits with 3, or with 1 if a later call may restore more.
    """
    backup = _read(file)
    cluster = Cluster.connect(target)
    wanted = [each for each in backup.lines if target.namespace in {None, each.namespace}]
    if not wanted:
        raise AnswerIsNo("the backup has no object of the namespace: name another one, or none")
    run = Restore(cluster, backup, wanted, is_dry=target.writes.is_dry)
    yield from run.lines()
    if records := sum(each.kind == CERTIFICATE_RENEWAL.name for each in wanted):
        yield PlanLine(f"{records} CertificateRenewals are a record, and were not restored")
    if run.problems:
        words = f"{len(run.problems)} of {len(wanted) - records} objects were not restored as in the backup"
        if any(issubclass(each, Failed) for each in run.problems.values()):
            raise Failed(f"{words}; {IN_TIME}")
        raise AnswerIsNo(words)


def _read(file: str) -> BackupFile:
    if file == STDIN:
        return parse_backup(lines_of(sys.stdin.buffer))
    try:
        with Path(file).open("rb") as stream:
            return parse_backup(lines_of(stream))
    except OSError as error:
        raise AnswerIsNo(f"{printable(file)} cannot be read ({type(error).__name__}): name another file") from None
