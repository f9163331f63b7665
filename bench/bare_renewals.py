"""The peer of a renewal: a client that makes only the calls that are indispensable, with as many at once.

    python -m bench.bare_renewals KUBECONFIG SAMPLE

It watches all CertificateRenewals. For each it gets the Secrets of the CAs and the source, writes the statuses of
SAMPLE one after the other, sends the mail, puts the certificate and the CSR into the bucket, reads the source again and
writes the status of the ClientCertificate. SAMPLE is a JSON file (`bench/renewal_sample.py`) with the contents and the
number of each. It reads no certificate, checks nothing, signs nothing and keeps nothing.
"""

import asyncio
import hashlib
import hmac
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
import uvloop
import yaml
from aiosmtplib import SMTP

from bench.bare_client import pages, tls_context

CONNECTIONS = 64
_AT_ONCE = 16
"""The renewals that the operator works on at once. With 64, on a core that it shares with all servers, the API server's
own watch of etcd was six minutes late, until etcd had compacted what it was to send.
"""
_RENEWALS = "/apis/clientcert.dev/v1alpha1/certificaterenewals"
_CERTIFICATES = "/apis/clientcert.dev/v1alpha1/clientcertificates"
_NAMESPACED = "/apis/clientcert.dev/v1alpha1/namespaces"
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_LONGEST_LINE = 4 * 1024 * 1024
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(slots=True)
class _S3:
    """Signature version 4 with one key, and no library."""

    session: aiohttp.ClientSession
    sample: dict[str, Any]
    _key: bytes = b""
    _day: str = ""

    async def call(self, method: str, key: str, body: bytes = b"", **headers: str) -> str:
        """Make one request, read the answer, and return its ETag. A 404 is an answer, too."""
        path = f"/{self.sample['bucket']}/{quote(key)}"
        async with self.session.request(
            method, self.sample["endpoint"] + path, data=body or None, headers=self._signed(method, path, body, headers)
        ) as answer:
            await answer.read()
            if answer.status not in (200, 404):
                answer.raise_for_status()
            return answer.headers.get("ETag", "")

    def _signed(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        content = hashlib.sha256(body).hexdigest() if body else _EMPTY
        host = urlsplit(self.sample["endpoint"]).netloc
        names = "host;x-amz-content-sha256;x-amz-date"
        canonical = (
            f"{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{content}\nx-amz-date:{now}\n\n{names}\n{content}"
        )
        scope = f"{now[:8]}/{self.sample['region']}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        if self._day != now[:8]:
            self._day, self._key = now[:8], self._signing_key(now[:8])
        signature = hmac.new(self._key, text.encode(), "sha256").hexdigest()
        credential = f"Credential={self.sample['accessKey']}/{scope}"
        authorization = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        return {"x-amz-date": now, "x-amz-content-sha256": content, "Authorization": authorization, **headers}

    def _signing_key(self, day: str) -> bytes:
        key = f"AWS4{self.sample['secretKey']}".encode()
        for part in (day, self.sample["region"], "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        return key


@dataclass(slots=True)
class _Renewals:
    """All calls about one request."""

    session: aiohttp.ClientSession
    s3: _S3
    sample: dict[str, Any]
    certificates: dict[tuple[str, str], str]
    """The resourceVersion of each ClientCertificate."""

    async def renew(self, metadata: dict[str, Any], certificate: str) -> None:
        sample, namespace, version = self.sample, metadata["namespace"], metadata["resourceVersion"]
        source, csr = f"{certificate}/client.pem", f"{certificate}/client.csr"
        for name in sample["secrets"]:
            await self._get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        path = f"{_NAMESPACED}/{namespace}/certificaterenewals/{metadata['name']}/status"
        for _ in range(sample["sourceReads"] - 2):
            await self.s3.call("GET", source)
        *early, late = sample["statuses"]
        for status in early:
            version = await self._patch(path, version, status)
        for _ in range(sample["mails"]):
            await self._mail()
        etag = await self.s3.call("GET", source)
        await self.s3.call("PUT", source, sample["certificate"].encode(), **{"If-Match": etag})
        await self.s3.call("GET", csr)
        await self.s3.call("PUT", csr, sample["csr"].encode(), **{"If-None-Match": "*"})
        await self._patch(path, version, late)
        await self.s3.call("GET", source)
        path = f"{_NAMESPACED}/{namespace}/clientcertificates/{certificate}/status"
        version = self.certificates[namespace, certificate]
        for status in sample["certificateStatuses"]:
            version = await self._patch(path, version, status)
        for event in sample["events"]:
            await self._event(namespace, certificate, event)

    async def _get(self, path: str) -> None:
        async with self.session.get(path, params={"resourceVersion": "0"}) as response:
            response.raise_for_status()
            msgspec.json.decode(await response.read())

    async def _patch(self, path: str, version: str, status: dict[str, Any]) -> str:
        body = msgspec.json.encode({"metadata": {"resourceVersion": version}, "status": status})
        headers = {"Content-Type": "application/merge-patch+json", "Accept": _METADATA_ONLY}
        async with self.session.patch(path, data=body, headers=headers) as response:
            response.raise_for_status()
            return str(msgspec.json.decode(await response.read())["metadata"]["resourceVersion"])

    async def _event(self, namespace: str, certificate: str, event: dict[str, Any]) -> None:
        about = {**event["involvedObject"], "name": certificate, "namespace": namespace}
        name = f"{certificate}.{event['reason'].lower()}.bare"
        body = {**event, "metadata": {"name": name, "namespace": namespace}, "involvedObject": about}
        headers = {"Content-Type": "application/json"}
        content = msgspec.json.encode(body)
        async with self.session.post(f"/api/v1/namespaces/{namespace}/events", data=content, headers=headers) as made:
            if made.status != HTTPStatus.CONFLICT:
                made.raise_for_status()
            await made.read()

    async def _mail(self) -> None:
        smtp = self.sample["smtp"]
        client = SMTP(hostname=smtp["host"], port=smtp["port"], start_tls=False, local_hostname="operator.example")
        async with client:
            await client.sendmail(smtp["from"], [smtp["to"]], smtp["content"])


async def main(kubeconfig: Path, sample_path: Path) -> None:
    config, sample = yaml.safe_load(kubeconfig.read_text()), json.loads(sample_path.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    async with (
        aiohttp.ClientSession(
            base_url=cluster["server"],
            headers={"Authorization": f"Bearer {user['token']}"},
            connector=aiohttp.TCPConnector(ssl=tls_context(cluster), limit=CONNECTIONS + 1),
            read_bufsize=_LONGEST_LINE,
        ) as session,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as buckets,
    ):
        renewals = _Renewals(session, _S3(buckets, sample), sample, await _certificates(session))
        asked: asyncio.Queue[tuple[dict[str, Any], str]] = asyncio.Queue()
        left = sample["count"]

        async def worker() -> None:
            nonlocal left
            while True:
                await renewals.renew(*await asked.get())
                left -= 1
                if not left:
                    raise _Done

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_watch(session, asked))
                for _ in range(_AT_ONCE):
                    group.create_task(worker())
        except* _Done:
            pass


class _Done(Exception):  # noqa: N818 - it is no error
    """All requests are done."""


async def _certificates(session: aiohttp.ClientSession) -> dict[tuple[str, str], str]:
    async with session.get(_CERTIFICATES, headers={"Accept": f"{_METADATA_ONLY}".replace("a;", "aList;")}) as response:
        response.raise_for_status()
        items = msgspec.json.decode(await response.read())["items"]
    found = (each["metadata"] for each in items)
    return {(each["namespace"], each["name"]): each["resourceVersion"] for each in found}


async def _watch(session: aiohttp.ClientSession, asked: "asyncio.Queue[tuple[dict[str, Any], str]]") -> None:
    """Watch from the last version on whenever the server ends the watch, as it does with a client that is slow.

    If that version is too old, all objects are listed.
    """
    seen: set[str] = set()

    def note(found: dict[str, Any]) -> None:
        if found["metadata"]["uid"] not in seen:
            seen.add(found["metadata"]["uid"])
            asked.put_nowait((found["metadata"], found["spec"]["certificateRef"]["name"]))

    version = await _listed(session, note)
    while True:
        async for line in _events(session, version):
            event = msgspec.json.decode(line)
            if event["type"] == "ERROR":
                version = await _listed(session, note)
                break
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] == "ADDED":
                note(event["object"])


async def _listed(session: aiohttp.ClientSession, note: Callable[[dict[str, Any]], None]) -> str:
    """Note all objects; returns the version to watch from."""
    version = ""
    async for page in pages(session, _RENEWALS, "application/json", "200"):
        version = page.version
        for found in page.items:
            note(found)
    return version


async def _events(session: aiohttp.ClientSession, version: str) -> AsyncIterator[bytes]:
    query, timeout = {"watch": "true", "resourceVersion": version}, aiohttp.ClientTimeout(total=None)
    async with session.get(_RENEWALS, params=query, timeout=timeout) as response:
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            await asyncio.sleep(float(response.headers.get("Retry-After", 1)))
            return
        response.raise_for_status()
        print("watching", flush=True)
        async for line in response.content:
            yield line


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
