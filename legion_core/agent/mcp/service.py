"""Other people's servers as tools of ours: registered and approved by the user, started when called, ended when idle.

    add → (look: start once, read its tools) → approve a fingerprint → its tools are functions `mcp.SERVER.TOOL`

The SDK is loaded when the first server is connected to. An approved server's functions are known from disk.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from legion_core.agent.change_types import Change
from legion_core.agent.mcp import prints
from legion_core.agent.mcp.book import Book, Entry
from legion_core.agent.mcp.functions import Tell, extension_of, result_of
from legion_core.agent.mcp.types import Difference, ServerChanged, ServerRow, ServerSpec, State, ToolInfo
from legion_core.engine.registry import NAME, Registry
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import (
    Conflict,
    ConnectionLost,
    Denied,
    InvalidInput,
    LegionError,
    LimitReached,
    NotFound,
    Unavailable,
)
from legion_core.kernel.events import EventBus
from legion_core.kernel.ports import Principal
from legion_core.kernel.supervise import Supervisor

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import mcp_types as types

    from legion_core.agent.mcp.flow import SignInFlow
    from legion_core.agent.mcp.link import Link
    from legion_core.agent.mcp.pipe import Ending
    from legion_core.agent.mcp.tokens import KeptTokens, Store
    from legion_core.agent.mcp.web import SignIn

SERVERS_MAX = 50
IDLE_S = 600.0
BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 60.0
TIMEOUT_S_MAX = 3_600.0
RESULT_CHARS_MAX = 400_000
SIGN_IN_S = 330.0
WORDS_MAX = 200
SAID_CHARS = 300  # of what a program wrote before it failed
CHANGES_MAX = 40
_ENV_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")
_REFERENCE = re.compile(r"^(keyring|env|vault)://")
# Names by which a program is made to run something else than what the user read.
_LOADERS = re.compile(
    r"(?i)^(LD_|DYLD_|PYTHONSTARTUP$|NODE_OPTIONS$|BASH_ENV$|ENV$|PERL5OPT$|RUBYOPT$|LEGION_)"
)


Noting = Callable[[str, str, str, str, str], Awaitable[None]]


async def _not_noted(kind: str, path: str, action: str, outcome: str, detail: str) -> None:
    """Where there is no log to write into."""


class _Forgotten(ConnectionLost):
    """The server knew the session no more, so it did not begin what it was asked."""


class _Live:
    """What is known of one server in this run."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.opening = asyncio.Lock()
        self.raw: tuple[dict[str, Any], ...] | None = None
        self.problem = ""
        self.said = ""
        self.software = ""
        self.protocol = ""
        self.starts = 0
        self.failures = 0
        self.not_before_s = 0.0
        self.used_s = 0.0
        self.running = 0
        self.has_news = False
        self.rereading: asyncio.Task[None] | None = None
        self.wants_sign_in = False
        self.is_signed_in = False


