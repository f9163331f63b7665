"""One run of `clientcert import`: look, plan, write, report. In the cluster, everything is only read."""

from typing import Protocol

import click

from clientcert.cli.cluster import Cluster, Target
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.import_candidate import Findings
from clientcert.cli.import_options import ImportOptions
from clientcert.cli.import_plan import Planned, Planner, Result, files_of, names_taken
from clientcert.cli.import_report import report
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.import_watched import Watched
from clientcert.cli.manifest_directory import ManifestDirectory

_FAILED, _NO = 1, 3


class Search(Protocol):
    """One kind of place."""

    def find(self, cluster: Cluster, request: ImportRequest, directory: ManifestDirectory) -> Findings:
        """Look at every place. Raises AnswerIsNo and Failed."""


def import_from(
    search: Search, context: click.Context, target: Target, options: ImportOptions, *, everywhere: bool = False
) -> None:
    """Write the manifests, and print what has become of each place. Exits with 1 or 3 if a place cannot be read."""
    request = ImportRequest.of(options, context.obj["now"]())
    directory = ManifestDirectory.read(options.out)
    cluster = Cluster.connect(target)
    directory = directory.applied_in(cluster.namespace)
    findings = search.find(cluster, request, directory)
    if not findings.candidates:
        raise AnswerIsNo("\n".join(["there is no certificate: nothing was written", *findings.remarks]))
    watched = Watched.of(cluster, findings.stores, everywhere=everywhere)
    names = names_taken(watched, directory, findings.taken_secrets)
    planned = Planner(request, watched, directory, names, everywhere=everywhere).plan(findings.candidates)
    files, remarks = files_of(planned), findings.remarks
    if findings.new_store is not None and files:
        written, remark = findings.new_store.plan(directory, names)
        files, remarks = {**files, **written}, [*remarks, remark]
    if files:
        directory.write(files)
    report(planned, remarks, request, options, directory)
    if code := _exit_code(planned):
        context.exit(code)


def _exit_code(planned: list[Planned]) -> int:
    """1 if a later call may read more, 3 if it will not."""
    unreadable = [each.candidate.problem for each in planned if each.result is Result.UNREADABLE]
    if any(problem is not None and problem.retryable for problem in unreadable):
        return _FAILED
    return _NO if unreadable else 0
