"""Other programs on this computer, connected to this workbench and let go again. Cheap until used."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from legion_core.api.connect_types import (
    Change,
    ClientRow,
    ConnectChanged,
    DiffLine,
    Ending,
    FileChange,
    FileEnding,
    Form,
    Part,
    Undone,
)
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Denied, NotFound
from legion_core.kernel.events import EventBus
from legion_core.kernel.files import write_atomically
from legion_core.kernel.ports import LOCAL_OWNER, Principal
from legion_core.kernel.redact import redact
from legion_core.storage.calls import in_thread

if TYPE_CHECKING:
    from legion_core.api.audit import Audit
    from legion_core.api.tokens import Tokens
    from legion_core.connect import service

SCOPES = ("connected-app",)


class Connect:
    """See the module. What touches other programs' files runs in a thread, one at a time."""

    def __init__(self, desk: "Callable[[], Desk]", tokens: "Tokens", audit: "Audit", bus: EventBus) -> None:
        self._make = desk
        self._made: Desk | None = None
        self._tokens = tokens
        self._audit = audit
        self._bus = bus
        self._one_at_a_time = asyncio.Lock()

    async def list(self) -> tuple[ClientRow, ...]:
        """Every program we know how to connect, and how it is now."""
        desk = self._desk()
        return await in_thread("connect", desk.rows)

    async def preview(self, client: str, parts: Sequence[Part] = (), form: Form = "stdio") -> Change:
        """What `apply` would do; nothing is changed. NotFound, ConfigError (with line and column), Unsupported."""
        desk = self._desk()
        return await in_thread("connect", lambda: desk.preview(client, parts, form))

    async def snippet(self, client: str, parts: Sequence[Part] = (), form: Form = "stdio") -> str:
        """What a person may copy into the file by hand."""
        desk = self._desk()
        return await in_thread("connect", lambda: desk.connector.snippet(client, parts, form))

    async def apply(
        self, client: str, parts: Sequence[Part] = (), form: Form = "stdio", who: Principal = LOCAL_OWNER
    ) -> Change:
        """Write our entries, and remember how the files were. `parts` empty: those that change nothing else.

        Raises ConfigError for a file that cannot be read (with line and column), Denied for one that may not be
        written or for anybody but the owner, NotFound where it is not installed. Then nothing was changed.
        """
        _owner(who)
        desk = self._desk()
        async with self._one_at_a_time:
            preview = await in_thread("connect", lambda: desk.preview(client, parts, form, is_applied=True))
            paths = ", ".join(each.path for each in preview.files)
            await self._audit.note("connect.applied", f"connect/{client}", "manage", "done", paths, who.name)
            if not await in_thread("connect", lambda: desk.has_key(client)):
                await self._renew_key(desk, client, preview.title)
            change = await in_thread("connect", lambda: desk.apply(client, parts, form))
        self._tell(client)
        return change

    async def undo(self, client: str, who: Principal = LOCAL_OWNER) -> Undone:
        """Take out what was written, revoke the program's token, and say how each file was left; NotFound, Denied."""
        _owner(who)
        desk = self._desk()
        async with self._one_at_a_time:
            undone = await in_thread("connect", lambda: desk.undo(client))
            paths = ", ".join(f"{each.path} {each.ending}" for each in undone.files)
            await self._audit.note("connect.undone", f"connect/{client}", "manage", "done", paths, who.name)
            await self._forget_key(desk, client)
        self._tell(client)
        return undone

    async def key(self, client: str, who: Principal = LOCAL_OWNER) -> str:
        """The token of a connected program, for the settings of one that takes it by hand; NotFound."""
        _owner(who)
        desk = self._desk()
        return await in_thread("connect", lambda: desk.key(client))

    def command(self) -> tuple[str, ...]:
        """What a program starts to speak MCP with this installation: an absolute path and its arguments."""
        return (*self._desk().own, "mcp")

    async def _renew_key(self, desk: "Desk", client: str, title: str) -> None:
        live = {row.name for row in await self._tokens.list() if row.state == "active"}
        if client in live:  # its secret is lost, so it opens nothing for anybody
            await self._tokens.revoke(client)
        made = await self._tokens.create(client, SCOPES, client=title)
        await in_thread("connect", lambda: desk.keep_key(client, made.secret))

    async def _forget_key(self, desk: "Desk", client: str) -> None:
        await in_thread("connect", lambda: desk.drop_key(client))
        if any(row.name == client and row.state == "active" for row in await self._tokens.list()):
            await self._tokens.revoke(client)

    def _desk(self) -> "Desk":
        if self._made is None:
            self._made = self._make()
        return self._made

    def _tell(self, client: str) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(ConnectChanged(at_utc=at_utc, at_mono_s=at_mono_s, client=client))


