"""The addresses that an object may make the operator connect to."""

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from clientcert.errors import ClientCertError, DeliveryError, Reason, SettingsError
from clientcert.fair_queueing import served_namespace
from clientcert.network.egress import EgressPolicy, refusal_in

pytestmark = pytest.mark.real_time
PUBLIC_V4 = "93.184.216.34"
PUBLIC_V6 = "2606:2800:220:1:248:1893:25c8:1946"
TIMEOUT = aiohttp.ClientTimeout(total=5)

SPECIAL_ADDRESSES = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "this network",
    "10.1.2.3": "private",
    "100.64.0.1": "shared by carriers",
    "100.100.100.200": "metadata of Alibaba",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "platform address of Azure",
    "169.254.169.254": "metadata",
    "169.254.170.23": "credentials of pods",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "metadata of Oracle",
    "192.0.2.1": "documentation",
    "192.31.196.1": "AS112",
    "192.52.193.1": "multicast tunnels",
    "192.88.99.1": "relays of 6to4",
    "192.168.1.1": "private",
    "192.175.48.1": "AS112",
    "198.18.0.1": "benchmarks",
    "198.19.255.255": "benchmarks",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "::7f00:1": "compatible with IPv4",
    "::ffff:127.0.0.1": "mapped from IPv4",
    "::ffff:93.184.216.34": "mapped from IPv4, which no name server answers",
    "::ffff:0:127.0.0.1": "translated from IPv4",
    "64:ff9b::127.0.0.1": "NAT64 of loopback",
    "64:ff9b::a9fe:a9fe": "NAT64 of metadata",
    "64:ff9b::10.0.0.1": "NAT64 of private",
    "64:ff9b:1::a00:1": "NAT64 of a site",
    "100::1": "discarded",
    "2001::1": "Teredo",
    "2001:0:53aa:64c:0:fbff:80ff:fffe": "Teredo",
    "2001:2::1": "benchmarks",
    "2001:10::1": "ORCHID",
    "2001:20::1": "ORCHID",
    "2001:db8::1": "documentation",
    "2002:7f00:1::1": "6to4 of loopback",
    "2002:a9fe:a9fe::1": "6to4 of metadata",
    "2002:5db8:d822::1": "6to4 of a public address",
    "2620:4f:8000::1": "AS112",
    "3ffe::1": "the first test network",
    "3fff::1": "documentation",
    "4000::1": "given to nobody",
    "5f00::1": "SRv6",
    "fc00::1": "unique local",
    "fd00:ec2::254": "metadata",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
}


