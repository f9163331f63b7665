"""One namespace floods the operator, with all that a tenant may write there; another has an alert that is due.

The operator serves all namespaces and has 512 Mi. The flood must not take it above 300 MB, and the alert of the other
namespace must come in time (docs/security.md has the figures).
"""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.control_plane.waiting import until
from tests.faults.hostile import MIB, Hostile, large, peak_mb, serving
from tests.faults.scenario import World, row
from tests.scenarios import (
    Manifest,
    certificate_policy,
    certificate_store,
    client_certificate,
    in_secret,
    in_store,
    secret,
    slack_channel,
    store_credentials,
)
from tools.control_plane.process import ChildProcess

MOST_MB = 300
ALERTED_WITHIN = 60.0
OVER_WITHIN = 120.0
CREDENTIALS = store_credentials("s3", "AKIAHOSTILE", "secret")
PAGE = 8 * MIB


def named(kind: str, count: int) -> list[str]:
    return [f"{kind}-{number}" for number in range(count)]


def the_victim_is_alerted(world: World, record_property, is_over: Callable[[], bool] = lambda: True) -> None:
    """Its certificate is handed out during the flood; the peak is read when the flood is over."""
    began = time.monotonic()
    world.hand_out("victim", days=14)
    world.is_fixed()
    world.all_is_delivered(within=ALERTED_WITHIN)
    seconds = time.monotonic() - began
    until(is_over, seconds=OVER_WITHIN)
    peak = peak_mb(world.operator)
    record_property("peak", peak)
    print(f"{peak} MB at most, the alert after {seconds:.1f} s")
    assert peak <= MOST_MB
    assert world.operator.process.process.returncode is None


@pytest.mark.slow
@row(25, "flood: 80 Secrets with 0.9 MB of finalizers that nobody names; events about them")
def test_secrets_that_nobody_names(world: World, hostile: Hostile, record_property) -> None:
    """Only metadata is listed, but metadata can be large, too."""
    hostile.creates(large(secret(name, a="b")) for name in named("s", 80))
    world.operator_starts(everywhere=True, launch=ChildProcess.start)
    hostile.touches(10)
    the_victim_is_alerted(world, record_property)


@pytest.mark.slow
@row(25, "flood: 60 ClientCertificates of 0.9 MB; events about them")
def test_large_certificates(world: World, hostile: Hostile, record_property) -> None:
    hostile.creates(large(client_certificate(name)) for name in named("c", 60))
    world.operator_starts(everywhere=True, launch=ChildProcess.start)
    hostile.touches(10)
    the_victim_is_alerted(world, record_property, lambda: hostile.judged == 60)


@pytest.mark.slow
@row(25, "flood: 40 policies and 40 stores of 0.9 MB; events about them")
def test_large_policies_and_stores(world: World, hostile: Hostile, record_property) -> None:
    hostile.creates([CREDENTIALS])
    hostile.creates(large(certificate_policy(name)) for name in named("p", 40))
    hostile.creates(
        large(certificate_store(name, "a-bucket", "http://127.0.0.1:9", "s3")) for name in named("store", 40)
    )
    world.operator_starts(everywhere=True, launch=ChildProcess.start)
    hostile.touches(10)
    the_victim_is_alerted(world, record_property)


@pytest.mark.slow
@row(15, "flood: 70 stores whose server keeps back the last byte of a page of 8 MiB")
def test_pages_without_their_last_byte(world: World, hostile: Hostile, record_property) -> None:
    page = b"<ListBucketResult>" + b" " * (PAGE - 20)
    stalled: list[socket.socket] = []

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % PAGE + page)
        stalled.append(connection)
        connection.recv(1)  # until the operator gives up

    with serving(answer) as endpoint:
        hostile.creates([CREDENTIALS])
        hostile.creates(certificate_store(name, "a-bucket", endpoint, "s3") for name in named("store", 70))
        world.operator_starts(everywhere=True, launch=ChildProcess.start)
        until(lambda: len(stalled), lambda count: count >= 2)
        the_victim_is_alerted(world, record_property, lambda: len(stalled) >= 5)