class Desk:
    """The files themselves, for whoever has a thread to wait in: the node, and the command line without one.

    `home` is the data directory; `base` gives the node's address, such as `http://127.0.0.1:4567`.
    """

    def __init__(
        self,
        home: Path,
        env: Mapping[str, str],
        clock: Clock,
        base: Callable[[], str],
        own: tuple[str, ...] = (),
    ) -> None:
        from legion_core.connect.clients import Offer
        from legion_core.connect.service import Connector, surroundings

        self._keys = home / "tokens"
        extra = {"LEGION_HOME": str(home)} if env.get("LEGION_HOME", "").strip() else {}
        own = self.own = own or installation(env)

        def offer(client: str) -> Offer:
            return Offer(
                command=(*own, "mcp", "--client", client),
                base=base(),
                key_command=(*own, "connect", "key", client, *("--home" for _ in extra), *extra.values()),
                key_path=str(self._keys / client),
                env=extra,
            )

        where = surroundings(env, sys.platform)
        self._person = str(where.home)
        path = env.get("PATH")
        self.connector: Connector = Connector(
            home / "connect", where, offer, clock, lambda name: shutil.which(name, path=path)
        )

    def rows(self) -> tuple[ClientRow, ...]:
        """Every client."""
        return tuple(_row(look) for look in self.connector.looks())

    def preview(self, client: str, parts: Sequence[Part], form: Form, *, is_applied: bool = False) -> Change:
        """See `Connect.preview`; with `is_applied`, refused for a program that is not installed."""
        if is_applied:
            self.connector.refuse_missing(client)
        return self._told(client, self.connector.preview(client, parts, form), parts)

    def apply(self, client: str, parts: Sequence[Part], form: Form) -> Change:
        """See `Connect.apply`."""
        return self._told(client, self.connector.apply(client, parts, form), parts)

    def undo(self, client: str) -> Undone:
        """See `Connect.undo`."""
        from legion_core.connect.clients import find

        endings = self.connector.undo(client)
        files = tuple(FileEnding(path=str(path), ending=ending) for path, ending in endings.items())
        title = find(client).title
        return Undone(client=client, title=title, files=files, words=_words(title, files, self._person))

    def has_key(self, client: str) -> bool:
        """Whether a token is kept for it."""
        return self._key_path(client).is_file()

    def key(self, client: str) -> str:
        """Its token; NotFound."""
        try:
            return self._key_path(client).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise NotFound(
                f"No key is kept for {client!r}.", hint=f"Connect it first: legion connect apply {client}"
            ) from None

    def keep_key(self, client: str, secret: str) -> None:
        """Keep its token where only this user can read it."""
        self._keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self._key_path(client), f"{secret}\n".encode())

    def drop_key(self, client: str) -> None:
        """Forget its token."""
        self._key_path(client).unlink(missing_ok=True)

    def _key_path(self, client: str) -> Path:
        from legion_core.connect.clients import find

        return self._keys / find(client).name

    def _told(self, client: str, changes: "tuple[service.FileChange, ...]", parts: Sequence[Part]) -> Change:
        from legion_core.connect.clients import find
        from legion_core.connect.service import default_parts

        program = find(client)
        notes = [program.restart]
        if "models" in (parts or default_parts(program)) and program.after:
            notes.append(program.after)
        return Change(
            client=client,
            title=program.title,
            files=tuple(_file(each, self._person) for each in changes),
            notes=tuple(notes),
        )


def installation(env: Mapping[str, str]) -> tuple[str, ...]:
    """Argv of this installation's own command, as an absolute path that outlives this process."""
    if bundle := env.get("APPIMAGE", ""):
        return (bundle,)
    if getattr(sys, "frozen", False):
        return (sys.executable,)
    script = Path(sys.executable).with_name("legion.exe" if sys.platform == "win32" else "legion")
    if script.is_file():
        return (str(script),)
    found = shutil.which("legion", path=env.get("PATH"))
    return (found,) if found else (sys.executable, "-m", "app")


def _owner(who: Principal) -> None:
    if who.carrier not in ("owner", "local"):
        raise Denied(f"{who.name} may not change what other programs are connected: only the owner may.")


def _row(look: "service.Look") -> ClientRow:
    return ClientRow(
        name=look.client.name, title=look.client.title, letter=look.client.letter, state=look.state,
        problem=look.problem, paths=tuple(map(str, look.paths)), parts=look.parts, form=look.form,
        models=look.client.models, no_models=look.client.no_models, applied_at=look.applied_at, link=look.link,
    )  # fmt: skip


def _file(change: "service.FileChange", person: str) -> FileChange:
    lines = tuple(
        DiffLine(sign=each.sign, number=each.number, text=redact(each.text)) for each in change.lines
    )
    return FileChange(
        path=str(change.path), shown=_shown(str(change.path), person), is_new=change.is_new, lines=lines,
        added=sum(each.sign == "+" for each in lines), removed=sum(each.sign == "-" for each in lines),
    )  # fmt: skip


def _shown(path: str, person: str) -> str:
    return path.replace(person + os.sep, "~" + os.sep)


def _words(title: str, files: tuple[FileEnding, ...], person: str) -> str:
    told: dict[Ending, str] = {
        "restored": "is byte for byte what it was",
        "cleaned": "was changed by others since, so only our keys were taken out",
        "gone": "held nothing of ours any more",
    }
    each = [f"{_shown(file.path, person)} {told[file.ending]}." for file in files]
    return " ".join((f"{title} is not connected any more.", *each))
