"""The peer of a cold start: an aiohttp client that does the API calls which cannot be left out, and nothing else.

    python -m bench.bare_client KUBECONFIG STATUS

It LISTs all ClientCertificates, LISTs the metadata of all Secrets, and merges STATUS (a JSON file) into each one's
status with its resourceVersion. It reads no certificate, watches nothing, decides nothing and keeps nothing.
"""

import asyncio
import base64
import json
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

CONNECTIONS = 32
_PAGE = "500"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_CERTIFICATES = "/apis/clientcert.dev/v1alpha1/clientcertificates"


async def main(kubeconfig: Path, status: Path) -> None:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    patch = {"metadata": {}, "status": json.loads(status.read_text())}
    async with aiohttp.ClientSession(
        base_url=cluster["server"],
        headers={"Authorization": f"Bearer {user['token']}"},
        connector=aiohttp.TCPConnector(ssl=_tls(cluster), limit=CONNECTIONS),
    ) as session:
        found = [item["metadata"] async for item in _items(session, _CERTIFICATES, "application/json")]
        async for _ in _items(session, "/api/v1/secrets", _METADATA_ONLY):
            pass
        waiting = iter(found)

        async def worker() -> None:
            for metadata in waiting:
                await _patch(session, metadata, patch)

        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))


async def _items(session: aiohttp.ClientSession, path: str, accept: str) -> AsyncIterator[dict[str, Any]]:
    query = {"limit": _PAGE}
    while True:
        async with session.get(path, params=query, headers={"Accept": accept}) as response:
            response.raise_for_status()
            page = orjson.loads(await response.read())
        for item in page["items"]:
            yield item
        if not page["metadata"].get("continue"):
            return
        query["continue"] = page["metadata"]["continue"]


async def _patch(session: aiohttp.ClientSession, metadata: dict[str, Any], patch: dict[str, Any]) -> None:
    path = f"/apis/clientcert.dev/v1alpha1/namespaces/{metadata['namespace']}/clientcertificates/{metadata['name']}"
    body = orjson.dumps({**patch, "metadata": {"resourceVersion": metadata["resourceVersion"]}})
    headers = {"Content-Type": "application/merge-patch+json"}
    async with session.patch(f"{path}/status", data=body, headers=headers) as response:
        response.raise_for_status()
        await response.read()


def _tls(cluster: dict[str, str]) -> ssl.SSLContext:
    if "certificate-authority" in cluster:
        return ssl.create_default_context(cafile=cluster["certificate-authority"])
    return ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
