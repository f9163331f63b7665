"""The versions of the kinds, in the OpenAPI document of the API server."""

from typing import Any

import pytest

from clientcert.api.installed_kinds import KINDS, installed_versions
from tests.deploy.schema import crds


def test_all_kinds_are_known() -> None:
    assert sorted(kind.name for kind in KINDS) == sorted(crds())
    assert sorted(kind.plural for kind in KINDS) == sorted(each["spec"]["names"]["plural"] for each in crds().values())


def test_each_kind_has_its_own_version() -> None:
    """A kind without a version is an older one; one that is not there has none at all, and lists are no kinds."""
    schemas = {
        "dev.clientcert.v1alpha1.ClientCertificate": {"title": "clientcert-operator/0.2.0"},
        "dev.clientcert.v1alpha1.ClientCertificateList": {},
        "dev.clientcert.v1alpha1.CertificatePolicy": {},
        "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"title": "clientcert-operator/9"},
    }
    found = installed_versions({"components": {"schemas": schemas}})
    assert found == {"clientcertificates": "0.2.0", "certificatepolicies": ""}


@pytest.mark.parametrize("document", [{}, {"components": None}, {"components": {}}, {"components": {"schemas": None}}])
def test_a_document_without_schemas(document: dict[str, Any]) -> None:
    assert installed_versions(document) == {}
