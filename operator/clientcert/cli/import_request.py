"""What a call of `clientcert import` asks for: its options, checked, with the files that they name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path

import click

from clientcert.api.client_list import LONGEST_CONSUMER, ONE_LINE, is_one_line
from clientcert.cli.client_list_file import Row
from clientcert.cli.cluster import checked_name
from clientcert.cli.contact_import import read_client_list
from clientcert.cli.durations import parse_end
from clientcert.cli.errors import AnswerIsNo, refuse
from clientcert.cli.files import read_file
from clientcert.cli.ignored_words import IgnoredWord, read_ignored
from clientcert.cli.import_options import ImportOptions
from clientcert.cli.silence import LONGEST_REASON
from clientcert.errors import SourceError
from clientcert.lifecycle.spec import Contact, Silence
from clientcert.pki import MAX_SIZE

LOOKUP = Contact(lookup=("Directory", "Slack"))
_REASON = "on the ignore list of the former script"
_DEFAULT_SILENCE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What becomes of each certificate that is found."""

    now: datetime
    environment: str
    policy: str
    silence: Silence
    """Of each that is ignored."""
    has_end: bool
    """True if the call names the end of silences; if not, one that was written before keeps its own."""
    rows: Mapping[str, Row] = field(default_factory=dict, repr=False)
    """The client list by consumer."""
    words: tuple[IgnoredWord, ...] = ()

    @classmethod
    def of(cls, options: ImportOptions, now: datetime) -> "ImportRequest":
        """Check the options and read the files; raises click.UsageError and AnswerIsNo."""
        if not is_one_line(options.environment, LONGEST_CONSUMER):
            raise click.UsageError(f"--environment must be {ONE_LINE}, of at most {LONGEST_CONSUMER} characters")
        if options.policy is not None:
            checked_name("CertificatePolicy", options.policy)
        if options.ignored is None and (options.ignored_reason or options.ignored_until):
            raise click.UsageError("--ignored-reason and --ignored-until need --ignored")
        reason = _REASON if options.ignored_reason is None else options.ignored_reason
        if not is_one_line(reason, LONGEST_REASON):
            raise click.UsageError(f"--ignored-reason must be {ONE_LINE}, of at most {LONGEST_REASON} characters")
        if options.ignored_until is None:
            ends = datetime.combine((now + _DEFAULT_SILENCE).date(), time(), now.tzinfo)
        else:
            ends = parse_end("--ignored-until", options.ignored_until, now)
        return cls(
            now=now,
            environment=options.environment,
            policy=options.policy or "",
            silence=Silence(ends, reason),
            has_end=options.ignored_until is not None,
            rows={row.consumer: row for row in read_client_list(options.contacts)} if options.contacts else {},
            words=tuple(_ignored(options.ignored)) if options.ignored else (),
        )

    def contact(self, *names: str) -> Contact:
        """The people of the first of these names that the client list has; else the lookup."""
        row = next((self.rows[each] for each in names if each in self.rows), None)
        if row is None or not (row.technical or row.business):
            return LOOKUP
        return Contact(technical=row.technical, business=row.business)

    def ignores(self, *names: str) -> bool:
        """True if the list has one of these names in this environment, exactly."""
        return any(word.environment == self.environment and word.consumer in names for word in self.words)


def _ignored(file: Path) -> list[IgnoredWord]:
    try:
        content = read_file(str(file))
    except SourceError as error:
        raise click.UsageError(f"--ignored: {error.message}") from None
    if len(content) > MAX_SIZE:
        raise AnswerIsNo("the file of --ignored is larger than 1 MiB")
    words, problems = read_ignored(content)
    refuse("the file of --ignored cannot be used:", problems)
    return words
