"""`clientcert import`: manifests for the certificates that are there already."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clientcert.cli.cluster import Target, checked_name
from clientcert.cli.import_options import ImportOptions, import_options
from clientcert.cli.scope import check_scope

if TYPE_CHECKING:
    from clientcert.api.discovery import KeyPattern

_PATTERN = "{consumer}/client.pem"


@click.group(name="import")
def import_manifests() -> None:
    """Write manifests for the certificates that are there already: one file each, and a kustomization.yaml.

    Nothing is changed in the cluster. Certificates are read as the operator reads them; objects that watch the same
    source already are left out. The same call writes the same files again, and leaves those alone that somebody has
    changed. What cannot be read is listed, and the others are written; then it exits with 3, or with 1 if a later call
    may read it.
    """


@import_manifests.command(name="s3", short_help="Certificates in a bucket.")
@click.argument("bucket")
@click.option("--store", required=True, metavar="NAME", help="The CertificateStore of the bucket.")
@click.option(
    "--key-pattern",
    default=_PATTERN,
    show_default=True,
    metavar="PATTERN",
    help="The keys of the certificates, below the store's prefix.",
)
@click.option("--credentials-secret", metavar="NAME", help="Write the CertificateStore, too; it uses this Secret.")
@click.option("--profile", metavar="NAME", help="A profile of the AWS configuration.")
@click.option("--region", envvar="AWS_REGION", metavar="REGION", help="[default: that of the AWS configuration]")
@click.option("--endpoint-url", metavar="URL", help="Of a server that is not of AWS.  [default: that of the store]")
@import_options
@click.pass_context
def from_s3(
    context: click.Context, /, target: Target, options: ImportOptions, bucket: str, **given: str | None
) -> None:
    """Write a manifest for each certificate in BUCKET, with your own AWS credentials.

    The folder in the place of {consumer} is the consumer's name; a folder without such an object is listed.
    """
    from clientcert.cli.aws_bucket import AwsOptions
    from clientcert.cli.import_run import import_from
    from clientcert.cli.import_s3 import BucketSearch

    store, secret = checked_name("CertificateStore", given["store"] or ""), given["credentials_secret"]
    if secret is not None:
        checked_name("Secret", secret)
    aws = AwsOptions(given["profile"], given["region"], given["endpoint_url"])
    search = BucketSearch(bucket, store, _pattern(given["key_pattern"] or ""), aws, secret)
    import_from(search, context, target, options)


@import_manifests.command(name="secrets", short_help="Client certificates in Secrets.")
@click.option("-l", "--selector", default="", metavar="LABELS", help="Secrets with these labels, as in kubectl.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Secrets of every namespace.")
@import_options
@click.pass_context
def from_secrets(
    context: click.Context, /, target: Target, options: ImportOptions, selector: str, all_namespaces: bool
) -> None:
    """Write a manifest for each client certificate in a Secret that cert-manager does not renew.

    The certificate itself names the consumer. A certificate without extendedKeyUsage is one for clients, too.
    """
    from clientcert.cli.import_run import import_from
    from clientcert.cli.import_secrets import SecretSearch

    check_scope(target, everywhere=all_namespaces)
    import_from(SecretSearch(selector, all_namespaces), context, target, options, everywhere=all_namespaces)


@import_manifests.command(name="files", short_help="Certificates in a directory.")
@click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--key-pattern", metavar="PATTERN", help="Such as {consumer}/client.pem, for paths below DIR.")
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    help="A file with the password of PKCS#12 files and Java keystores.",
)
@import_options
@click.pass_context
def from_files(
    context: click.Context, /, target: Target, options: ImportOptions, directory: Path, **given: Any
) -> None:
    """Write a manifest for each certificate below DIR, with a Secret that holds it, and never a private key.

    The file's folder is the consumer's name; of a file in DIR itself, the file's own name is.
    """
    from clientcert.cli.import_files import FileSearch
    from clientcert.cli.import_run import import_from
    from clientcert.cli.inspect import read_password

    pattern = _pattern(given["key_pattern"]) if given["key_pattern"] is not None else None
    password = read_password(given["password_file"]) if given["password_file"] else None
    import_from(FileSearch(directory, options.out, pattern, password), context, target, options)


def _pattern(text: str) -> "KeyPattern":
    from clientcert.api.discovery import KeyPattern

    try:
        return KeyPattern.parse(text)
    except ValueError as error:
        raise click.UsageError(f"--key-pattern {error}") from None
