"""The hosts that a store may call."""

import asyncio

import pytest

from clientcert.errors import Reason
from clientcert.lifecycle.spec import Bucket
from clientcert.loop_budget import LoopBudget
from clientcert.network.egress import EgressPolicy
from clientcert.sources.s3 import S3Reader
from clientcert.sources.s3.access import Credentials
from clientcert.sources.s3.address import Address, aws_host
from clientcert.sources.secret import SecretReader
from tests.adapters.s3_parts import Proxy, Stores, failure, read
from tests.unit.network.test_egress import Names


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://169.254.169.254",
        "https://10.0.0.7:9000",
        "https://[fd00:ec2::254]",
        "https://localhost",
        "https://kubernetes.default.svc",
        "http://s3.example.com",
        "https://user:hunter2@s3.example.com",
        "https://0x7f.1",
    ],
)
async def test_an_internal_endpoint(stores: Stores, endpoint: str) -> None:
    """An endpoint without a public address is refused before the Secret is read, unless the settings list it."""
    stores.change(endpoint=endpoint)
    async with stores.reader(allowed=frozenset()) as reader:
        for call in (read(reader, "nhs.pem"), reader.list("team-a", "store", set())):
            error = await failure(call)
            assert (error.reason, error.retryable) == (Reason.ENDPOINT_NOT_ALLOWED, False)
            assert error.message.startswith("spec.s3.endpoint: ")
            assert "hunter2" not in error.message
    assert stores.secret_reads == 0


async def test_a_name_with_an_internal_address(stores: Stores) -> None:
    """A public-looking name with a private address is refused with the same reason, not with a library error."""
    stores.change(endpoint="https://s3.innocent.example")
    egress = EgressPolicy(lookup=Names(["10.0.0.7"]))
    reader = S3Reader(stores.bucket_of, SecretReader(stores.get_secret), egress)
    for call in (read(reader, "nhs.pem"), reader.list("team-a", "store", set())):
        error = await failure(call)
        assert error.reason is Reason.ENDPOINT_NOT_ALLOWED
        assert "s3.innocent.example:443 has no public address" in error.message
        assert "CLIENTCERT_ALLOWED_HOSTS" in error.message
    await reader.close()


async def test_a_name_is_resolved_by_the_policy_alone(stores: Stores, proxy: Proxy) -> None:
    """The name of an endpoint is resolved once, and the connection uses that address."""
    port = proxy.endpoint.rpartition(":")[2]
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    stores.change(endpoint=f"http://rebinding.example:{port}")
    reader = S3Reader(
        stores.bucket_of, SecretReader(stores.get_secret), EgressPolicy({f"rebinding.example:{port}"}, names)
    )
    assert (await read(reader, "nhs.pem")).body == b"nhs.pem"
    assert names.asked == ["rebinding.example"]
    await reader.close()


async def test_an_endpoint_with_more_than_a_path(reader: S3Reader, stores: Stores, proxy: Proxy) -> None:
    """An endpoint has scheme, host, port and path only; a slash at the end is accepted."""
    for more in ("?x=y", "#x", "/v1?x=y", "//v1", "/..", "/v1/../v2", "/./v1", "/v%31", "/v 1", "/v1;x", "/.v1"):
        stores.change(endpoint=f"{proxy.endpoint}{more}")
        assert (await failure(read(reader, "nhs.pem"))).reason in {Reason.SPEC_INVALID, Reason.ENDPOINT_NOT_ALLOWED}
    for endpoint in ("https://minio_1.example", "https://-x.example"):
        stores.change(endpoint=endpoint)
        assert (await failure(read(reader, "nhs.pem"))).reason is Reason.SPEC_INVALID
    assert proxy.paths == []
    stores.change(endpoint=f"{proxy.endpoint}/")
    assert (await read(reader, "nhs.pem")).body == b"nhs.pem"


async def test_hosts_of_aws_are_derived_from_the_region() -> None:
    """For every region of the AWS library, our host name equals that of the library, and only this host is allowed."""
    import botocore.session

    from clientcert.sources.s3.client import ClientFactory

    session, factory = botocore.session.Session(), await asyncio.to_thread(ClientFactory)
    partitions = session.get_available_partitions()
    regions = [region for each in partitions for region in session.get_available_regions("s3", each)]
    assert len(regions) > 30
    for region in regions:
        for name, addressing in (("my-bucket", "Auto"), ("my.bucket", "Auto"), ("My_Bucket", "Auto"), ("b-1", "Path")):
            address = Address.of(Bucket(name, region=region, addressing=addressing), EgressPolicy())
            client = await factory.create(address, Credentials("a", "b"), LoopBudget())
            urls = []

            def note(request: object, urls: list[str] = urls, **_: object) -> None:
                urls.append(request.url)  # type: ignore[attr-defined]
                raise LookupError

            client.meta.events.register("before-send.s3", note)
            with pytest.raises(LookupError):
                await client.get_object(Bucket=name, Key="a/../b//c")
            host = aws_host(region)
            expected = f"https://{name}.{host}" if name == "my-bucket" else f"https://{host}/{name}"
            assert urls == [f"{expected}/a/../b//c"]
            assert address.policy.lists(urls[0])
            assert not address.policy.lists(f"https://other.{host}")
