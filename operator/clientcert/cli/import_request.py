"""The options of a call of `clientcert import`, checked, with the files that they name."""

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
from clientcert.lifecycle.spec import CertificateSpec, Contact, Silence
from clientcert.pki.parsing import MAX_SIZE

LOOKUP = Contact(lookup=("Directory", "Slack"))
_REASON = "on the ignore list of the former script"
_DEFAULT_SILENCE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """The fields that each certificate gets that is found."""

    now: datetime
    environment: str
    policy: str
    silence: Silence
    """Of each that is ignored."""
    has_end: bool = False
    has_reason: bool = False
    """True if the call names the end, or the reason, of silences; if not, one that was written before keeps its own."""
    rows: Mapping[str, Row] | None = field(default=None, repr=False)
    """The client list by consumer; None if the call names none."""
    words: tuple[IgnoredWord, ...] | None = None
    """The ignore list; None if the call names none."""

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
            has_reason=options.ignored_reason is not None,
            rows={row.consumer: row for row in read_client_list(options.contacts)} if options.contacts else None,
            words=tuple(_ignored(options.ignored)) if options.ignored else None,
        )

    def contact_of(self, before: CertificateSpec | None, *names: str) -> Contact:
        """The people of the first of these names that the client list has; else the lookup.

        Without a client list it is as before.
        """
        if self.rows is None:
            return before.contact if before else LOOKUP
        row = next((self.rows[each] for each in names if each in self.rows), None)
        if row is None or not row.has_people:
            return LOOKUP
        return Contact(technical=row.technical, business=row.business)

    def silence_of(self, before: CertificateSpec | None, *names: str) -> Silence | None:
        """The silence if the ignore list has one of these names in this environment, exactly.

        Without a list it is as before; with one, what the call does not name is as before.
        """
        known = before.silence if before else None
        if self.words is None:
            return known
        if not any(word.consumer in names for word in self.words_here):
            return None
        if known is None:
            return self.silence
        until = self.silence.until if self.has_end else known.until
        return Silence(until, self.silence.reason if self.has_reason else known.reason)

    def policy_of(self, before: CertificateSpec | None) -> str:
        """The policy; if the call names none, it is as before."""
        return self.policy or (before.policy if before else "")

    @property
    def words_here(self) -> list[IgnoredWord]:
        """The ignored words of this environment."""
        return [word for word in self.words or () if word.environment == self.environment]


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
