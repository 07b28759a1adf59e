"""Who asks Bedrock: a bearer key, or the credentials AWS tools find on this machine, which sign each request.

The signature and the search for credentials (environment, profiles, single sign-on, roles of a container or a machine)
are the official library's; it opens no connection to Bedrock. What it does open (a sign-in, a role's server, the metadata
of a machine) goes through one method of it, which is watched: blocks hold there and it stands in the record.
"""

import asyncio
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit

from legion_core.gateway.providers.extras import official
from legion_core.kernel.contacts import CONTACTS
from legion_core.kernel.errors import BadCredentials, ProviderError, Refused
from legion_core.kernel.fetch.gate import GATE

LOGIN: Final = "sts.amazonaws.com"
SERVICE: Final = "bedrock"
_ASKING: ContextVar[str] = ContextVar(
    "aws", default=""
)  # the instance for which the library works in this thread
_REGION = re.compile(r"(?:^|\.)bedrock(?:-runtime)?(?:-fips)?\.([a-z]{2,4}(?:-[a-z]+)+-\d)\.")


def region_in(host: str) -> str:
    """The region an address names, such as `eu-central-1`; empty if it names none."""
    found = _REGION.search(host)
    return found[1] if found else ""


class AwsSign:
    """See `wire.Sign`. Credentials are looked for at the first request, off the loop, and renewed by the library."""

    def __init__(self, who: str, host: str) -> None:
        """`host` names the region; else the one configured for AWS tools is used."""
        self._who = who
        self._region = region_in(host)
        self._session: Any = None
        self._bearer = ""
        self._credentials: Any = None
        self._loading = asyncio.Lock()

    async def __call__(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """See `wire.Sign`."""
        _ASKING.set(self._who)
        async with self._loading:
            if self._session is None:
                # Before it is even loaded: it looks for credentials only where a sign-in may be made.
                GATE.check(LOGIN, 443, "sign-in", self._who)
                await asyncio.to_thread(self._load)
        if self._bearer:
            return {"authorization": f"Bearer {self._bearer}"}
        # Renewing may ask a server, and a long body takes a while to digest.
        return await asyncio.to_thread(self._signed, method, url, body)

    def _load(self) -> None:
        session: Any = official("botocore.session", "bedrock", f"{self._who} without a key").Session()
        _watch(official("botocore.httpsession", "bedrock", self._who).URLLib3Session)
        tokens: Any = official("botocore.tokens", "bedrock", self._who)
        # A key in AWS_BEARER_TOKEN_BEDROCK goes before all other credentials, as it does in AWS tools.
        token = tokens.ScopedEnvTokenProvider(session).load_token(signing_name=SERVICE)
        if token is not None:
            self._bearer = str(token.token)
        else:
            self._credentials = self._found(session)
            self._region = self._region or str(session.get_config_variable("region") or "")
            if not self._region:
                raise Refused(
                    f"No region is known for {self._who}.",
                    hint="Use an address like https://bedrock-runtime.eu-central-1.amazonaws.com.",
                )
        self._session = session

    def _found(self, session: Any) -> Any:
        exceptions: Any = official("botocore.exceptions", "bedrock", self._who)
        try:
            credentials = session.get_credentials()
        except exceptions.BotoCoreError as error:
            raise self._no_credentials(str(error)) from error
        if credentials is None:
            raise self._no_credentials("none were found")
        return credentials

    def _no_credentials(self, why: str) -> ProviderError:
        return BadCredentials(
            f"{self._who} has no AWS credentials: {why}.",
            hint="Enter a Bedrock API key, or sign in with the AWS tools (`aws configure`, `aws sso login`).",
        )

    def _signed(self, method: str, url: str, body: bytes) -> dict[str, str]:
        auth: Any = official("botocore.auth", "bedrock", self._who)
        awsrequest: Any = official("botocore.awsrequest", "bedrock", self._who)
        exceptions: Any = official("botocore.exceptions", "bedrock", self._who)
        try:
            frozen = self._credentials.get_frozen_credentials()
        except exceptions.BotoCoreError as error:
            raise self._no_credentials(str(error)) from error
        request = awsrequest.AWSRequest(
            method=method, url=url, data=body, headers={"content-type": "application/json"}
        )
        auth.SigV4Auth(frozen, SERVICE, self._region).add_auth(request)
        return {str(name): str(value) for name, value in request.headers.items()}


def _watch(kind: Any) -> None:
    """Have the library's only way to a server judged and recorded, once in a process."""
    send = kind.send
    if getattr(send, "is_watched", False):
        return

    def watched(self: Any, request: Any) -> Any:
        parts, who = urlsplit(str(request.url)), _ASKING.get()
        host, port = parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
        GATE.check(host, port, "sign-in", who)
        CONTACTS.note(host, port, "sign-in", who)
        answer = send(self, request)
        sent = len(request.body) if isinstance(request.body, bytes | str) else 0
        CONTACTS.carried(host, port, "sign-in", who, sent, len(answer.content))
        return answer

    watched.is_watched = True  # pyright: ignore[reportFunctionMemberAccess]
    kind.send = watched
