"""The peer of a cold start: an aiohttp client that makes only the API calls that are indispensable.

    python -m bench.bare_client KUBECONFIG SAMPLE

It LISTs all ClientCertificates and the metadata of all Secrets, in pages of the operator's sizes. For each certificate
it GETs the Secret, as the API server has it in memory, and merges a status into the object's with its resourceVersion;
beside the first of them it creates an Event. SAMPLE is a JSON file: `status`, `event`, the number of `events`, and
`watches`. It reads no certificate, decides nothing and keeps nothing. If `watches` is true it also holds the operator's
watches, of all Secrets and of all ClientCertificates, and drops what they send: no operator can be without them.
"""

import asyncio
import base64
import json
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml

CONNECTIONS = 64
_PAGE, _METADATA_PAGE = "200", "500"
_METADATA_ONLY_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_WATCHES = 2
_SECRETS = "/api/v1/secrets"
_CERTIFICATES = "/apis/clientcert.dev/v1alpha1/clientcertificates"
_NAMESPACED = "/apis/clientcert.dev/v1alpha1/namespaces"


@dataclass(slots=True)
class Page:
    """One page of a LIST."""

    items: list[dict[str, Any]]
    version: str


async def main(kubeconfig: Path, sample: Path) -> None:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    asked = json.loads(sample.read_text())
    async with aiohttp.ClientSession(
        base_url=cluster["server"],
        headers={"Authorization": f"Bearer {user['token']}"},
        connector=aiohttp.TCPConnector(ssl=tls_context(cluster), limit=CONNECTIONS + _WATCHES),
    ) as session:
        version = listed = ""
        async for page in pages(session, _SECRETS, _METADATA_ONLY_LIST, _METADATA_PAGE):
            version = page.version
        found: list[tuple[dict[str, Any], str]] = []
        async for page in pages(session, _CERTIFICATES, "application/json", _PAGE):
            listed = page.version
            found += [(item["metadata"], item["spec"]["source"]["secret"]["name"]) for item in page.items]
        waiting = enumerate(found)
        watched = ((_SECRETS, version, _METADATA_ONLY), (_CERTIFICATES, listed, "application/json"))
        watches = [asyncio.create_task(_watch(session, *each)) for each in watched if asked["watches"]]

        async def worker() -> None:
            for number, (metadata, secret) in waiting:
                await _get_secret(session, metadata["namespace"], secret, version)
                if number < asked["events"]:
                    await _create_event(session, metadata, asked["event"])
                await _patch_status(session, metadata, asked["status"])

        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
        if ended := [watch for watch in watches if watch.done()]:
            raise RuntimeError(f"the server has ended {len(ended)} watches")
        for watch in watches:
            watch.cancel()


async def _watch(session: aiohttp.ClientSession, path: str, version: str, accept: str) -> None:
    query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
    timeout = aiohttp.ClientTimeout(total=None)
    async with session.get(path, params=query, headers={"Accept": accept}, timeout=timeout) as response:
        response.raise_for_status()
        async for _ in response.content.iter_any():
            pass


async def pages(session: aiohttp.ClientSession, path: str, accept: str, size: str) -> AsyncIterator[Page]:
    query = {"limit": size}
    while True:
        async with session.get(path, params=query, headers={"Accept": accept}) as response:
            response.raise_for_status()
            page = msgspec.json.decode(await response.read())
        yield Page(page["items"], page["metadata"]["resourceVersion"])
        if not page["metadata"].get("continue"):
            return
        query["continue"] = page["metadata"]["continue"]


async def _get_secret(session: aiohttp.ClientSession, namespace: str, name: str, version: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
    async with session.get(path, params={"resourceVersion": version}) as response:
        response.raise_for_status()
        msgspec.json.decode(await response.read())


async def _patch_status(session: aiohttp.ClientSession, metadata: dict[str, Any], status: dict[str, Any]) -> None:
    path = f"{_NAMESPACED}/{metadata['namespace']}/clientcertificates/{metadata['name']}/status"
    body = msgspec.json.encode({"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": status})
    headers = {"Content-Type": "application/merge-patch+json", "Accept": _METADATA_ONLY}
    async with session.patch(path, data=body, headers=headers) as response:
        response.raise_for_status()
        msgspec.json.decode(await response.read())


async def _create_event(session: aiohttp.ClientSession, metadata: dict[str, Any], event: dict[str, Any]) -> None:
    name, namespace = metadata["name"], metadata["namespace"]
    about = {**event["involvedObject"], "name": name, "namespace": namespace, "uid": metadata["uid"]}
    event = {**event, "metadata": {"name": f"{name}.bare", "namespace": namespace}, "involvedObject": about}
    headers = {"Content-Type": "application/json"}
    async with session.post(
        f"/api/v1/namespaces/{namespace}/events", data=msgspec.json.encode(event), headers=headers
    ) as made:
        made.raise_for_status()
        msgspec.json.decode(await made.read())


def tls_context(cluster: dict[str, str]) -> ssl.SSLContext:
    if "certificate-authority" in cluster:
        return ssl.create_default_context(cafile=cluster["certificate-authority"])
    return ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
