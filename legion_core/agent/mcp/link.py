"""One open connection to another's server, by the official SDK's client: what it offers, and calls of it.

The connection belongs to one task, which opens and closes it; calls come from anywhere.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, cast

import msgspec

from legion_core import __version__
from legion_core.agent.mcp.pipe import Ending
from legion_core.agent.mcp.prints import cleaned
from legion_core.agent.mcp.types import ServerSpec
from legion_core.kernel.errors import ConnectionLost, LegionError, LimitReached, Refused, TimedOut
from legion_core.kernel.supervise import Supervisor

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.client.client import Client

START_S = 30.0
TOOLS_MAX = 200
TOOL_BYTES_MAX = 64 * 1024
PAGES_MAX = 20
DEPTH_MAX = 32
PROGRESS_CHARS = 300
NAME_CHARS_MAX = 128

Transport = Callable[[Ending], AbstractAsyncContextManager[Any]]


class Link:
    """`open`, then `tools` and `call`, then `close`. `on_over` hears once why it ended, `on_change` that tools did."""

    def __init__(
        self,
        spec: ServerSpec,
        transport: Transport,
        supervisor: Supervisor,
        *,
        on_over: "Callable[[Link], None]" = lambda _: None,
        on_change: Callable[[], None] = lambda: None,
        mode: str = "auto",
        start_s: float = START_S,
        elicit: Any = None,
    ) -> None:
        self._spec = spec
        self._transport = transport
        self._supervisor = supervisor
        self._on_over = on_over
        self._on_change = on_change
        self._mode = mode
        self._start_s = start_s
        self._elicit = elicit
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self.ending = Ending()
        self.software = ""
        self.protocol = ""

    async def open(self) -> None:
        """Connect and shake hands; LegionError says why not."""
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = self._supervisor.spawn(f"mcp.{self._spec.name}", self._keep(opened))
        try:
            async with asyncio.timeout(self._start_s):
                await asyncio.shield(opened)
        except TimeoutError as error:
            await self.close()
            raise TimedOut(f"{self._spec.name} did not answer within {self._start_s:.0f} s.") from error
        except asyncio.CancelledError:
            self._closing.set()
            raise

    async def _keep(self, opened: "asyncio.Future[None]") -> None:
        from mcp.client.client import Client
        from mcp_types import Implementation

        try:
            client = Client(
                self._transport(self.ending),
                mode=self._mode,
                client_info=Implementation(name="legion-workbench", version=__version__),
                message_handler=self._heard,
                elicitation_callback=self._elicit,
                read_timeout_seconds=self._spec.timeout_s,
                cache=None,
            )
            async with client:
                self._client = client
                info = client.server_info
                self.software = f"{info.name} {info.version}".strip()[:120] if info is not None else ""
                self.protocol = client.protocol_version
                if not opened.done():
                    opened.set_result(None)
                await _first(self._supervisor, self._closing, self.ending.is_over)
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001  # a stranger's server, a stranger's failures
            self.ending.over(self.ending.problem or told(error, self._spec.name))
            if not opened.done():
                opened.set_exception(self._why(error))
        finally:
            self._client = None
            if not opened.done():
                opened.set_exception(ConnectionLost(self.ending.problem or f"{self._spec.name} ended."))
                opened.exception()  # whoever waited may have gone
            self.ending.over("")
            self._on_over(self)

    def _why(self, error: BaseException) -> LegionError:
        inner = root_of(error)
        if isinstance(inner, LegionError):
            return inner
        return ConnectionLost(self.ending.problem or told(error, self._spec.name))

    async def _heard(self, message: Any) -> None:
        from mcp_types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._on_change()

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._client is not None and not self.ending.is_over.is_set()

    async def tools(self) -> list[dict[str, Any]]:
        """What the server offers, as it says it; LimitReached where that is out of all bounds."""
        try:
            async with asyncio.timeout(self._start_s):
                found = await self._listed()
        except TimeoutError as error:
            raise TimedOut(
                f"{self._spec.name} did not list its tools within {self._start_s:.0f} s."
            ) from error
        names = [str(tool.get("name", "")) for tool in found]
        if len(set(names)) < len(names):
            raise Refused(f"{self._spec.name} offers two tools of the same name.")
        for tool, name in zip(found, names, strict=True):
            # It is called by the name that a person read.
            if not name or cleaned(name, NAME_CHARS_MAX) != name:
                raise Refused(
                    f"{self._spec.name} offers a tool whose name is too long or cannot be shown as it is."
                )
            if len(msgspec.json.encode(tool)) > TOOL_BYTES_MAX or _depth(tool) > DEPTH_MAX:
                raise LimitReached(f"{self._spec.name} describes a tool at more length than any needs.")
        return found

    async def _listed(self) -> list[dict[str, Any]]:
        client, found, cursor = self._open_client(), list[dict[str, Any]](), None
        for _ in range(PAGES_MAX):
            page = await self._asked(client.list_tools(cursor=cursor))
            found += [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools]
            cursor = page.next_cursor
            if len(found) > TOOLS_MAX:
                raise LimitReached(
                    f"{self._spec.name} offers more than {TOOLS_MAX} tools, which is the limit."
                )
            if cursor is None:
                break
        return found

    async def call(
        self, name: str, arguments: Mapping[str, Any], tell: Callable[[str], None] = lambda _: None
    ) -> "types.CallToolResult":
        """Call a tool; LegionError if it could not be called. That it went wrong itself is in the result.

        `tell` hears how far it is, in a line each time.
        """
        client = self._open_client()

        async def heard(progress: float, total: float | None, message: str | None) -> None:
            far = f"{progress:g} of {total:g}" if total else f"{progress:g}"
            tell(f"{far}: {cleaned(message, PROGRESS_CHARS)}" if message else far)

        return await self._asked(
            client.call_tool(
                name,
                dict(arguments),
                read_timeout_seconds=self._spec.timeout_s,
                progress_callback=heard,
            )
        )

    async def _asked(self, asking: Any) -> Any:
        from mcp.shared.exceptions import MCPError

        try:
            async with asyncio.timeout(self._spec.timeout_s + 1.0):
                return await asking
        except TimeoutError as error:
            raise TimedOut(
                f"{self._spec.name} did not answer within {self._spec.timeout_s:.0f} s."
            ) from error
        except MCPError as error:
            if self.ending.is_over.is_set():
                raise ConnectionLost(self.ending.problem or f"{self._spec.name} ended.") from error
            if error.code == _CLOSED:
                raise ConnectionLost(f"{self._spec.name} hung up: {error.message[:200]}.") from error
            if error.code == _TIMED_OUT:
                raise TimedOut(
                    f"{self._spec.name} did not answer within {self._spec.timeout_s:.0f} s."
                ) from error
            raise Refused(f"{self._spec.name} refuses: {error.message[:500]}") from error
        except LegionError:
            raise
        except Exception as error:
            raise ConnectionLost(self.ending.problem or told(error, self._spec.name)) from error

    def _open_client(self) -> "Client":
        if self._client is None:
            raise ConnectionLost(self.ending.problem or f"{self._spec.name} is not connected.")
        return self._client

    async def close(self) -> None:
        """Hang up, and end the program if it is one; idempotent."""
        self._closing.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


_CLOSED = -32000  # the SDK's own, for an answer that cannot come any more; a server may send it too
_TIMED_OUT = -32001


async def _first(supervisor: Supervisor, *events: asyncio.Event) -> None:
    """Return when one of the events is set."""
    is_set: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def watch(event: asyncio.Event) -> None:
        await event.wait()
        if not is_set.done():
            is_set.set_result(None)

    watchers = [supervisor.spawn("mcp.watch", watch(event)) for event in events]
    try:
        await is_set
    finally:
        for watcher in watchers:
            watcher.cancel()


def root_of(error: BaseException) -> BaseException:
    """The first cause within groups of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def told(error: BaseException, name: str) -> str:
    """What went wrong, as a sentence."""
    inner = root_of(error)
    words = inner.sentence() if isinstance(inner, LegionError) else f"{type(inner).__name__}: {inner}"
    return f"{name} cannot be reached: {words[:400]}"


def _depth(value: Any, depth: int = 0) -> int:
    if depth > DEPTH_MAX:
        return depth
    inner: Iterable[Any] = ()
    if isinstance(value, dict):
        inner = cast("dict[str, Any]", value).values()
    elif isinstance(value, list):
        inner = cast("list[Any]", value)
    return max((_depth(each, depth + 1) for each in inner), default=depth)
