"""The ConfigMaps of one CA: the lists with the entries that they are made from, and the CRL."""

import asyncio
from datetime import datetime

from clientcert.errors import IssuerError, KubeError, Reason
from clientcert.kube.config_maps import Files, Found, OwnedConfigMaps
from clientcert.lifecycle.renewal.revocation_entries import dump_entries, load_entries
from clientcert.lifecycle.renewal.revocation_lists import Part, gateway_lists

_ROLE = "clientcert-write-revocation-lists"
_ENTRIES = "entries"
_MOST_PARTS = 100
_GAP = 2
"""After so many that are missing, one after the other, no more are looked for."""
_LONGEST_NAME = 253


class ListFiles:
    """Reads and writes them. Every method raises IssuerError, and KubeError of an outage."""

    def __init__(self, config_maps: OwnedConfigMaps, role: str = _ROLE) -> None:
        """`role` is what a namespace binds to the operator, to have its lists written."""
        self._config_maps = config_maps
        self._role = role

    async def read_parts(self, namespace: str, name: str) -> list[Found | None]:
        """The ConfigMaps with the lists, in their order; None for one that is missing before others."""
        found: list[Found | None] = []
        missing = 0
        while missing < _GAP and len(found) < _MOST_PARTS:
            each = await self.read(namespace, part_name(name, len(found) + 1))
            missing = missing + 1 if each is None else 0
            found.append(each)
        while found and found[-1] is None:
            found.pop()
        return found

    async def write_parts(
        self, namespace: str, name: str, before: list[Found | None], parts: tuple[Part, ...], now: datetime
    ) -> None:
        """Bring the lists to these entries."""
        for number, part in enumerate(parts, start=1):
            files = await asyncio.to_thread(_files, part, now)
            each = before[number - 1] if number <= len(before) else None
            await self.write(namespace, part_name(name, number), each, files)

    async def read(self, namespace: str, name: str) -> Found | None:
        """One ConfigMap; None if it does not exist."""
        if len(name) > _LONGEST_NAME:
            words = f"a ConfigMap cannot be named {name}: give the CA's Secret or issuer a shorter name"
            raise IssuerError(Reason.WRITE_NOT_ALLOWED, words)
        try:
            return await self._config_maps.read(namespace, name)
        except KubeError as error:
            if error.retryable:
                raise
            raise IssuerError(Reason.WRITE_NOT_ALLOWED, self._forbidden("read", namespace, name)) from None

    async def write(self, namespace: str, name: str, before: Found | None, files: Files) -> None:
        """Bring a ConfigMap to this content, if it is ours or does not exist yet."""
        if before is not None and not before.is_ours:
            words = (
                f"ConfigMap {name} in namespace {namespace} is not the operator's, so it is left alone: delete it, or"
                " give the CA's Secret or issuer another name"
            )
            raise IssuerError(Reason.WRITE_NOT_ALLOWED, words)
        try:
            await self._config_maps.write(namespace, name, before, files)
        except KubeError as error:
            if error.retryable:
                raise
            if error.reason is Reason.OBSERVE_ONLY:
                raise IssuerError(error.reason, error.message) from None
            raise IssuerError(Reason.WRITE_NOT_ALLOWED, self._refusal(namespace, name, error)) from None

    def _refusal(self, namespace: str, name: str, error: KubeError) -> str:
        if error.reason is not Reason.FORBIDDEN:
            return f"the API server refuses ConfigMap {name} in namespace {namespace}: delete it, and it is made again"
        if "exceeded quota" in error.message:
            return f"the quota of namespace {namespace} leaves no room for ConfigMap {name}: raise it"
        return self._forbidden("write", namespace, name)

    def _forbidden(self, verb: str, namespace: str, name: str) -> str:
        return (
            f"the operator may not {verb} ConfigMap {name}: bind the role {self._role} to it in namespace {namespace}"
        )


def kept_entries(found: list[Found | None]) -> tuple[Part, ...]:
    """The entries of each ConfigMap that is ours, in their order. Blocking."""
    return tuple(load_entries(each.files.binary.get(_ENTRIES, b"")) if each and each.is_ours else () for each in found)


def part_name(name: str, number: int) -> str:
    """The name of the ConfigMap with this part of the list."""
    return f"{name}-revocations" if number == 1 else f"{name}-revocations-{number}"


def _files(part: Part, now: datetime) -> Files:
    return Files(gateway_lists(part, now), {_ENTRIES: dump_entries(part)})
