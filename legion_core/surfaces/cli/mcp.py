"""What the command line asks of a node about MCP: through its HTTP surface, or of one opened for the command."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.surfaces.cli.http import Wire, part

if TYPE_CHECKING:
    from legion_core.agent.mcp.types import ServerRow, ServerSpec, SignInState
    from legion_core.api.chat_types import ChatTools, Yes
    from legion_core.api.mcp import Mcp
    from legion_core.api.mcp_types import Approval, Grant, McpCall, McpStatus, ToolRow

T = TypeVar("T")
_PATH = "/api/v1/mcp"


class McpDoor(Protocol):
    """See `legion_core.api.mcp`; all calls block."""

    def status(self) -> "McpStatus":
        """At a glance."""
        ...

    def tools(self, client: str) -> "tuple[ToolRow, ...]":
        """Every tool and what this client may do with it."""
        ...

    def calls(self, limit: int) -> "tuple[McpCall, ...]":
        """What was called, newest first."""
        ...

    def grants(self) -> "tuple[Grant, ...]":
        """What the user allowed and forbade."""
        ...

    def grant(self, verb: str, client: str, names: tuple[str, ...]) -> "Grant":
        """`allow` or `forbid` tools, or `reset`."""
        ...

    def approvals(self) -> "tuple[Approval, ...]":
        """The calls that wait for the user."""
        ...

    def chat_tools(self, chat: str) -> "ChatTools":
        """What a chat may use, and does."""
        ...

    def chat_switch(self, chat: str, source: str, is_on: bool) -> "ChatTools":
        """Let a chat use the tools of a source, or no longer."""
        ...

    def yeses(self) -> "tuple[Yes, ...]":
        """Tools that chats may call unasked."""
        ...

    def forget_yes(self, tool: str) -> None:
        """Ask for a tool again."""
        ...

    def servers(self) -> "tuple[ServerRow, ...]":
        """Other people's servers."""
        ...

    def server(self, name: str) -> "ServerRow":
        """One of them."""
        ...

    def add(self, spec: "ServerSpec") -> "ServerRow":
        """Register one."""
        ...

    def look(self, name: str) -> "ServerRow":
        """Start it and read its tools."""
        ...

    def approve(self, name: str, fingerprint: str) -> "ServerRow":
        """Say yes to what was shown."""
        ...

    def switch(self, name: str, is_on: bool) -> "ServerRow":
        """On or off."""
        ...

    def sign_in(self, name: str) -> str:
        """Begin to sign in; the address for the user's browser."""
        ...

    def signed_in(self, name: str) -> None:
        """Wait for the user."""
        ...

    def sign_out(self, name: str) -> "ServerRow":
        """Forget the tokens, and end them."""
        ...

    def remove(self, name: str) -> None:
        """Forget it."""
        ...


class LocalMcp(McpDoor):
    """See `McpDoor`. `run` waits for a coroutine; `door` opens the node."""

    # ruff: noqa: D102  (every method is documented in the Protocol)

    def __init__(self, run: "Callable[[Coroutine[Any, Any, T]], T]", door: "Callable[[], Mcp]") -> None:
        self._run: Callable[[Coroutine[Any, Any, Any]], Any] = run
        self._door = door

    def status(self) -> "McpStatus":
        return self._run(self._door().status())

    def tools(self, client: str) -> "tuple[ToolRow, ...]":
        return self._run(self._door().tools(client))

    def calls(self, limit: int) -> "tuple[McpCall, ...]":
        return self._door().calls(limit)

    def grants(self) -> "tuple[Grant, ...]":
        return self._run(self._door().grants())

    def grant(self, verb: str, client: str, names: tuple[str, ...]) -> "Grant":
        door = self._door()
        if verb == "reset":
            return self._run(door.reset(client))
        return self._run((door.allow if verb == "allow" else door.forbid)(client, names))

    def approvals(self) -> "tuple[Approval, ...]":
        return self._door().approvals()

    def chat_tools(self, chat: str) -> "ChatTools":
        return self._run(self._door().chats.of(chat))

    def chat_switch(self, chat: str, source: str, is_on: bool) -> "ChatTools":
        return self._run(self._door().chats.switch(chat, source, is_on))

    def yeses(self) -> "tuple[Yes, ...]":
        return self._run(self._door().chats.yeses())

    def forget_yes(self, tool: str) -> None:
        self._run(self._door().chats.forget(tool))

    def servers(self) -> "tuple[ServerRow, ...]":
        return self._run(self._door().servers.list())

    def server(self, name: str) -> "ServerRow":
        return self._run(self._door().servers.get(name))

    def add(self, spec: "ServerSpec") -> "ServerRow":
        return self._run(self._door().servers.add(spec, LOCAL_OWNER))

    def look(self, name: str) -> "ServerRow":
        return self._run(self._door().servers.look(name, LOCAL_OWNER))

    def approve(self, name: str, fingerprint: str) -> "ServerRow":
        return self._run(self._door().servers.approve(name, fingerprint, LOCAL_OWNER))

    def switch(self, name: str, is_on: bool) -> "ServerRow":
        return self._run(self._door().servers.switch(name, is_on, LOCAL_OWNER))

    def sign_in(self, name: str) -> str:
        return self._run(self._door().servers.sign_in(name, LOCAL_OWNER))

    def signed_in(self, name: str) -> None:
        self._run(self._door().servers.signed_in(name, LOCAL_OWNER))

    def sign_out(self, name: str) -> "ServerRow":
        return self._run(self._door().servers.sign_out(name, LOCAL_OWNER))

    def remove(self, name: str) -> None:
        self._run(self._door().servers.remove(name, LOCAL_OWNER))