class Names(AbstractResolver):
    """A name server that gives its answers one after the other, and repeats the last one."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in answer
        ]

    async def close(self) -> None: ...


def refused(policy: EgressPolicy, url: str) -> ClientCertError:
    with pytest.raises(ClientCertError) as caught:
        policy.check(url)
    assert caught.value.reason is Reason.ENDPOINT_NOT_ALLOWED
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.example.com",
        "https://s3.example.com/",
        "https://s3.example.com.:8443/a/b?c=%20#d",
        "HTTPS://S3.EXAMPLE.COM",
        f"https://{PUBLIC_V4}",
        f"https://[{PUBLIC_V6}]:9000",
        "https://[64:ff9b::93.184.216.34]",
        "https://xn--bcher-kva.example/hook",
    ],
)
def test_a_public_host_over_https_needs_no_setting(url: str) -> None:
    """A host that looks public is allowed over https without a setting."""
    EgressPolicy().check(url)


@pytest.mark.parametrize("address", [each for each in SPECIAL_ADDRESSES if "%" not in each])
def test_a_special_address_in_a_url_is_refused(address: str) -> None:
    """A literal address that is not public is refused; the error names the setting."""
    host = f"[{address}]" if ":" in address else address
    assert "CLIENTCERT_ALLOWED_HOSTS" in refused(EgressPolicy(), f"https://{host}/").message


@pytest.mark.parametrize("address", SPECIAL_ADDRESSES)
async def test_a_name_with_a_special_address_is_refused(address: str) -> None:
    """A name is refused if any of its addresses is special, even after public ones."""
    names = Names([PUBLIC_V4, PUBLIC_V6, address])
    with pytest.raises(ClientCertError) as caught:
        await EgressPolicy(lookup=names).resolve("innocent.example", 443)
    assert caught.value.reason is Reason.ENDPOINT_NOT_ALLOWED
    assert address not in caught.value.message


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0X7F.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "127.0.0.01",
        "1.2.3.4.5",
        "example.com.1",
        "93.184.216.034",
        "0x",
        "127。0。0。1",
        "\uff11\uff12\uff17.0.0.1",
        "①②⑦.0.0.1",
        "%31%32%37.0.0.1",
        "127%2e0%2e0%2e1",
        "[::ffff:7f00:1]",
        "[::ffff:0x7f.1]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[127.0.0.1]",
        "[]",
        "[v1.127]",
    ],
)
def test_an_address_in_disguise_is_refused(host: str) -> None:
    """Short, octal, hexadecimal, decimal, encoded and look-alike notations are refused."""
    refused(EgressPolicy(), f"https://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3.example.com",
        "//s3.example.com",
        "ftp://s3.example.com",
        "file:///etc/passwd",
        "https:s3.example.com",
        "https:///s3.example.com",
        "https://",
        "https://:443",
        "https://s3.example.com:0",
        "https://s3.example.com:65536",
        "https://s3.example.com:",
        "https://s3.example.com:443:443",
        "https://s3..example.com",
        "https://.example.com",
        "https://s3.example.com\\.evil.example",
        "https://s3.example.com\\@127.0.0.1/",
        "https://s3.example.com\t/",
        "https://s3.example.com\r\nHost: x",
        " https://s3.example.com",
        "https://s3.example.com /",
        "https://s3.example.com/ü",
        "https://" + "a." * 127 + "example",
        "https://" + "a" * 64 + ".example",
    ],
)
def test_ambiguous_urls_are_refused(url: str) -> None:
    """A URL that is not plainly scheme, host, port and path is refused, so that no parser finds another host in it."""
    refused(EgressPolicy({"s3.example.com"}), url)


@pytest.mark.parametrize("url", ["https://user:hunter2@s3.example.com/", "https://hunter2@s3.example.com"])
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    """A user name or password in a URL is refused, even for a listed host, and is not in the error."""
    error = refused(EgressPolicy({"s3.example.com"}), url)
    assert "hunter2" not in str(error)
    assert "hunter2" not in repr(error)


def test_the_rest_of_a_url_is_not_repeated() -> None:
    """A webhook's path is a secret: the error names host and port only."""
    assert refused(EgressPolicy(), "https://10.0.0.7/hooks/hunter2?key=hunter2").message == (
        "10.0.0.7:443 has no public address: add it to CLIENTCERT_ALLOWED_HOSTS in the operator's settings, "
        "or name a public host."
    )


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "minio",
        "minio.storage.svc",
        "kubernetes.default.svc.cluster.local",
        "metadata.google.internal",
        "printer.local",
    ],
)
def test_names_of_the_cluster_and_the_machine_are_refused(host: str) -> None:
    """Names with a local meaning are refused before they are resolved."""
    refused(EgressPolicy(), f"https://{host}")


async def test_a_foreign_name_is_never_tried_below_the_clusters_domains() -> None:
    """A name that is not listed is resolved as an absolute name, not in the search domains of the pod."""
    names = Names([PUBLIC_V4])
    found = await EgressPolicy(lookup=names).resolve("payments.team", 443)
    assert names.asked == ["payments.team."]
    assert [each["hostname"] for each in found] == ["payments.team"]


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("minio", "http://minio:9000"),
        ("minio.storage", "https://MINIO.storage."),
        ("minio.storage:9000", "http://minio.storage:9000/"),
        (" minio.storage:80 ", "http://minio.storage"),
        ("10.0.0.7", "https://10.0.0.7:9000"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("[::1]", "http://[0:0::1]:9000"),
        ("fd00::7", "http://[fd00:0::7]:1"),
    ],
)
def test_a_listed_host_may_be_anything(entry: str, url: str) -> None:
    """A host in the operator's settings may be private and may use http; an entry without port is for any port."""
    policy = EgressPolicy({entry})
    policy.check(url)
    assert policy.lists(url)


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("minio.storage:9000", "http://minio.storage:9001"),
        ("minio.storage:9000", "http://minio.storage"),
        ("minio.storage", "http://minio.storage.evil.example"),
        ("minio.storage", "http://evil-minio.storage"),
        ("storage", "http://minio.storage"),
        ("10.0.0.7", "http://10.0.0.70"),
        ("10.0.0.7", "http://[::ffff:10.0.0.7]"),
        ("s3.example.com:9000", "http://s3.example.com"),
    ],
)
def test_an_entry_is_one_host_and_not_a_pattern(entry: str, url: str) -> None:
    """An entry lists exactly its host and port: no suffix, no prefix, no other port."""
    policy = EgressPolicy({entry})
    refused(policy, url)
    assert not policy.lists(url)


