"""Policies and tokens as a service: loads, changes and explains them, and records each change with the change itself.

A policy lives in `LEGION_HOME/policy.toml`. It is read at the start and whenever the file has changed by the time somebody
else than the owner asks for something. A faulty, unreadable or missing file changes nothing: the last sound policy stays in
force, over a restart too, until another sound one comes or `remove_policy` takes it away on purpose.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import ConfigError, InvalidInput, LegionError, NotFound
from legion_core.kernel.events import Event, EventBus
from legion_core.kernel.files import write_atomically
from legion_core.kernel.ids import Ids, Rng
from legion_core.kernel.ports import OWNER, Principal
from legion_core.rbac import tokens as store
from legion_core.rbac.audit import AuditLog
from legion_core.rbac.audit_chain import Note
from legion_core.rbac.authorizer import PolicyAuthorizer
from legion_core.rbac.policy import SIZE_BYTES_MAX, Policy, Verdict, parse
from legion_core.rbac.tokens import Token, TokenRow
from legion_core.storage.calls import in_thread
from legion_core.storage.failures import from_os
from legion_core.storage.sqlite import Connection, Database

log = logging.getLogger("legion.rbac")

FILE: Final = "policy.toml"
LOOK_S: Final = 0.25  # how stale a decision may be after another process, or an editor, changed something
SAME_S: Final = 10.0  # one refusal that comes again and again is recorded once in so long
SAME_MAX: Final = 2_000
EXPIRES_MAX_S: Final = 10 * 366 * 86_400.0


class RightsChanged(Event, frozen=True, kw_only=True):
    """Who may do what has changed: the policy, or a token."""

    what: str


class TokenEnded(Event, frozen=True, kw_only=True):
    """A token was revoked: what was opened with it is to be closed."""

    token: str
    subject: str


class PolicyState(msgspec.Struct, frozen=True, kw_only=True):
    """The policy in force, and what is wrong with the file where that is another one."""

    path: str
    text: str
    is_in_force: bool
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A new token. `secret` is not kept and not shown again."""

    secret: str
    row: TokenRow

    def __repr__(self) -> str:
        return f"Made({self.row.name!r})"


