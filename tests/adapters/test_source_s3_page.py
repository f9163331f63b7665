"""The parser for a page of a LIST, and the names of private keys."""

import asyncio
import gc
import time
from typing import Any

import pytest

from clientcert.fair_queueing import FairSemaphore
from clientcert.network.byte_budget import ByteBudget
from clientcert.sources.s3.client import _parse_page_in_thread
from clientcert.sources.s3.page import looks_like_private_key, parse_page
from clientcert.sources.s3.transport import RESERVED
from tests.builders import RUNAWAY_SECONDS

AWS = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>b</Name><Prefix></Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys>{more}"
    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6-2&quot;</ETag><Size>3</Size>"
    "<Owner><ID>x</ID><Key>not this</Key></Owner></Contents>"
    "<CommonPrefixes><Key>nor this</Key></CommonPrefixes></ListBucketResult>"
)
PAGE = AWS.format(more="<IsTruncated>false</IsTruncated>", key="nhs/client.pem").encode()


def test_a_page_of_aws() -> None:
    """Keys and ETags are read, and no elements of the same names elsewhere."""
    page = parse_page(PAGE)
    assert page.etags == [("nhs/client.pem", "9e107d9d372bb6826bd81d3542a419d6-2")]
    assert page.next_token == ""


def test_nothing_of_a_page_is_left_for_a_collection() -> None:
    """What is frozen meanwhile is never collected: a bucket with many pages is listed every five minutes."""
    parse_page(PAGE)
    gc.collect()
    parse_page(PAGE)
    assert gc.collect() == 0


async def test_namespaces_take_turns_in_having_their_pages_parsed() -> None:
    """One page is parsed at once: a tenant with many pages would have those of all others wait for all of them."""
    budget, parsing, order = ByteBudget(), FairSemaphore(1), list[str]()

    async def parse(namespace: str, answer: dict[str, Any]) -> None:
        RESERVED.set(budget.reservation(namespace))
        await _parse_page_in_thread(parsing, {"body": PAGE}, answer)
        order.append(namespace)

    every: list[tuple[str, dict[str, Any]]] = [(each, {}) for each in ("many",) * 6 + ("one",)]
    await asyncio.gather(*(parse(*each) for each in every))
    assert order.index("one") < 3
    assert all(answer["Page"].next_token == "" for _, answer in every)


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("<EncodingType>url</EncodingType>", "a+b%2Bc%25d/%C3%A9%0A"),
        ("", "a b+c%d/é&#10;"),
    ],
)
def test_keys_are_decoded_if_they_are_encoded(more: str, key: str) -> None:
    """Keys are decoded only if the server says that it has encoded them."""
    [(found, _)] = parse_page(AWS.format(more=more, key=key).encode()).etags
    assert found == "a b+c%d/é\n"


@pytest.mark.parametrize(("truncated", "token"), [("true", "1/x=="), ("false", "")])
def test_the_next_page(truncated: str, token: str) -> None:
    """The token is not used if the page says that it is the last one."""
    more = f"<NextContinuationToken>1/x==</NextContinuationToken><IsTruncated>{truncated}</IsTruncated>"
    assert parse_page(AWS.format(more=more, key="a").encode()).next_token == token


def test_a_page_that_does_not_say_whether_it_is_the_last() -> None:
    """A token alone says that it is not: its keys would be taken for all that there are."""
    more = "<NextContinuationToken>1/x==</NextContinuationToken>"
    assert parse_page(AWS.format(more=more, key="nhs").encode()).next_token == "1/x=="
    assert parse_page(AWS.format(more="", key="nhs").encode()).next_token == ""


def test_long_keys_cost_no_more_than_their_length() -> None:
    """No pattern backtracks on long keys, which would take hours. bench/s3_scan.py measures the time of a page."""
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
    """Common names of private keys are reported."""
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
    """Containers with a password, public keys and folders are not reported."""
    assert not looks_like_private_key(key)
