"""`clientcert check`: what will not work, each with what to do. Pure checks, apart from the reading of what they need.

- `folder`, `reading`, `dry_run` and `operator_account` read files and the API server; `gathering` has the order.
- `yaml_documents` and `yaml_scalars` are YAML as kubectl reads it; `folder_rights` are the bindings of a folder.
- `known` holds all that was read, as the checks need it; `named` finds what an object names.
- `manifests`, `references`, `conditions`, `duplicates`, `rights` and `installation` are the checks, and pure.
- `finding` and `advice` are what a check returns, `report` shows it, and `command` is the verb.
"""

from clientcert.cli.check.command import check

__all__ = ["check"]