class Rbac:
    """See the module. All methods belong to the loop's thread."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        rng: Rng,
        bus: EventBus,
        database: Database,
        home: Path,
        audit: AuditLog,
        read_now: Callable[[], tuple[list[Token], str | None]],
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._rng = rng
        self._bus = bus
        self._database = database
        self._path = home / FILE
        self._mark = home / "run" / "rights"
        self._audit = audit
        self._read_now = read_now
        self._text = ""
        self._faults: tuple[str, ...] = ()
        self._looked_s = -LOOK_S
        self._seen: tuple[int, int, int, int] = (0, 0, 0, 0)
        self._used: dict[str, int] = {}
        self.on_end: Callable[[str], None] | None = None  # closes what is open for a token that ended
        self._refused: dict[tuple[str, str, str], float] = {}
        self.authorizer = PolicyAuthorizer(
            clock, denied=self._on_denied, granted=self._on_granted, refresh=self._refresh
        )

    async def start(self) -> None:
        """Read what is in force. Never fails for a fault in the policy: then the last sound one counts."""
        tokens, kept = await self._database.read(lambda c: (store.every(c), store.last_policy(c)))
        self.authorizer.put_tokens(tokens)
        if kept is not None:
            self._put(kept)
        self._seen = await asyncio.to_thread(self._look)
        self._reread(is_start=True)
        if any(token.revoked_ms is None for token in tokens):
            self._audit.warm()

    async def aclose(self) -> None:
        """Keep when tokens were last used."""
        if used := list(self._used.items()):
            self._used = {}
            try:
                await self._database.write(lambda connection: store.note_used(connection, used))
            except LegionError as error:
                log.info("when tokens were last used is not kept: %s", error.sentence())

    # Tokens

    def principal(self, secret: str) -> Principal | None:
        """Whose live token this is; None if nobody's."""
        token = self.authorizer.resolve(secret)
        if token is None:
            return None
        self._used[token.id] = self._now_ms()
        return Principal(name=token.subject, carrier="token", token=token.id)

    def ends_in_s(self, who: Principal) -> float | None:
        """How long a token is still good for; None for ever."""
        token = self.authorizer.tokens.get(who.token)
        if token is None or token.expires_ms is None:
            return None
        return max(0.0, (token.expires_ms - self._now_ms()) / 1000)

    async def create_token(
        self, who: Principal, name: str, scopes: Sequence[str], client: str, expires_s: float | None
    ) -> Made:
        """A new one, in force when this returns. Raises Denied, InvalidInput, Conflict, LimitReached."""
        self.authorizer.authorise(who, "tokens", "manage")
        store.check_name(name)
        words = store.expanded(scopes)
        if expires_s is not None and not 0 < expires_s <= EXPIRES_MAX_S:
            raise InvalidInput("A token lasts for more than no time and at most ten years.")
        if len(client) > 128 or not client.isprintable():
            raise InvalidInput("`client` has at most 128 printable characters.")
        secret, now_ms = store.fresh_secret(self._rng), self._now_ms()
        token = Token(
            id=self._ids.new("tok"), name=name, subject=name, digest=store.fingerprint(secret), tail=secret[-4:],
            scopes=words, rules=(), client=client, created_ms=now_ms,
            expires_ms=None if expires_s is None else now_ms + round(expires_s * 1000), revoked_ms=None, used_ms=None,
        )  # fmt: skip
        await self._audit.ready()

        def work(connection: Connection) -> Token:
            made = store.insert(connection, token)
            said = f"{' '.join(made.scopes) or 'no scopes'}{f'; client {client}' if client else ''}"
            self._audit.record_in(connection, [self._note("token.created", who, made.subject, said)])
            return made

        made = await self._database.write(work)
        await self._tokens_changed("token created")
        return Made(secret, TokenRow.of(made, now_ms))

    async def revoke_token(self, who: Principal, name: str) -> TokenRow:
        """End it. From here on every request of it is refused, and what it holds open is closed. NotFound."""
        self.authorizer.authorise(who, "tokens", "manage")
        now_ms = self._now_ms()
        await self._audit.ready()

        def work(connection: Connection) -> Token:
            ended = store.revoke(connection, name, now_ms)
            self._audit.record_in(connection, [self._note("token.revoked", who, ended.subject, "")])
            return ended

        ended = await self._database.write(work)
        await self._tokens_changed("token revoked")
        if self.on_end is not None:
            self.on_end(ended.id)
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(
            TokenEnded(at_utc=at_utc, at_mono_s=at_mono_s, token=ended.id, subject=ended.subject)
        )
        return TokenRow.of(ended, now_ms)

    async def tokens(self) -> tuple[TokenRow, ...]:
        """All, live ones first, by name."""
        await self.aclose()
        found = await self._database.read(store.every)
        now_ms = self._now_ms()
        rows = [TokenRow.of(token, now_ms) for token in found]
        return tuple(sorted(rows, key=lambda row: (row.state != "active", row.name, row.created_at)))

    # The policy

    async def policy(self) -> PolicyState:
        """What is in force, and what is wrong with the file if that is another."""
        self._reread()
        return PolicyState(
            path=str(self._path), text=self._text, is_in_force=self.authorizer.is_policy, faults=self._faults
        )

    async def apply_policy(self, who: Principal, text: str) -> Policy:
        """Put a policy in force: all of it, or ConfigError with every fault and its line and nothing changed."""
        self.authorizer.authorise(who, "rbac", "manage")
        policy = parse(text)
        await self._keep(
            who, text, "policy.applied", f"{len(policy.roles)} roles, {len(policy.assignments)} assignments"
        )

        def save() -> None:
            try:
                write_atomically(self._path, text.encode())
            except OSError as error:
                raise from_os(error, self._path) from error

        await in_thread("policy", save)
        self._faults = ()
        self._put(text)
        self._seen = await asyncio.to_thread(self._touch)
        self._tell("policy")
        return policy

    async def remove_policy(self, who: Principal) -> None:
        """Take the policy away on purpose; tokens then have their scopes alone."""
        self.authorizer.authorise(who, "rbac", "manage")
        if not self.authorizer.is_policy and not self._path.exists():
            raise NotFound("There is no policy.")
        await self._keep(who, "", "policy.removed", "")
        await in_thread("policy", lambda: self._path.unlink(missing_ok=True))
        self._text, self._faults = "", ()
        self.authorizer.put_policy(None)
        self._seen = await asyncio.to_thread(self._touch)
        self._tell("policy")

    def check(self, subject: str, path: str, action: str) -> Verdict:
        """What would be decided, and which rule decides."""
        return self.authorizer.explain(subject, path, action)

    def preview(
        self, text: str, asked: Sequence[tuple[str, str]]
    ) -> list[tuple[str, str, str, Verdict, Verdict]]:
        """What a policy would change: `(subject, path, action, now, then)` for every subject there is or it names."""
        policy = parse(text)
        other = PolicyAuthorizer(self._clock)
        other.put_tokens(tuple(self.authorizer.tokens.values()))
        other.put_policy(policy)
        live = {token.subject for token in self.authorizer.tokens.values() if token.revoked_ms is None}
        named = {each.subject for each in (*policy.assignments, *self.authorizer.policy.assignments)} - {"*"}
        return [
            (subject, path, action, self.check(subject, path, action), other.explain(subject, path, action))
            for subject in sorted(live | named)
            for path, action in asked
        ]

    # Within

    async def _keep(self, who: Principal, text: str, kind: str, detail: str) -> None:
        now_ms = self._now_ms()
        await self._audit.ready()

        def work(connection: Connection) -> None:
            store.keep_policy(connection, text, now_ms, who.name)
            self._audit.record_in(connection, [self._note(kind, who, FILE, detail)])

        await self._database.write(work)

    def _put(self, text: str) -> None:
        try:
            self.authorizer.put_policy(parse(text))
        except ConfigError as error:  # kept by a version that knew more: nothing of it may be guessed
            self._faults = error.faults
            self.authorizer.put_policy(Policy())
        self._text = text

    async def _tokens_changed(self, what: str) -> None:
        self.authorizer.put_tokens(await self._database.read(store.every))
        self._seen = await asyncio.to_thread(self._touch)
        self._tell(what)

    def _tell(self, what: str) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(RightsChanged(at_utc=at_utc, at_mono_s=at_mono_s, what=what))

    def _refresh(self) -> None:
        """Before a decision: has another process changed something, or an editor the file? Two looks a quarter of a second."""
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        seen = self._look()
        if seen == self._seen:
            return
        before, self._seen = self._seen, seen
        if seen[2:] != before[2:]:
            tokens, kept = self._read_now()
            self.authorizer.put_tokens(tokens)
            if kept is None:
                self.authorizer.put_policy(None)
                self._text = ""
            elif kept != self._text:
                self._put(kept)
        self._reread()

    def _reread(self, *, is_start: bool = False) -> None:
        """Read the file; a sound one that differs comes into force, of any other only its faults are known."""
        try:
            with self._path.open("rb") as stream:
                content = stream.read(SIZE_BYTES_MAX + 1)
            text = content.decode()
            if text == self._text:
                self._faults = ()
                return
            parse(text)
        except FileNotFoundError:
            if self.authorizer.is_policy and not self._faults:
                self._amiss(("the file is gone; the policy it held stays in force",))
            return
        except ConfigError as error:
            self._amiss(error.faults)
            return
        except (OSError, UnicodeDecodeError) as error:
            self._amiss((f"the file cannot be read: {error}",))
            return
        self._faults = ()
        self._put(text)
        now_ms = self._now_ms()
        self._audit.note_nowait(
            self._note("policy.loaded", OWNER, FILE, "at the start" if is_start else "the file was changed"),
            lambda connection: store.keep_policy(connection, text, now_ms, "owner"),
        )

    def _amiss(self, faults: tuple[str, ...]) -> None:
        if faults == self._faults:
            return
        self._faults = faults
        log.warning("%s is not in force, what was before it is: %s", self._path, "; ".join(faults[:3]))
        self._audit.note_nowait(
            Note(
                kind="policy.refused",
                who="workbench",
                path=FILE,
                action="load",
                outcome="failed",
                detail="; ".join(faults),
            )
        )
        if not self.authorizer.is_policy:
            self.authorizer.block(f"{FILE} has faults, and there was no policy before it.")

    def _look(self) -> tuple[int, int, int, int]:
        return (*_stamp(self._path), *_stamp(self._mark))

    def _touch(self) -> tuple[int, int, int, int]:
        try:
            self._mark.parent.mkdir(mode=0o700, exist_ok=True)
            self._mark.write_text(self._ids.new(), encoding="ascii")
        except OSError as error:
            log.warning("other processes will not hear of changed rights: %s", error)
        return self._look()

    def _on_denied(self, who: Principal, path: str, action: str, verdict: Verdict) -> None:
        self._decided("access.denied", "denied", who, path, action, verdict)

    def _on_granted(self, who: Principal, path: str, action: str, verdict: Verdict) -> None:
        self._decided("access.granted", "granted", who, path, action, verdict)

    def _decided(
        self, kind: str, outcome: str, who: Principal, path: str, action: str, verdict: Verdict
    ) -> None:
        now_s = self._clock.monotonic_s()
        key = (who.name, path, f"{kind} {action}")
        if now_s - self._refused.get(key, -SAME_S) < SAME_S:
            return
        if len(self._refused) >= SAME_MAX:
            self._refused = {}
        self._refused[key] = now_s
        self._audit.note_nowait(
            Note(kind=kind, who=who.name, path=path, action=action, outcome=outcome, detail=verdict.why)
        )

    def _note(self, kind: str, who: Principal, what: str, detail: str) -> Note:
        return Note(kind=kind, who=who.name, path=what, action=kind.rpartition(".")[2], detail=detail)

    def _now_ms(self) -> int:
        return int(self._clock.unix_s() * 1000)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    # The time of change too: nobody can put that back, as the time of writing can be.
    return found.st_mtime_ns, hash((found.st_size, found.st_ino, found.st_ctime_ns))