@pytest.mark.parametrize("url", ["http://s3.example.com", f"http://{PUBLIC_V4}:80"])
def test_plain_http_is_for_listed_hosts(url: str) -> None:
    """A public host that is not listed is called over https only."""
    assert "use https" in refused(EgressPolicy(), url).message


@pytest.mark.parametrize(
    "entry", ["", "https://minio", "minio:0", "minio:x", "min io", "user@minio", "*.storage", "127.1"]
)
def test_a_setting_that_is_no_host_ends_the_start(entry: str) -> None:
    """An entry that could never match is an error of the settings; the error names it."""
    with pytest.raises(SettingsError, match="CLIENTCERT_ALLOWED_HOSTS"):
        EgressPolicy({entry})


async def test_a_listed_name_is_looked_up_as_the_system_does() -> None:
    """A listed name may be short and may have a private address: the cluster's search domains apply to it."""
    names = Names(["10.0.0.7"])
    found = await EgressPolicy({"minio:9000"}, names).resolve("minio", 9000)
    assert names.asked == ["minio"]
    assert [each["host"] for each in found] == ["10.0.0.7"]


async def test_a_wider_policy_leaves_the_first_as_it_was() -> None:
    """Hosts of the operator's own are allowed for one client only."""
    names = Names(["10.0.0.7"])
    policy = EgressPolicy({"minio"}, names)
    wider = policy.also_allowing("s3.eu-west-2.amazonaws.com:443")
    assert await wider.resolve("s3.eu-west-2.amazonaws.com", 443)
    assert wider.lists("http://minio")
    with pytest.raises(ClientCertError):
        await policy.resolve("s3.eu-west-2.amazonaws.com", 443)


async def test_the_checked_address_is_the_one_connected_to() -> None:
    """A name is resolved once for a connection; a later answer with loopback has no effect."""
    names = Names([PUBLIC_V4], ["127.0.0.1"])
    policy = EgressPolicy(lookup=names)
    connected: list[str] = []

    def connect(address: tuple[object, ...]) -> socket.socket:
        connected.append(str(address[4][0]))  # type: ignore[index]
        raise OSError("this test connects to nobody")

    connector = aiohttp.TCPConnector(resolver=policy.resolver(), socket_factory=connect)  # type: ignore[arg-type]
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get("https://rebinding.example/")
    assert connected == [PUBLIC_V4]
    assert names.asked == ["rebinding.example."]


async def test_a_name_that_turns_private_is_refused_when_it_is_asked_again() -> None:
    """Every new look-up is checked anew."""
    policy = EgressPolicy(lookup=Names([PUBLIC_V4], ["169.254.169.254"]))
    await policy.resolve("rebinding.example", 443)
    with pytest.raises(ClientCertError):
        await policy.resolve("rebinding.example", 443)


async def test_a_name_without_address_is_no_refusal() -> None:
    """A name that does not exist is an error of the network or a typing error, not a refusal."""
    with pytest.raises(OSError, match=r"."):
        await EgressPolicy().resolve("no-such-host.invalid", 443)


@pytest.fixture
def answers() -> dict[str, web.Response]:
    return {}


@pytest.fixture
async def server(answers: dict[str, web.Response]) -> AsyncIterator[TestServer]:
    async def answer(request: web.Request) -> web.Response:
        return answers.get(request.path) or web.Response(text="reached", headers={"Set-Cookie": "tenant=a"})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as running:
        yield running


