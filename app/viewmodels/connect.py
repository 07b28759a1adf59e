"""The Connect page: programs, what is written for them, who calls what, what they may use, and other people's servers.

Nothing is asked while the page is hidden, and nothing runs by the clock.
"""

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.viewmodels.connect_words import (
    CallWords,
    CardWords,
    KeyWords,
    ToolWords,
    calls_said,
    cards,
    keys_said,
    tools_said,
)
from legion_core.api.connect_types import Change, ConnectChanged
from legion_core.api.mcp_types import McpCallChanged, McpClientsChanged, McpToolsChanged
from legion_core.api.server_types import ServerChanged, ServerSpec
from legion_core.api.types import LOCAL_OWNER, Event
from legion_core.kernel.errors import LegionError

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

EVERYBODY = "*"
CALLS_SHOWN = 100


class ConnectViewModel(QObject):
    """`watch(True)` while the page can be seen."""

    changed = Signal()
    """Programs, addresses or keys are new."""
    preview_changed = Signal()
    calls_changed = Signal()
    tools_changed = Signal()
    servers_changed = Signal()
    told = Signal(str, str)
    """A sentence about what was done, and its icon."""

    def __init__(self, bridge: Bridge, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("viewmodel.connect")
        self._bridge = bridge
        self.now = now
        self.rows: tuple[Any, ...] = ()
        self.cards: tuple[CardWords, ...] = ()
        self.calls: tuple[CallWords, ...] = ()
        self.calls_today = 0
        self.tools: tuple[ToolWords, ...] = ()
        self.keys: tuple[KeyWords, ...] = ()
        self.servers: tuple[Any, ...] = ()
        self.selected = ""
        self.with_models: bool | None = None
        self.preview: Change | None = None
        self.problem = ""
        self.url = ""
        self.base = ""
        self.command = ""
        self.is_paused = False
        self.app = EVERYBODY
        self.is_custom = False
        self._raw_calls: tuple[Any, ...] = ()
        self._is_watched = False
        self._is_stale = True
        self._is_loading = False
        bridge.watch(self._on_facts, ConnectChanged, McpClientsChanged)
        bridge.watch(self._on_calls, McpCallChanged)
        bridge.watch(self._on_tools, McpToolsChanged)
        bridge.watch(self._on_servers, ServerChanged)
        bridge.lost.connect(self.refresh)
        bridge.connected.connect(self.refresh)

    def watch(self, is_watched: bool) -> None:
        """The page can be seen, or not any more: unseen it asks nothing."""
        self._is_watched = is_watched
        if is_watched and self._is_stale:
            self.refresh()

    def refresh(self) -> None:
        """Look again; while it is looked, once more is enough."""
        self._is_stale = True
        if not self._is_watched or self._is_loading:
            return
        self._is_loading, self._is_stale = True, False

        async def look(legion: "Legion") -> tuple[Any, ...]:
            status = await legion.mcp.status()
            return (
                await legion.connect.list(), status, legion.mcp.calls(CALLS_SHOWN),
                await legion.tokens.list(), legion.connect.command(),
            )  # fmt: skip

        self._bridge.launch("connect.look", look, self._on_look, self._on_failure)
        self.refresh_tools()
        self.refresh_servers()

    @property
    def current(self) -> CardWords | None:
        """The selected card."""
        return next((card for card in self.cards if card.name == self.selected), None)

    # Programs

    def select(self, name: str) -> None:
        """Show what would be written for a program."""
        if name != self.selected:
            self.selected, self.with_models = name, None
        self.refresh_preview()

    def set_models(self, is_wanted: bool) -> None:
        """Also as a model endpoint, or not, for the selected program."""
        self.with_models = is_wanted
        self.refresh_preview()

    def refresh_preview(self) -> None:
        """Ask again what would be written."""
        name, parts = self.selected, self._parts()
        if not name:
            return

        def done(change: Change) -> None:
            if name == self.selected:
                self.preview, self.problem = change, ""
                self.preview_changed.emit()

        def failed(sentence: str) -> None:
            if name == self.selected:
                self.preview, self.problem = None, sentence
                self.preview_changed.emit()

        self._bridge.launch(
            "connect.preview", lambda legion: legion.connect.preview(name, parts), done, failed
        )

    def apply(self, name: str) -> None:
        """Write it."""
        if name != self.selected:
            self.selected, self.with_models = name, None
        parts = self._parts()

        def done(change: Change) -> None:
            self.told.emit(" ".join((f"{change.title} is connected.", *change.notes)), "circle-check")
            self._again()

        self._bridge.launch("connect.apply", lambda legion: legion.connect.apply(name, parts), done)

    def undo(self, name: str) -> None:
        """Take it back."""

        def done(undone: Any) -> None:
            self.told.emit(undone.words, "undo-2")
            self._again()

        self._bridge.launch("connect.undo", lambda legion: legion.connect.undo(name), done)

    def snippet(self, name: str, done: Callable[[str], None]) -> None:
        """What may be copied by hand."""
        self._bridge.launch("connect.snippet", lambda legion: legion.connect.snippet(name), done)

    def key(self, name: str, done: Callable[[str], None]) -> None:
        """A program's key, to be copied into its own settings."""
        self._bridge.launch("connect.key", lambda legion: legion.connect.key(name), done)

    def revoke(self, name: str) -> None:
        """End a key at once."""

        def done(_: object) -> None:
            self.told.emit("The key is revoked: it opens nothing any more.", "key-round")
            self.refresh()

        self._bridge.launch("connect.revoke", lambda legion: legion.tokens.revoke(name), done)

    def _parts(self) -> tuple[Any, ...]:
        match self.with_models:
            case None:
                return ()
            case True:
                return ("mcp", "models")
            case False:
                return ("mcp",)

    def _again(self) -> None:
        self.refresh()
        self.refresh_preview()

    # The server and what apps may use

    def set_paused(self, is_paused: bool) -> None:
        """Refuse every call, or take them again."""

        async def act(legion: "Legion") -> None:
            legion.mcp.pause(is_paused)

        def done(_: object) -> None:
            self.is_paused = is_paused
            self.changed.emit()

        self._bridge.launch("connect.pause", act, done)

    def choose_app(self, name: str) -> None:
        """Whose tools are shown: `*` is every app."""
        if name != self.app:
            self.app = name
            self.refresh_tools()

    def set_tool(self, name: str, is_allowed: bool) -> None:
        """Let the chosen app use a tool, or hide it from it."""
        app = self.app

        async def act(legion: "Legion") -> None:
            await (legion.mcp.allow if is_allowed else legion.mcp.forbid)(app, (name,))

        self._bridge.launch("connect.tool", act, lambda _: self.refresh_tools())

    def read_only(self) -> None:
        """The chosen app may only use what changes nothing."""
        app = self.app
        self._bridge.launch(
            "connect.reset", lambda legion: legion.mcp.reset(app), lambda _: self.refresh_tools()
        )

    def refresh_tools(self) -> None:
        """Ask what the chosen app may use."""
        if not self._is_watched:
            self._is_stale = True
            return
        app = self.app

        async def look(legion: "Legion") -> tuple[Any, Any]:
            return await legion.mcp.tools(app), await legion.mcp.grants()

        def done(found: tuple[Any, Any]) -> None:
            if app == self.app:
                tools, grants = found
                self.tools = tools_said(tools)
                self.is_custom = any(grant.client == app for grant in grants)
                self.tools_changed.emit()

        self._bridge.launch("connect.tools", look, done)

    # Other people's servers

    def refresh_servers(self) -> None:
        """Ask which there are."""
        if not self._is_watched:
            self._is_stale = True
            return

        def done(rows: Sequence[Any]) -> None:
            self.servers = tuple(rows)
            self.servers_changed.emit()

        self._bridge.launch("connect.servers", lambda legion: legion.mcp.servers.list(), done)

    def server(self, name: str) -> Any:
        """One of them, or None."""
        return next((row for row in self.servers if row.name == name), None)

    def add_server(
        self,
        name: str,
        command: tuple[str, ...],
        env: dict[str, str],
        url: str,
        done: Callable[[Any], None],
        failed: Callable[[str], None],
    ) -> None:
        """Register one and look at it; nothing of it can be called before it is approved.

        One that shows its tools only to whoever signs in is `done` too, in the state `signin`.
        """
        spec = ServerSpec(name=name, command=command, env=env, url=url)

        async def act(legion: "Legion") -> Any:
            servers = legion.mcp.servers
            await servers.add(spec, LOCAL_OWNER)
            try:
                return await servers.look(name, LOCAL_OWNER)
            except LegionError:
                found = await servers.get(name)
                if found.state != "signin":
                    raise
                return found

        self._servers("add", act, done, failed)

    def look_at(self, name: str, done: Callable[[Any], None]) -> None:
        """Start it and read its tools, to decide."""
        self._servers("look", lambda legion: legion.mcp.servers.look(name, LOCAL_OWNER), done)

    def approve(self, name: str, fingerprint: str) -> None:
        """Say yes to exactly what was shown."""

        def done(_: object) -> None:
            self.told.emit(f"{name} may be called now.", "shield-check")

        self._servers(
            "approve", lambda legion: legion.mcp.servers.approve(name, fingerprint, LOCAL_OWNER), done
        )

    def switch_server(self, name: str, is_on: bool) -> None:
        """Let it be called, or not."""
        self._servers("switch", lambda legion: legion.mcp.servers.switch(name, is_on, LOCAL_OWNER))

    def sign_in(self, name: str, go: Callable[[str], bool]) -> None:
        """Sign in at a server: `go` takes the user to its address, or says that the user would not."""

        def begun(url: str) -> None:
            if go(url):
                self._servers(
                    "signedIn", lambda legion: legion.mcp.servers.signed_in(name, LOCAL_OWNER), done
                )
            else:
                self._servers("signOut", lambda legion: legion.mcp.servers.sign_out(name, LOCAL_OWNER))

        def done(_: object) -> None:
            self.told.emit(f"You are signed in at {name}.", "key-round")

        self._servers("signIn", lambda legion: legion.mcp.servers.sign_in(name, LOCAL_OWNER), begun)

    def sign_out(self, name: str) -> None:
        """Forget a server's tokens, and have it end them."""
        self._servers("signOut", lambda legion: legion.mcp.servers.sign_out(name, LOCAL_OWNER))

    def remove_server(self, name: str) -> None:
        """End it and forget it."""
        self._servers("remove", lambda legion: legion.mcp.servers.remove(name, LOCAL_OWNER))

    def _servers(
        self,
        verb: str,
        act: "Callable[[Legion], Coroutine[Any, Any, Any]]",
        done: Callable[[Any], None] | None = None,
        failed: Callable[[str], None] | None = None,
    ) -> None:
        def ended(result: Any) -> None:
            self.refresh_servers()
            if done is not None:
                done(result)

        def refused(sentence: str) -> None:
            self.refresh_servers()
            if failed is not None:
                failed(sentence)
            else:
                self._bridge.refused.emit(sentence)

        self._bridge.launch(f"connect.server.{verb}", act, ended, refused)

    # Facts

    def _on_look(self, found: tuple[Any, ...]) -> None:
        self._is_loading = False
        self.rows, status, self._raw_calls, tokens, command = found
        self.url, self.is_paused = status.url, status.is_paused
        self.base = status.url.removesuffix("/mcp")
        self.command = " ".join(command)
        self.keys = keys_said(tokens, self.now())
        self._say()
        self.changed.emit()
        self.calls_changed.emit()
        if not self.selected and self.cards:
            self.select(self.cards[0].name)
        if self._is_stale:
            self.refresh()

    def _say(self) -> None:
        now = self.now()
        self.cards = cards(self.rows, self._raw_calls, now)
        titles = {row.name: row.title for row in self.rows}
        self.calls = calls_said(self._raw_calls, now, titles)
        self.calls_today = sum(
            call.started_at.astimezone(now.tzinfo).date() == now.date() for call in self._raw_calls
        )

    def _on_failure(self, sentence: str) -> None:
        self._is_loading = False
        self._bridge.refused.emit(sentence)

    def _on_facts(self, _: Sequence[Event]) -> None:
        self.refresh()

    def _on_tools(self, _: Sequence[Event]) -> None:
        self.refresh_tools()

    def _on_servers(self, _: Sequence[Event]) -> None:
        self.refresh_servers()

    def _on_calls(self, events: Sequence[Event]) -> None:
        """What is told of a call is all there is to show: nothing is asked."""
        if not self._is_watched:
            self._is_stale = True
            return
        known = {call.id: call for call in reversed(self._raw_calls)}
        for event in events:
            if isinstance(event, McpCallChanged):
                known[event.call.id] = event.call
        newest = sorted(known.values(), key=lambda call: call.started_at, reverse=True)
        self._raw_calls = tuple(newest[:CALLS_SHOWN])
        self._say()
        self.calls_changed.emit()
        self.changed.emit()