class Servers:
    """See the module. `secret` turns a reference into its value; `env` is what this process was started with."""

    def __init__(
        self,
        clock: Clock,
        bus: EventBus,
        supervisor: Supervisor,
        secret: Callable[[str], Awaitable[str]],
        registry: Registry,
        path: Path,
        env: Mapping[str, str],
        store: "Store | None" = None,
    ) -> None:
        """`store` keeps the tokens of sign-ins; without one nobody can sign in."""
        self._clock = clock
        self._bus = bus
        self._supervisor = supervisor
        self._secret = secret
        self._registry = registry
        self._book = Book(path)
        self._env = env
        self._live: dict[str, _Live] = {}
        self._idle: asyncio.Task[None] | None = None
        self.note: Noting = _not_noted  # writes into the audit log what is decided here, before it is done
        self._store = store
        self._sign_ins: dict[str, SignInFlow] = {}

    # Looking

    async def load(self) -> None:
        """Make the functions of approved servers known; starts nothing."""
        self._offer(await self._book.all())

    async def list(self) -> tuple[ServerRow, ...]:
        """By name, as far as is known without starting any."""
        return tuple(self._row(entry) for _, entry in sorted((await self._book.all()).items()))

    async def get(self, name: str) -> ServerRow:
        """One of them; NotFound."""
        return self._row(await self._entry(name))

    async def tool_prints(self) -> dict[str, tuple[str, ToolInfo, ServerSpec]]:
        """By function name: a print of an approved tool with its launch, what it is, and whose."""
        found: dict[str, tuple[str, ToolInfo, ServerSpec]] = {}
        for entry in (await self._book.all()).values():
            for info in _infos(entry.spec.name, entry.raw) if entry.launch else ():
                mark = prints.whole_print_of(entry.launch, {info.name: entry.tools.get(info.name, "")})
                found[info.function] = (mark, info, entry.spec)
        return found

    # Deciding: the user alone

    async def add(self, spec: ServerSpec, who: Principal) -> ServerRow:
        """Register a server, in place of one of the same name; nothing of it is started or approved by this."""
        _owner(who)
        checked(spec)
        entries = await self._book.all()
        if spec.name not in entries and len(entries) >= SERVERS_MAX:
            raise LimitReached(f"{SERVERS_MAX} servers are registered already, which is the limit.")
        before = entries.get(spec.name)
        await self._close(spec.name)
        self._live.pop(spec.name, None)
        entry = msgspec.structs.replace(before, spec=spec) if before is not None else Entry(spec=spec)
        launch = prints.launch_print(spec)
        verb = "changed" if before is not None else "registered"
        await self.note(f"mcp.server.{verb}", f"mcp/servers/{spec.name}", "write", "done", f"launch {launch}")
        await self._book.put(entry)
        await self.load()
        return self._told(entry)

    async def look(self, name: str, who: Principal) -> ServerRow:
        """Start it, or start it anew, and read what it offers, so that the user can decide."""
        _owner(who)
        entry = await self._entry(name)
        await self._close(name)
        live = self._of(name)
        live.not_before_s = 0.0
        try:
            await self._open(entry)
        except LegionError as error:
            # Told to who asked alone: it may hold what the program was given, and errors of tasks are kept.
            if said := " ".join(live.said.split()):
                error.hint = error.hint or f"It wrote: {said[-SAID_CHARS:]}"
            raise
        return self._told(entry)

    async def approve(self, name: str, fingerprint: str, who: Principal) -> ServerRow:
        """The user's yes to exactly what this fingerprint stands for; Conflict if it is not that any more."""
        _owner(who)
        entry = await self._entry(name)
        live = self._of(name)
        if live.raw is None:
            raise Conflict(
                f"{name} was not looked at yet.", hint=f"`legion mcp server look {name}` shows its tools."
            )
        tools = _prints(live.raw)
        now = prints.whole_print(entry.spec, tools)
        if fingerprint != now:
            raise Conflict(
                f"{name} is not what you saw: it changed in the meantime.",
                hint="Look at it again, then decide.",
            )
        entry = msgspec.structs.replace(
            entry,
            launch=prints.launch_print(entry.spec),
            tools=tools,
            raw=live.raw,
            said_yes_to=entry.spec,
            approved_at=self._clock.utc_now(),
        )
        await self.note(
            "mcp.server.approved", f"mcp/servers/{name}", "write", "done",
            f"fingerprint {now}, {len(tools)} tools",
        )  # fmt: skip
        await self._book.put(entry)
        await self.load()
        return self._told(entry)

    async def switch(self, name: str, is_on: bool, who: Principal) -> ServerRow:
        """Let it be called, or not."""
        _owner(who)
        entry = await self._entry(name)
        entry = msgspec.structs.replace(entry, spec=msgspec.structs.replace(entry.spec, is_on=is_on))
        await self.note(
            "mcp.server.switched", f"mcp/servers/{name}", "write", "done", "on" if is_on else "off"
        )
        await self._book.put(entry)
        if not is_on:
            await self._close(name)
        await self.load()
        return self._told(entry)

    async def remove(self, name: str, who: Principal) -> None:
        """End it and forget it."""
        _owner(who)
        entry = await self._entry(name)
        await self.note(
            "mcp.server.removed", f"mcp/servers/{name}", "write", "done",
            f"launch {prints.launch_print(entry.spec)}",
        )  # fmt: skip
        await self._close(name)
        self._live.pop(name, None)
        if entry.spec.url:
            await self._sign_out(entry.spec)
        await self._book.remove(name)
        await self.load()

    # Signing in

    async def sign_in(self, name: str, who: Principal) -> str:
        """Begin to sign in at a server; the address to which the user has to go. `signed_in` waits for the end."""
        _owner(who)
        entry = await self._entry(name)
        if not entry.spec.url:
            raise InvalidInput(f"{name} is a program on this computer: there is nowhere to sign in.")
        if self._store is None:
            raise Unavailable("Nothing keeps the tokens of a sign-in here.")
        from legion_core.agent.mcp.flow import SignInFlow

        await self.note("mcp.server.sign-in", f"mcp/servers/{name}", "write", "done", entry.spec.url)
        await self._end_sign_in(name)
        await self._close(name)
        self._of(name).not_before_s = 0.0
        kept = self._kept(entry.spec)
        # Who we are to the server is registered anew: it names the port that the browser comes back to.
        await kept.forget()
        flow = SignInFlow(self._supervisor, name, lambda sign_in: self._open(entry, sign_in))
        self._sign_ins[name] = flow
        return await flow.address()

    async def signed_in(self, name: str, who: Principal) -> ServerRow:
        """Wait until the sign-in that was begun is over; raises why it failed, NotFound if none was begun."""
        _owner(who)
        flow = self._sign_ins.get(name)
        if flow is None:
            raise NotFound(f"No sign-in at {name[:80]} was begun.")
        await flow.ended()
        return await self.get(name)

    async def sign_out(self, name: str, who: Principal) -> ServerRow:
        """Forget the tokens, and tell the server that they are to be worth nothing."""
        _owner(who)
        entry = await self._entry(name)
        await self.note("mcp.server.sign-out", f"mcp/servers/{name}", "write", "done", entry.spec.url)
        await self._close(name)
        await self._sign_out(entry.spec)
        self._of(name).is_signed_in = False
        return self._told(entry)

    async def _sign_out(self, spec: ServerSpec) -> None:
        await self._end_sign_in(spec.name)
        if self._store is None:
            return
        from legion_core.agent.mcp.tokens import revoke

        kept = self._kept(spec)
        await revoke(await kept.found(), spec.name)
        await kept.forget()

    async def _end_sign_in(self, name: str) -> None:
        flow = self._sign_ins.pop(name, None)
        if flow is not None:
            await flow.stop()

    def _kept(self, spec: ServerSpec) -> "KeptTokens":
        from legion_core.agent.mcp.tokens import KeptTokens

        assert self._store is not None
        return KeptTokens(self._store, spec.name, spec.url)

    # Calling

    async def call(
        self, name: str, tool: str, arguments: Mapping[str, Any], tell: Tell = lambda _: None
    ) -> dict[str, Any]:
        """Call a tool; what it gives is marked as a stranger's word. Denied unless it is what the user said yes to.

        `tell` hears how far it is.
        """
        entry = await self._entry(name)
        if not entry.spec.is_on:
            raise Denied(f"{name} is switched off.", hint=f"`legion mcp server on {name}` switches it on.")
        try:
            result = await self._asked(entry, tool, arguments, tell)
        except _Forgotten:
            # A server that was started anew knows no session: it took nothing, so asking again does nothing twice.
            result = await self._asked(entry, tool, arguments, tell)
        return result_of(name, tool, result, entry.spec.result_chars_max)

    async def _asked(
        self, entry: Entry, tool: str, arguments: Mapping[str, Any], tell: Tell
    ) -> "types.CallToolResult":
        live = self._of(entry.spec.name)
        self._may(entry, live)
        if live.rereading is not None and not live.rereading.done():
            await asyncio.gather(asyncio.shield(live.rereading), return_exceptions=True)
        if live.link is None or not live.link.is_open:
            await self._open(entry)
        self._may(entry, live)
        link = live.link
        assert link is not None
        live.running += 1
        try:
            return await link.call(tool, arguments, tell)
        except LegionError as error:
            # Of several calls at a time only one was refused, and which is not known: the others may have begun.
            if link.ending.is_forgotten and live.running == 1:
                raise _Forgotten(f"{entry.spec.name} forgot its own session.") from error
            raise
        finally:
            live.running -= 1
            live.used_s = self._clock.monotonic_s()
            if link.ending.is_over.is_set():
                self._over(entry.spec.name, link)  # now, not when its process is gone

    def _may(self, entry: Entry, live: _Live) -> None:
        name = entry.spec.name
        if not entry.launch:
            raise Denied(
                f"{name} was never approved.", hint=f"`legion mcp server look {name}`, then approve it."
            )
        changed = self._difference(entry, live)
        if changed != Difference():
            raise Denied(
                f"{name} is not what you approved: {words_of(changed)}.",
                hint=f"`legion mcp server look {name}` shows it; approve it anew if you still trust it.",
            )

    # Connecting

    async def _open(self, entry: Entry, sign_in: "SignIn | None" = None) -> None:
        from legion_core.agent.mcp.link import START_S, Link

        live, spec = self._of(entry.spec.name), entry.spec
        async with live.opening:
            if live.link is not None and live.link.is_open:
                return
            wait_s = live.not_before_s - self._clock.monotonic_s()
            if wait_s > 0:
                raise Unavailable(
                    f"{spec.name} failed lately: {live.problem}",
                    hint=f"It is tried again in {wait_s:.0f} s.",
                    retry_after_s=wait_s,
                )
            self._tell(spec.name, "starting")
            transport = await self._transport(spec, sign_in)
            link = Link(
                spec,
                transport,
                self._supervisor,
                on_over=lambda ended: self._over(spec.name, ended),
                on_change=lambda: self._changed(spec.name),
                start_s=START_S if sign_in is None else SIGN_IN_S,
            )
            try:
                await link.open()
                raw = tuple(sorted(await link.tools(), key=lambda tool: str(tool.get("name"))))
            except LegionError as error:
                await link.close()
                live.said = prints.cleaned(link.ending.said.decode("utf-8", "replace"))
                self._failed(live, error.sentence())
                if live.wants_sign_in:
                    live.not_before_s, live.failures = 0.0, 0
                self._tell(spec.name, "signin" if live.wants_sign_in else "failed")
                raise
            live.link, live.raw, live.problem, live.failures = link, raw, "", 0
            live.software, live.protocol = prints.cleaned(link.software, 120), link.protocol
            live.starts += 1
            live.used_s = self._clock.monotonic_s()
            if self._idle is None or self._idle.done():
                self._idle = self._supervisor.spawn("mcp.idle", self._end_idle())
        self._tell(spec.name, self._row(entry).state)

    async def _transport(
        self, spec: ServerSpec, sign_in: "SignIn | None" = None
    ) -> "Callable[[Ending], AbstractAsyncContextManager[Any]]":
        env = {name: await self._value(value) for name, value in spec.env.items()}
        headers = {name: await self._value(value) for name, value in spec.headers.items()}
        if spec.command:
            from legion_core.agent.mcp.pipe import child_environment, piped

            child = child_environment(self._env, env)
            return lambda ending: piped(spec, child, self._supervisor, ending)
        from legion_core.agent.mcp.sign_in import NotNow, SignInNeeded
        from legion_core.agent.mcp.web import webbed

        live, kept = self._of(spec.name), self._kept(spec) if self._store is not None else None
        has_tokens = kept is not None and bool((await kept.found()).token)
        live.wants_sign_in, live.is_signed_in = False, has_tokens or sign_in is not None

        def refused() -> None:
            live.wants_sign_in = True
            raise SignInNeeded(spec.name)

        # Without a user nothing is opened and nobody registered: tokens are renewed, or the server waits.
        quiet = NotNow(spec.name, refused) if has_tokens else None
        return lambda ending: webbed(
            spec,
            headers,
            sign_in=sign_in or quiet,
            kept=kept,
            on_refusal=refused,
            on_forgotten=ending.forgotten,
        )

    async def _value(self, text: str) -> str:
        return await self._secret(text) if _REFERENCE.match(text) else text

    def _over(self, name: str, ended: "Link") -> None:
        live = self._live.get(name)
        if live is None or live.link is not ended:
            return
        live.link = None
        live.said = prints.cleaned(ended.ending.said.decode("utf-8", "replace"))
        if ended.ending.problem:
            self._failed(live, ended.ending.problem)
            self._tell(name, "failed")
        else:
            self._tell(name, "asleep")

    def _failed(self, live: _Live, problem: str) -> None:
        live.failures += 1
        live.problem = prints.cleaned(problem, 600)
        pause_s = min(BACKOFF_FIRST_S * 2 ** (live.failures - 1), BACKOFF_MAX_S)
        live.not_before_s = self._clock.monotonic_s() + pause_s

    def _changed(self, name: str) -> None:
        """It says that its tools changed: they are read before anything of it is called again.

        Once for all that it says while they are being read.
        """
        live = self._live.get(name)
        if live is None:
            return
        live.has_news = True
        if live.rereading is None or live.rereading.done():
            live.rereading = self._supervisor.spawn("mcp.reread", self._reread(name, live))

    async def _reread(self, name: str, live: _Live) -> None:
        while live.has_news and live.link is not None:
            live.has_news, link = False, live.link
            try:
                raw = tuple(sorted(await link.tools(), key=lambda tool: str(tool.get("name"))))
            except LegionError as error:
                # What it offers now is not known, so it is not what the user said yes to.
                link.ending.over(error.sentence())
                self._over(name, link)
                return
            if raw != live.raw:
                live.raw = raw
                self._tell(name, self._row(await self._entry(name)).state)

    async def _end_idle(self) -> None:
        """End what nobody called for a while; runs only while something is connected."""
        while any(live.link is not None for live in self._live.values()):
            now_s = self._clock.monotonic_s()
            due = [live.used_s + IDLE_S - now_s for live in self._live.values() if live.link is not None]
            await asyncio.sleep(max(min(due), 1.0))
            now_s = self._clock.monotonic_s()
            for name, live in tuple(self._live.items()):
                if live.link is not None and not live.running and live.used_s + IDLE_S <= now_s:
                    await self._close(name)

    async def _close(self, name: str) -> None:
        live = self._live.get(name)
        if live is not None and live.link is not None:
            link, live.link = live.link, None
            await link.close()

    async def stop(self) -> None:
        """End them all; idempotent."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        for name in tuple(self._sign_ins):
            await self._end_sign_in(name)
        for name in tuple(self._live):
            await self._close(name)

    # Telling

    def _of(self, name: str) -> _Live:
        return self._live.setdefault(name, _Live())

    async def _entry(self, name: str) -> Entry:
        entries = await self._book.all()
        if name not in entries:
            there = ", ".join(sorted(entries)) or "none"
            raise NotFound(f"There is no server {name[:80]!r}.", hint=f"Registered: {there}.")
        return entries[name]

    def _difference(self, entry: Entry, live: _Live) -> Difference:
        if not entry.launch:
            return Difference()
        tools = _prints(live.raw) if live.raw is not None else entry.tools
        return prints.difference(entry.spec, tools, entry.launch, entry.tools)

    def _row(self, entry: Entry) -> ServerRow:
        spec, live = entry.spec, self._live.get(entry.spec.name) or _Live()
        raw = live.raw if live.raw is not None else entry.raw
        tools, changed = _prints(raw), self._difference(entry, live)
        return ServerRow(
            name=spec.name,
            spec=spec,
            state=_state(entry, live, changed),
            fingerprint=prints.whole_print(spec, tools) if live.raw is not None or entry.launch else "",
            approved=prints.whole_print_of(entry.launch, entry.tools) if entry.launch else "",
            tools=_infos(spec.name, raw),
            difference=changed,
            software=live.software,
            protocol=live.protocol,
            starts=live.starts,
            failures=live.failures,
            problem=live.problem,
            is_signed_in=live.is_signed_in,
            said=live.said,
            changes=changes_since(entry, raw) if changed != Difference() else (),
            approved_at=entry.approved_at,
        )

    def _told(self, entry: Entry) -> ServerRow:
        row = self._row(entry)
        self._tell(row.name, row.state)
        return row

    def _tell(self, name: str, state: State) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(ServerChanged(at_utc=at_utc, at_mono_s=at_mono_s, name=name, state=state))

    def _offer(self, entries: Mapping[str, Entry]) -> None:
        """Make the approved tools functions of the engine."""
        offered = [
            (info, entry.spec)
            for entry in entries.values()
            if entry.launch and entry.spec.is_on
            for info in _infos(entry.spec.name, entry.raw)
        ]
        self._registry.offer(extension_of(offered, self.call))


def _state(entry: Entry, live: _Live, changed: Difference) -> State:
    if not entry.spec.is_on:
        return "off"
    if live.link is None and live.wants_sign_in:
        return "signin"
    if live.link is None and live.problem:
        return "failed"
    if not entry.launch:
        return "waiting" if live.raw is not None else "new"
    if changed != Difference():
        return "changed"
    return "ready" if live.link is not None else "asleep"


def checked(spec: ServerSpec) -> None:
    """Whether this can be a server at all; InvalidInput names the field."""
    if not NAME.match(spec.name):
        raise InvalidInput("`name` is lower-case letters, digits and underscores, beginning with a letter.")
    if bool(spec.command) == bool(spec.url):
        raise InvalidInput("A server is a program (`command`) or an address (`url`), one of the two.")
    _checked_launch(spec)
    if spec.url:
        parts = urlsplit(spec.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise InvalidInput("`url` is an http or https address without a password in it.")
    if not 1.0 <= spec.timeout_s <= TIMEOUT_S_MAX:
        raise InvalidInput(f"`timeout_s` is from 1 to {TIMEOUT_S_MAX:.0f}.")
    if not 100 <= spec.result_chars_max <= RESULT_CHARS_MAX:
        raise InvalidInput(f"`result_chars_max` is from 100 to {RESULT_CHARS_MAX:,}.")


def _checked_launch(spec: ServerSpec) -> None:
    words = (*spec.command, spec.cwd, *spec.env.values(), *spec.headers.values())
    if len(spec.command) > WORDS_MAX or any("\0" in word or len(word) > 8_192 for word in words):
        raise InvalidInput(
            f"`command` has at most {WORDS_MAX} words, none with a zero byte or over 8,192 characters."
        )
    if spec.command and not spec.command[0].strip():
        raise InvalidInput("`command` begins with a program.")
    # What a word such as ./server means changes with the folder that somebody starts the workbench in.
    if (
        spec.command
        and Path(spec.command[0]).name != spec.command[0]
        and not Path(spec.command[0]).is_absolute()
    ):
        raise InvalidInput("`command` begins with the name of a program or with its whole path.")
    if spec.cwd and not Path(spec.cwd).is_absolute():
        raise InvalidInput("`cwd` is the whole path of a folder.")
    for name in spec.env:
        if not _ENV_NAME.match(name):
            raise InvalidInput(f"{name[:60]!r} is not the name of a variable.")
        if _LOADERS.match(name):
            raise InvalidInput(f"{name} changes which program is run; it cannot be set here.")


def changes_since(entry: Entry, raw: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
    """Between what the user said yes to and what is now: the launch, and each tool in its own words."""
    from legion_core.agent.changes import difference

    found: list[Change] = []
    if entry.said_yes_to is not None and prints.launch_print(entry.spec) != entry.launch:
        found.append(difference("How it is started", _launch(entry.said_yes_to), _launch(entry.spec)))
    was = {str(tool.get("name", "")): tool for tool in entry.raw}
    now = {str(tool.get("name", "")): tool for tool in raw}
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            found.append(
                difference(prints.cleaned(f"Tool {name}", 140), _told(was.get(name)), _told(now.get(name)))
            )
        if len(found) >= CHANGES_MAX:
            break
    return tuple(found)


def _launch(spec: ServerSpec) -> str:
    """Every word that is run, with the names of its variables and headers; never their values."""
    lines = [*(f"word {word}" for word in spec.command), *([f"address {spec.url}"] if spec.url else [])]
    lines += [f"folder {spec.cwd}"] if spec.cwd else []
    # A value may be a key; that it changed shows by its mark.
    lines += [f"variable {name} {_mark(value)}" for name, value in sorted(spec.env.items())]
    lines += [f"header {name} {_mark(value)}" for name, value in sorted(spec.headers.items())]
    return "\n".join([*lines, *(["signs in"] if spec.oauth else [])])


def _mark(value: str) -> str:
    return value if _REFERENCE.match(value) else f"#{prints.text_print(value)[:8]}"


def _told(tool: Mapping[str, Any] | None) -> str:
    return "" if tool is None else msgspec.json.format(msgspec.json.encode(tool), indent=2).decode()


def words_of(changed: Difference) -> str:
    """What changed, in words."""
    parts = [
        f"{verb} {', '.join(prints.cleaned(name, 60) for name in names[:5])}{' …' if len(names) > 5 else ''}"
        for verb, names in (
            ("new:", changed.added),
            ("gone:", changed.removed),
            ("changed:", changed.changed),
        )
        if names
    ]
    if changed.is_launch_changed:
        parts.append("how it is started")
    return "; ".join(parts)


def _prints(raw: tuple[dict[str, Any], ...]) -> dict[str, str]:
    return {str(tool.get("name", "")): prints.tool_print(tool) for tool in raw}


def _infos(server: str, raw: tuple[dict[str, Any], ...]) -> tuple[ToolInfo, ...]:
    functions = prints.function_names(server, [str(tool.get("name", "")) for tool in raw])
    return tuple(prints.tool_info(tool, functions[str(tool.get("name", ""))]) for tool in raw)


def _owner(who: Principal) -> None:
    """A file, a model, another program or a narrower token never decides what is started on this computer."""
    if who.carrier not in ("owner", "local"):
        raise Denied(
            f"{who.name} may not change which servers are used: only the owner may.",
            hint="Do it in the window, or by the owner's own command line.",
        )