class RemoteMcp(McpDoor):
    """See `McpDoor`: the running node."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def status(self) -> "McpStatus":
        from legion_core.api.mcp_types import McpStatus

        return self._wire.get(_PATH, McpStatus)

    def tools(self, client: str) -> "tuple[ToolRow, ...]":
        from legion_core.api.mcp_types import ToolRow

        return self._wire.get(f"{_PATH}/tools", tuple[ToolRow, ...], client=client)

    def calls(self, limit: int) -> "tuple[McpCall, ...]":
        from legion_core.api.mcp_types import McpCall

        return self._wire.get(f"{_PATH}/calls", tuple[McpCall, ...], limit=limit)

    def grants(self) -> "tuple[Grant, ...]":
        from legion_core.api.mcp_types import Grant

        return self._wire.get(f"{_PATH}/grants", tuple[Grant, ...])

    def grant(self, verb: str, client: str, names: tuple[str, ...]) -> "Grant":
        from legion_core.api.mcp_types import Grant

        path = f"{_PATH}/grants/{part(client)}"
        if verb == "reset":
            return self._wire.ask("DELETE", path, Grant)
        return self._wire.ask("POST", path, Grant, body={verb: names})

    def approvals(self) -> "tuple[Approval, ...]":
        from legion_core.api.mcp_types import Approval

        return self._wire.get(f"{_PATH}/approvals", tuple[Approval, ...])

    def chat_tools(self, chat: str) -> "ChatTools":
        from legion_core.api.chat_types import ChatTools

        return self._wire.get(f"/api/v1/conversations/{part(chat)}/tools", ChatTools)

    def chat_switch(self, chat: str, source: str, is_on: bool) -> "ChatTools":
        from legion_core.api.chat_types import ChatTools

        body = {"source": source, "is_on": is_on}
        return self._wire.ask("PUT", f"/api/v1/conversations/{part(chat)}/tools", ChatTools, body=body)

    def yeses(self) -> "tuple[Yes, ...]":
        from legion_core.api.chat_types import Yes

        return self._wire.get(f"{_PATH}/yeses", tuple[Yes, ...])

    def forget_yes(self, tool: str) -> None:
        self._wire.ask("DELETE", f"{_PATH}/yeses/{part(tool)}", msgspec.Raw)

    def servers(self) -> "tuple[ServerRow, ...]":
        from legion_core.agent.mcp.types import ServerRow

        return self._wire.get(f"{_PATH}/servers", tuple[ServerRow, ...])

    def server(self, name: str) -> "ServerRow":
        return self._row("GET", f"{_PATH}/servers/{part(name)}")

    def add(self, spec: "ServerSpec") -> "ServerRow":
        return self._row("POST", f"{_PATH}/servers", msgspec.to_builtins(spec))

    def look(self, name: str) -> "ServerRow":
        return self._row("POST", f"{_PATH}/servers/{part(name)}/look")

    def approve(self, name: str, fingerprint: str) -> "ServerRow":
        return self._row("POST", f"{_PATH}/servers/{part(name)}/approve", {"fingerprint": fingerprint})

    def switch(self, name: str, is_on: bool) -> "ServerRow":
        return self._row("POST", f"{_PATH}/servers/{part(name)}/switch", {"is_on": is_on})

    def sign_in(self, name: str) -> str:
        return self._sign_in("POST", name).url

    def signed_in(self, name: str) -> None:
        while not self._sign_in("GET", name).is_over:
            pass  # each asking waits for a while

    def sign_out(self, name: str) -> "ServerRow":
        return self._row("DELETE", f"{_PATH}/servers/{part(name)}/login")

    def _sign_in(self, method: str, name: str) -> "SignInState":
        from legion_core.agent.mcp.types import SignInState

        return self._wire.ask(method, f"{_PATH}/servers/{part(name)}/login", SignInState)

    def remove(self, name: str) -> None:
        self._wire.ask("DELETE", f"{_PATH}/servers/{part(name)}", msgspec.Raw)

    def _row(self, method: str, path: str, body: object = None) -> "ServerRow":
        from legion_core.agent.mcp.types import ServerRow

        return self._wire.ask(method, path, ServerRow, body=body)
