"""Requests through a proxy of the environment, by httpx, which knows all kinds of them; see `lines.Carrier`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from legion_core.gateway.providers.line import Exchange, LineError, Tap, Undecodable
from legion_core.gateway.providers.lines import (
    AllTaken,
    CannotConnect,
    ConnectTooSlow,
)
from legion_core.kernel.errors import LegionError
from legion_core.kernel.fetch.proxies import proxy_for
from legion_core.kernel.fetch.reach import ANYWHERE
from legion_core.kernel.fetch.transport import Use, way_out

if TYPE_CHECKING:
    import httpx

CLOSE_S: Final = 1.0
CLOSING_TURNS: Final = 16  # two for each of six nested generators, and some to spare


def has_proxy(scheme: str, host: str) -> bool:
    """Whether the environment wants requests to that host to go through a proxy."""
    return bool(proxy_for(scheme, host))


class Proxied:
    """See `Carrier`."""

    def __init__(self, connect_s: float, by: str = "") -> None:
        """`by` is the instance, for the record of hosts contacted."""
        self._connect_s = connect_s
        self._by = by
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, until_s: float
    ) -> Exchange:
        """See `Carrier`."""
        client = await self._open()
        import httpx

        request = client.build_request(method, url, content=body or None, headers=dict(headers))
        try:
            async with asyncio.timeout_at(until_s):
                response = await client.send(request, stream=True)
        except httpx.ConnectTimeout as error:
            raise ConnectTooSlow("no connection in time") from error
        except httpx.PoolTimeout as error:
            raise AllTaken("no connection came free") from error
        except httpx.ConnectError as error:
            raise CannotConnect(str(error)) from error
        except httpx.HTTPError as error:
            raise LineError(str(error) or type(error).__name__) from error
        except LegionError as error:
            raise CannotConnect(error.sentence()) from error
        return _Through(response)

    async def aclose(self) -> None:
        """See `Carrier`."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _open(self) -> "httpx.AsyncClient":
        async with self._opening:
            if self._client is None:
                # Importing the library and loading the certificates takes a tenth of a second the loop cannot give.
                self._client = await asyncio.to_thread(self._make)
            return self._client

    def _make(self) -> "httpx.AsyncClient":
        import httpx

        return httpx.AsyncClient(
            timeout=httpx.Timeout(connect=self._connect_s, write=None, read=None, pool=self._connect_s),
            transport=way_out(
                httpx, Use(purpose="model provider", by=self._by, reach=lambda _: ANYWHERE, keeps=True)
            ),
            follow_redirects=False,
            trust_env=False,  # the transport asks the environment
        )


class _Through:
    """See `Exchange`."""

    def __init__(self, response: "httpx.Response") -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._pieces: AsyncIterator[bytes] = response.aiter_bytes()

    @property
    def is_whole(self) -> bool:
        """See `Exchange`."""
        return self._response.is_closed

    async def next(self, until_s: float, tap: Tap | None = None) -> bytes | None:
        """See `Exchange`; nothing goes to the tap."""
        del tap
        import httpx

        try:
            async with asyncio.timeout_at(until_s):
                return await anext(self._pieces, None)
        except httpx.DecodingError as error:
            raise Undecodable(str(error)) from error
        except httpx.HTTPError as error:
            raise LineError(str(error) or type(error).__name__) from error

    async def aclose(self) -> None:
        """See `Exchange`."""
        import httpx

        is_whole = self._response.is_closed
        with suppress(TimeoutError, httpx.HTTPError):
            await asyncio.wait_for(self._response.aclose(), CLOSE_S)  # see `Supervisor.stop`
        if not is_whole:
            # The library leaves the closing of its own nested generators to the loop: give it its turns, so
            # that nothing of this request outlives it. Seen with httpx 0.28.
            for _ in range(CLOSING_TURNS):
                await asyncio.sleep(0)
