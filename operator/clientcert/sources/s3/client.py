"""Makes aiobotocore clients that read nothing of their surroundings: no file, no variable, no profile, no proxy.

The one exception is the operator's own identity, which *is* in its surroundings. A session of its own finds it, and
nothing but credentials comes out of that one.
"""

import asyncio
import logging
import os
import ssl
import threading
from functools import cache, partial
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import NoCredentialsError
from botocore.loaders import Loader

from clientcert.loop_budget import LoopBudget
from clientcert.network.egress import EgressPolicy
from clientcert.sources.s3.access import Address, Credentials
from clientcert.sources.s3.errors import Fault, NoAnswerError
from clientcert.sources.s3.page import parse_page
from clientcert.sources.s3.transport import Transport

# At DEBUG botocore logs what it signs and sends, session tokens among it.
for _library in ("botocore", "aiobotocore"):
    logging.getLogger(_library).setLevel(logging.WARNING)

_S3_SETTINGS = {
    "us_east_1_regional_endpoint": "regional",
    "use_accelerate_endpoint": False,
    "use_arn_region": False,
    "use_dualstack_endpoint": False,
}
_IDENTITY_SECONDS = 5.0
_USER_AGENT = "clientcert-operator"


class ClientFactory:
    """What all clients share. Takes 200 ms and 15 MB to make: make it in a thread."""

    def __init__(self) -> None:
        loader = _models()
        self._tls = ssl.create_default_context()
        # A session of botocore makes one client at a time. Who waits, waits in the loop; but a thread whose caller was
        # cancelled goes on.
        self._waiting, self._making = asyncio.Lock(), threading.Lock()
        self._identity = _Identity(loader)
        self._session = _deaf_session(loader)
        self._session_as_operator = _deaf_session(loader)
        self._session_as_operator.register_component("credential_provider", self._identity)
        # The first client loads the models that all others share; this one is never used.
        self._create(Address("warm-up", "us-east-1", "", EgressPolicy()), Credentials("none", "none"), LoopBudget())

    async def create(self, address: Address, credentials: Credentials | None, loop_budget: LoopBudget) -> Any:
        """Make a client; with no credentials, one that has the operator's own identity.

        Raises what botocore raises when it finds no identity.
        """
        if credentials is None:
            await self._identity.find(address.region)
        async with self._waiting:
            return await asyncio.to_thread(self._create, address, credentials, loop_budget)

    def _create(self, address: Address, credentials: Credentials | None, loop_budget: LoopBudget) -> Any:
        config = AioConfig(
            http_session_cls=partial(Transport, address.policy, self._tls, loop_budget),
            signature_version="s3v4",
            s3={**_S3_SETTINGS, "addressing_style": "path" if address.endpoint else "auto"},
            # Other servers than AWS' know no checksums but those that S3 always had.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": 1},  # whoever asked knows better when to ask again
            parameter_validation=False,  # ours are texts; it took a sixth of each GET
            ignore_configured_endpoint_urls=True,
            proxies={},
            user_agent=_USER_AGENT,  # a text of its own is not made anew for each request, either
        )
        keys: dict[str, str | None] = {}
        if credentials is not None:
            keys["aws_access_key_id"] = credentials.access_key_id
            keys["aws_secret_access_key"] = credentials.secret_key
            keys["aws_session_token"] = credentials.session_token
        session = self._session_as_operator if credentials is None else self._session
        opening = session.create_client(
            "s3", region_name=address.region, endpoint_url=address.endpoint or None, config=config, **keys
        )
        # A coroutine that waits for nothing but computes for long: a loop of its own keeps that off the real one.
        with self._making:
            client = asyncio.run(_opened(opening))
        client.meta.events.register("before-parse.s3.ListObjectsV2", _take_page)
        return client


class _Identity:
    """The operator's own: of its ServiceAccount, its pod, its node or its environment, wherever botocore looks."""

    def __init__(self, loader: Loader) -> None:
        self._session = AioSession()
        self._session.register_component("data_loader", loader)
        config = AioConfig(
            proxies={},
            connect_timeout=_IDENTITY_SECONDS,
            read_timeout=_IDENTITY_SECONDS,
            retries={"total_max_attempts": 1},
        )
        self._session.set_default_client_config(config)
        self._loader = loader

    async def find(self, region: str) -> None:
        """Find it once. Raises what botocore raises, also when there is none."""
        if self._session.get_config_variable("region") is None:
            self._session.set_config_variable("region", region)
        for model in ("service-2", "endpoint-rule-set-1"):
            await asyncio.to_thread(self._loader.load_service_model, "sts", model)
        if await self.load_credentials() is None:
            raise NoCredentialsError

    async def load_credentials(self) -> Any:
        """What botocore's sessions call; refreshed by themselves from then on."""
        return await self._session.get_credentials()


@cache
def _models() -> Loader:
    """What botocore knows of AWS; once for the process, and nothing from the home directory."""
    return Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


def _deaf_session(loader: Loader) -> AioSession:
    """A session whose every setting is botocore's default, whatever files and variables say."""
    variables = {
        name: (None, None, default, convert) for name, (_, _, default, convert) in AioSession.SESSION_VARIABLES.items()
    }
    for name in ("config_file", "credentials_file"):
        variables[name] = (None, None, os.devnull, None)
    session = AioSession(session_vars=variables)
    session.register_component("data_loader", loader)
    session.get_component("config_store").set_config_variable("s3", dict(_S3_SETTINGS))
    return session


async def _opened(opening: Any) -> Any:
    return await opening.__aenter__()


async def _take_page(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Read the page in botocore's place, in a thread; all that is left to botocore is an empty one."""
    try:
        customized_response_dict["Page"] = await asyncio.to_thread(parse_page, response_dict["body"])
    except ValueError:
        raise NoAnswerError(Fault.NOT_S3) from None
    response_dict["body"] = b"<ListBucketResult/>"