@pytest.mark.slow
@row(15, "flood: 70 stores whose pages have 8 MiB of objects, and never end")
def test_pages_full_of_objects(world: World, hostile: Hostile, record_property) -> None:
    item = b"<Contents><Key>a</Key></Contents>"
    start = b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>"
    served: list[int] = []

    def answer(connection: socket.socket) -> None:
        served.append(1)
        head = start % len(served)
        body = head + item * ((PAGE - len(head) - 30) // len(item)) + b"</ListBucketResult>"
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with serving(answer) as endpoint:
        hostile.creates([CREDENTIALS])
        hostile.creates(certificate_store(name, "a-bucket", endpoint, "s3") for name in named("store", 70))
        world.operator_starts(everywhere=True, launch=ChildProcess.start)
        until(lambda: len(served), lambda count: count >= 8)
        the_victim_is_alerted(world, record_property, lambda: len(served) >= 60)


@pytest.mark.slow
@row(15, "flood: objects of 1 MiB in 70 stores, two certificates for each")
def test_large_objects_in_many_stores(world: World, hostile: Hostile, record_property) -> None:
    """Each store has a server of its own, too, for what it knows."""
    junk = os.urandom(MIB)

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: %d\r\n\r\n" % len(junk) + junk)
        connection.recv(1)

    with serving(answer) as endpoint:
        hostile.creates([CREDENTIALS])
        hostile.creates(certificate_store(name, "a-bucket", endpoint, "s3") for name in named("store", 70))
        hostile.creates(
            client_certificate(f"{name}-{number}", source=in_store(name, f"{number}.pem"))
            for name in named("store", 70)
            for number in range(2)
        )
        world.operator_starts(everywhere=True, launch=ChildProcess.start)
        the_victim_is_alerted(world, record_property, lambda: hostile.judged == 140)


@pytest.mark.slow
@row(15, "flood: 300 stores that answer; a client of S3 takes a third of a MiB")
def test_many_stores(world: World, hostile: Hostile, record_property) -> None:
    served: list[int] = []

    def answer(connection: socket.socket) -> None:
        served.append(1)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n<ListBucketResult/>")
        connection.recv(1)

    with serving(answer) as endpoint:
        hostile.creates([CREDENTIALS])
        hostile.creates(certificate_store(name, "a-bucket", endpoint, "s3") for name in named("store", 300))
        world.operator_starts(everywhere=True, launch=ChildProcess.start)
        the_victim_is_alerted(world, record_property, lambda: len(served) >= 300)


@pytest.mark.slow
@row(25, "flood: 200 certificates that name 20 Secrets of 1 MiB")
def test_large_secrets_that_are_named(world: World, hostile: Hostile, record_property) -> None:
    issued = world.issue("somebody", days=100).certificate_pem
    content = {"tls_crt": issued * (700_000 // len(issued)), "more": b"x" * 200_000}
    hostile.creates(secret(name, **content) for name in named("s", 20))
    hostile.creates(client_certificate(f"c-{number}", source=in_secret(f"s-{number % 20}")) for number in range(200))
    world.operator_starts(everywhere=True, launch=ChildProcess.start)
    the_victim_is_alerted(world, record_property, lambda: hostile.judged == 200)


@pytest.mark.slow
@row(25, "flood: 60 containers of 1 MiB with many certificates")
def test_large_containers(world: World, hostile: Hostile, record_property) -> None:
    issued = world.issue("somebody", days=100)
    container = replace(issued, authorities=issued.authorities * 1700).pkcs12("correct horse")
    assert 500_000 < len(container) < 750_000
    hostile.creates([secret("password", password="correct horse")])
    hostile.creates(secret(name, client_p12=container) for name in named("s", 60))
    password = {"name": "password", "key": "password"}
    hostile.creates(client_certificate(name, source=in_secret(name, "client.p12", password)) for name in named("s", 60))
    world.operator_starts(everywhere=True, launch=ChildProcess.start)
    the_victim_is_alerted(world, record_property, lambda: hostile.judged >= 20)


@pytest.mark.slow
@row(25, "flood: 40 client lists of 1 MiB, and a certificate for each")
def test_large_client_lists(world: World, hostile: Hostile, record_property) -> None:
    def client_list(name: str) -> Manifest:
        content = {f"{name}-{number}": "technical: {email: somebody@nhs.example}" for number in range(9_000)}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": content}

    def policy(name: str) -> Manifest:
        manifest = certificate_policy(name, slack_channel("team", "#team", "slack"))
        manifest["spec"]["contacts"] = {"directoryRef": {"name": name}}
        return manifest

    issued = world.issue("somebody", days=100).certificate_pem
    hostile.creates(client_list(name) for name in named("list", 40))
    hostile.creates(policy(name) for name in named("list", 40))
    hostile.creates(secret(f"{name}-cert", tls_crt=issued) for name in named("list", 40))
    hostile.creates(
        client_certificate(name, policyRef={"name": name}, contact={"lookup": ["Directory"]})
        for name in named("list", 40)
    )
    world.operator_starts(everywhere=True, launch=ChildProcess.start)
    the_victim_is_alerted(world, record_property, lambda: hostile.judged == 40)
