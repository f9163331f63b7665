"""Makes aiobotocore clients that ignore their environment: files, variables, profiles and proxies.

The one exception is the operator's own identity, which is found in the environment. A separate session finds it, and
returns credentials only.
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

from clientcert.fair_queueing import FairSemaphore
from clientcert.loop_budget import LoopBudget
from clientcert.network.egress import EgressPolicy
from clientcert.sources.s3.access import Credentials
from clientcert.sources.s3.address import Address
from clientcert.sources.s3.errors import Fault, NoAnswerError
from clientcert.sources.s3.page import PartialListError, parse_page
from clientcert.sources.s3.transport import RESERVED, Transport

# At DEBUG, botocore logs the requests that it signs and sends, with session tokens.
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
    """Makes clients, and holds what they share. Its construction takes 200 ms and 15 MB: construct it in a thread."""

    def __init__(self) -> None:
        loader, self._tls = _models(), _authorities()
        # A botocore session can make one client at a time. Callers wait on the asyncio lock; the thread lock protects
        # against a thread that still runs after its caller was cancelled.
        self._create_lock, self._thread_lock = asyncio.Lock(), threading.Lock()
        # A page of 8 MiB becomes 40 MB while it is parsed. And all threads share the interpreter lock with the event
        # loop: two at once are not faster than one, and leave the loop a third of the time. Namespaces take turns.
        self._parsing = FairSemaphore(1)
        self._identity = _Identity(loader)
        self._session = _isolated_session(loader)
        self._session_as_operator = _isolated_session(loader)
        self._session_as_operator.register_component("credential_provider", self._identity)
        # The first client loads the models that all clients share; it is not used otherwise.
        address, nobody = Address("warm-up", "us-east-1", "", EgressPolicy()), Credentials("none", "none")
        _dismantle(self._create(address, nobody, LoopBudget()))

    async def create(self, address: Address, credentials: Credentials | None, loop_budget: LoopBudget) -> Any:
        """Make a client; without credentials, it uses the operator's own identity.

        Raises the errors of botocore if there is no identity.
        """
        if credentials is None:
            await self._identity.find(address.region)
        async with self._create_lock:
            return await asyncio.to_thread(self._create, address, credentials, loop_budget)

    def _create(self, address: Address, credentials: Credentials | None, loop_budget: LoopBudget) -> Any:
        config = AioConfig(
            http_session_cls=partial(Transport, address.policy, self._tls, loop_budget),
            signature_version="s3v4",
            s3={**_S3_SETTINGS, "addressing_style": address.style},
            # Servers other than AWS support only the original checksums of S3.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": 1},  # the caller decides when to retry
            parameter_validation=False,  # all parameters are strings; validation took a sixth of each GET
            ignore_configured_endpoint_urls=True,
            proxies={},
            user_agent=_USER_AGENT,  # a fixed text is not built again for each request
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
        # This coroutine never waits but computes for long: a loop of its own keeps it off the main event loop.
        with self._thread_lock:
            client = asyncio.run(_enter(opening))
        client.meta.events.register("before-parse.s3.ListObjectsV2", partial(_parse_page_in_thread, self._parsing))
        return client


async def close(client: Any) -> None:
    """Close a client, and free all of it at once: no collection looks at what has lived for a while."""
    await client.close()
    _dismantle(client)


def _dismantle(client: Any) -> None:
    """Empty class and models, which botocore makes for each client: the cycles in them hold a third of a MiB."""
    own_class, model = type(client), client.meta.service_model
    for name in [each for each in vars(own_class) if not each.startswith("__")]:
        delattr(own_class, name)
    vars(model).clear()


class _Identity:
    """The operator's own identity, from any place that botocore supports: ServiceAccount, pod, node or environment."""

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
        """Find the identity. Raises the errors of botocore, also if there is none."""
        if self._session.get_config_variable("region") is None:
            self._session.set_config_variable("region", region)
        for model in ("service-2", "endpoint-rule-set-1"):
            await asyncio.to_thread(self._loader.load_service_model, "sts", model)
        if await self.load_credentials() is None:
            raise NoCredentialsError

    async def load_credentials(self) -> Any:
        """Load the credentials, which refresh themselves; called by botocore's sessions."""
        return await self._session.get_credentials()


@cache
def _authorities() -> ssl.SSLContext:
    """The authorities that the machine trusts, read once per process: that takes half of the time of a factory."""
    return ssl.create_default_context()


@cache
def _models() -> Loader:
    """The service models of botocore, loaded once per process, and never from the home directory."""
    return Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


def _isolated_session(loader: Loader) -> AioSession:
    """A session with botocore's default settings, which ignores the machine's configuration files and variables."""
    variables = {
        name: (None, None, default, convert) for name, (_, _, default, convert) in AioSession.SESSION_VARIABLES.items()
    }
    for name in ("config_file", "credentials_file"):
        variables[name] = (None, None, os.devnull, None)
    session = AioSession(session_vars=variables)
    session.register_component("data_loader", loader)
    session.get_component("config_store").set_config_variable("s3", dict(_S3_SETTINGS))
    return session


async def _enter(opening: Any) -> Any:
    return await opening.__aenter__()


async def _parse_page_in_thread(
    parsing: FairSemaphore, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Parse the page in a thread instead of botocore, which gets an empty page to parse."""
    try:
        async with parsing.slot(RESERVED.get().owner):
            customized_response_dict["Page"] = await asyncio.to_thread(parse_page, response_dict["body"])
    except PartialListError:
        raise NoAnswerError(Fault.PARTIAL_LIST) from None
    except ValueError:
        raise NoAnswerError(Fault.NOT_S3) from None
    response_dict["body"] = b"<ListBucketResult/>"
