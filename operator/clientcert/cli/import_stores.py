"""The CertificateStores that `clientcert import s3` has to do with: those that exist, and the one that it writes."""

from collections.abc import Mapping
from dataclasses import dataclass

from clientcert.api.client_certificate import parse_bucket
from clientcert.api.kinds import CERTIFICATE_STORE
from clientcert.api.manifests import certificate_store
from clientcert.cli.cluster import Cluster
from clientcert.cli.errors import AnswerIsNo, NotFound
from clientcert.cli.import_names import FreeNames
from clientcert.cli.manifest_directory import ManifestDirectory
from clientcert.cli.manifest_text import write_text
from clientcert.cli.table import printable
from clientcert.errors import ClientCertError
from clientcert.lifecycle.spec import Bucket, ObjectKey


@dataclass(frozen=True, slots=True)
class NewStore:
    """A CertificateStore that is written, too."""

    key: ObjectKey
    bucket: Bucket

    def plan(self, directory: ManifestDirectory, names: FreeNames) -> tuple[Mapping[str, bytes], str]:
        """Its file, and a sentence about it. A file that somebody has changed is left alone."""
        origin = f"store {self.key.name}"
        own = directory.find(self.key.namespace, "", origin)
        if own is not None and own.is_changed:
            return {}, f"CertificateStore {self.key.name}: somebody has changed {printable(own.file_name)}; it is kept."
        plain = f"certificatestore_{self.key.name}.yaml"
        file = (
            own.file_name if own else names.file(plain, f"certificatestore_{self.key.namespace}_{self.key.name}.yaml")
        )
        content = write_text(origin, [certificate_store(self.key, self.bucket)])
        words = f"CertificateStore {self.key.name} is written, too; it needs Secret {self.bucket.credentials_secret}."
        return {file: content}, words


def known_stores(cluster: Cluster, directory: ManifestDirectory, wanted: str) -> dict[ObjectKey, Bucket]:
    """Those of the namespace, and those that earlier imports have written.

    One whose spec cannot be used is not known; raises AnswerIsNo if it is the wanted one.
    """
    known = directory.stores()
    try:
        manifests = cluster.list(CERTIFICATE_STORE)
    except NotFound:
        return known
    for each in manifests:
        key = ObjectKey(each["metadata"]["namespace"], each["metadata"]["name"])
        try:
            known[key] = parse_bucket(each["spec"])
        except ClientCertError as error:
            if key.name == wanted:
                raise AnswerIsNo(f"CertificateStore {wanted}: {printable(error.message)}") from None
    return known


def check_bucket(key: ObjectKey, store: Bucket, bucket: str) -> None:
    """Raise AnswerIsNo if the store is of another bucket."""
    if store.name != bucket:
        words = "name that one, or another store"
        raise AnswerIsNo(f"CertificateStore {key.name} is of bucket {printable(store.name)}: {words}")