async def test_a_session_checks_every_url(server: TestServer) -> None:
    """A session of the policy refuses literal addresses too, which aiohttp does not resolve."""
    async with EgressPolicy().session(timeout=TIMEOUT) as session:
        with pytest.raises(ClientCertError) as caught:
            await session.get(server.make_url("/"))
    assert caught.value.reason is Reason.ENDPOINT_NOT_ALLOWED


async def test_a_session_reaches_listed_hosts(server: TestServer) -> None:
    """A session of the policy works normally for allowed hosts, by address and by name, and keeps no cookies."""
    async with EgressPolicy({"127.0.0.1", "localhost"}).session(timeout=TIMEOUT) as session:
        for host in ("127.0.0.1", "localhost"):
            async with session.get(server.make_url("/").with_host(host)) as response:
                assert await response.text() == "reached"
        assert len(session.cookie_jar) == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_refused(server: TestServer, answers: dict[str, web.Response], status: int) -> None:
    """No redirect is followed, not even to an allowed host."""
    answers["/old"] = web.Response(status=status, headers={"Location": "/new"})
    async with EgressPolicy({"127.0.0.1"}).session(timeout=TIMEOUT) as session:
        with pytest.raises(ClientCertError, match="redirect") as caught:
            await session.get(server.make_url("/old"))
    assert caught.value.reason is Reason.ENDPOINT_NOT_ALLOWED


async def test_proxy_variables_are_not_read(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and similar variables have no effect."""
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    session = EgressPolicy({"127.0.0.1"}).session(timeout=TIMEOUT)
    async with session, session.get(server.make_url("/")) as response:
        assert response.status == 200


async def test_a_refusal_comes_out_of_aiohttp_as_it_is() -> None:
    """A refusal of the resolver is raised by the request itself, not as a network error."""
    policy = EgressPolicy(lookup=Names(["10.0.0.7"]))
    async with policy.session(timeout=TIMEOUT) as session:
        results = await asyncio.gather(
            *(session.get("https://inside.example/") for _ in range(3)), return_exceptions=True
        )
    assert [getattr(each, "reason", None) for each in results] == [Reason.ENDPOINT_NOT_ALLOWED] * 3


def test_a_refusal_is_found_inside_other_errors() -> None:
    """A library may wrap the refusal: it is found behind a cause or a context, and nothing else is."""
    refusal = refused(EgressPolicy(), "https://localhost")
    caused, handled = OSError("wrapped"), ValueError("wrapped again")
    caused.__cause__ = refusal
    handled.__context__ = caused
    assert refusal_in(handled) is refusal
    assert refusal_in(DeliveryError(Reason.CHANNEL_UNAVAILABLE, "another")) is None
    handled.__context__ = handled.__cause__ = handled
    assert refusal_in(handled) is None


class SilentNames(AbstractResolver):
    """A name server that answers for the domain `quick.example` only."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = asyncio.Event()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if "quick.example" not in host:
            await self.answers.wait()
        return [ResolveResult(hostname=host, host="93.184.216.34", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """There is nothing to close."""


async def resolve_for(policy: EgressPolicy, namespace: str, host: str) -> None:
    served_namespace.set(namespace)
    await policy.resolve(host, 443)


async def test_names_that_are_never_answered_delay_no_other_namespace() -> None:
    """Two namespaces name a hundred of them; a thread has a look-up until it ends, even if its caller gives up."""
    names = SilentNames()
    policy = EgressPolicy(lookup=names)
    flood = [
        asyncio.create_task(resolve_for(policy, f"hostile-{number % 2}", f"a{number}.example")) for number in range(100)
    ]
    await asyncio.sleep(1)
    assert 8 <= len(names.asked) < 16
    began = len(names.asked)
    for task in flood[:60]:
        task.cancel()
    await asyncio.sleep(1)
    assert len(names.asked) == began  # those that were cancelled hold their threads still
    async with asyncio.timeout(1):
        await resolve_for(policy, "victim", "www.quick.example")
    assert policy.foreign_lookups.waiting == 40
    names.answers.set()
    await asyncio.gather(*flood, return_exceptions=True)
    assert len(names.asked) < 70  # the look-ups that had not begun were never made
    assert policy.foreign_lookups.waiting == 0
    async with asyncio.timeout(1):
        await asyncio.gather(*(resolve_for(policy, "hostile-0", f"www{n}.quick.example") for n in range(50)))
