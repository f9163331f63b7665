"""The tests that `make compat` runs: those whose result depends on what the API server serves.

The others of tests/control_plane are about messages, mails, buckets and metrics, which the operator makes alone.
"""

VERSION = "CLIENTCERT_KUBERNETES"
"""The variable with the version that the API server must have."""

_REASONS = {
    "tests/compat": "the server has the version that was asked for",
    "tests/deploy": "schema and CEL rules of the kinds, admission policies, rights, each switch of the chart, kubectl",
    "tests/docs/test_install.py": "each command of the page",
    "tests/docs/test_readme.py": "each command of the page",
    "tests/docs/test_upgrade.py": "each command of the page",
    "tests/docs/test_pages.py": "each manifest of a page is accepted",
    "tests/faults/test_lease.py": "the Lease, with conflicts",
    "tests/control_plane/test_whole_path.py": "from the alert about an intermediate to its repair",
    "tests/control_plane/test_seed_000.py": "a renewal from the letter to the delivered certificate",
    "tests/control_plane/test_renewal.py": "statuses and Events of a certificate that was replaced",
    "tests/control_plane/test_renewal_over_days.py": "the same after restarts",
    "tests/control_plane/test_renewal_hostile.py": "requests that the kinds must refuse, or the operator",
    "tests/control_plane/test_renewal_hostile_insiders.py": "requests that the admission policies must refuse",
    "tests/control_plane/test_revocations.py": "lists in ConfigMaps, by several writers",
    "tests/control_plane/test_cert_manager.py": "a kind of another group",
    "tests/control_plane/test_secret_writing.py": "preconditions of a patch of a Secret",
    "tests/control_plane/test_namespaced.py": "an operator with Roles alone",
    "tests/control_plane/test_security_rights.py": "the rights that the audit log shows are those of the manifests",
    "tests/control_plane/test_security_tenants.py": "what a tenant may write",
    "tests/control_plane/test_two_replicas.py": "watches and the Lease of two processes",
    "tests/control_plane/test_level_based.py": "the same result by watch, list and restart",
    "tests/control_plane/test_least_writes.py": "the number of writes, so that no echo of a write is read as news",
    "tests/control_plane/test_deletion.py": "deletion without a controller",
    "tests/control_plane/test_running.py": "columns, probes, rights",
    "tests/control_plane/test_versions.py": "the version of the kinds, by the OpenAPI document",
    "tests/control_plane/test_gitops.py": "server-side apply beside the operator's own fields",
    "tests/control_plane/test_cli.py": "verbs of the command line, and their exit codes",
    "tests/control_plane/test_cli_contacts.py": "verbs about contacts",
    "tests/control_plane/test_cli_renewal.py": "verbs about requests, by people with the shipped roles",
    "tests/control_plane/test_cli_revocation.py": "verbs about revocations, which select by fields where they can",
}
PATHS = tuple(_REASONS)
