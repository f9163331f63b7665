"""A page of a LIST, and what can be told from the names on it."""

import time

import pytest

from clientcert.sources.s3.page import looks_like_private_key, parse_page
from tests.builders import RUNAWAY_SECONDS

AWS = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>b</Name><Prefix></Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys>{more}"
    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6-2&quot;</ETag><Size>3</Size>"
    "<Owner><ID>x</ID><Key>not this</Key></Owner></Contents>"
    "<CommonPrefixes><Key>nor this</Key></CommonPrefixes></ListBucketResult>"
)


def test_a_page_of_aws() -> None:
    """Keys and ETags are read, and nothing that stands elsewhere under the same names."""
    page = parse_page(AWS.format(more="<IsTruncated>false</IsTruncated>", key="nhs/client.pem").encode())
    assert page.etags == [("nhs/client.pem", "9e107d9d372bb6826bd81d3542a419d6-2")]
    assert page.next_token == ""


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("<EncodingType>url</EncodingType>", "a+b%2Bc%25d/%C3%A9%0A"),
        ("", "a b+c%d/é&#10;"),
    ],
)
def test_keys_are_decoded_if_they_are_encoded(more: str, key: str) -> None:
    """A server says whether it encodes keys; one that does not means them as they stand."""
    [(found, _)] = parse_page(AWS.format(more=more, key=key).encode()).etags
    assert found == "a b+c%d/é\n"


@pytest.mark.parametrize(("truncated", "token"), [("true", "1/x=="), ("false", "")])
def test_the_next_page(truncated: str, token: str) -> None:
    """The token counts only when the page says that there is another one."""
    more = f"<NextContinuationToken>1/x==</NextContinuationToken><IsTruncated>{truncated}</IsTruncated>"
    assert parse_page(AWS.format(more=more, key="a").encode()).next_token == token


def test_long_keys_cost_no_more_than_their_length() -> None:
    """No pattern tries them in all ways, which would take hours; how long a page takes, bench/s3_scan.py shows."""
    contents = "".join(
        f"<Contents><Key>{'-_.key' * 170}{n}</Key><ETag>&quot;1&quot;</ETag></Contents>" for n in range(1000)
    )
    body = f"<ListBucketResult>{contents}</ListBucketResult>".encode()
    before = time.process_time()
    assert len(parse_page(body).etags) == 1000
    assert time.process_time() - before < RUNAWAY_SECONDS


@pytest.mark.parametrize(
    "key",
    [
        "nhs.key",
        "nhs/NHS.KEY",
        "nhs/client.key.pem",
        "nhs/client-key.pem",
        "nhs/key.pem",
        "nhs/nhs_private_key.txt",
        "nhs/privatekey",
        "nhs/private-key.pem",
        "nhs/privkey1.pem",
        "nhs/tls.key",
        "nhs/server_key.der",
        "nhs/nhs.p8",
        "nhs/nhs.ppk",
        "home/.ssh/id_rsa",
        "backup_id_ed25519",
    ],
)
def test_names_of_private_keys(key: str) -> None:
    """What is usually called so is reported."""
    assert looks_like_private_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "nhs/client.pem",
        "nhs/client.p12",
        "nhs/keystore.jks",
        "nhs.key/client.pem",
        "monkey.pem",
        "nhs/public.key",
        "nhs/nhs-pub-key.pem",
        "nhs/publickey.pem",
        "home/.ssh/id_rsa.pub",
        "keys/",
        "",
        "turnkey-solution.txt",
    ],
)
def test_names_of_other_things(key: str) -> None:
    """Containers with a password, public keys and folders are not."""
    assert not looks_like_private_key(key)
