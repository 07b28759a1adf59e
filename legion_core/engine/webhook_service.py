"""Inbound webhooks: a signed delivery starts a task or a chain, once, and is acknowledged when that is on disk."""

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec

from legion_core.engine import webhook_store as store
from legion_core.engine.reasons import because
from legion_core.engine.refusal import InvalidDocument
from legion_core.engine.schedule_plan import at_ms
from legion_core.engine.schedule_targets import Begin, Started, Targets
from legion_core.engine.transforms import arguments
from legion_core.engine.types import Reason
from legion_core.engine.webhook_signing import PREFIX, verify
from legion_core.engine.webhook_store import Hook
from legion_core.engine.webhook_types import WINDOW_MAX_S, Delivery, HookSpec, HookState
from legion_core.kernel.clock import Clock
from legion_core.kernel.config_check import Fault
from legion_core.kernel.errors import (
    Conflict,
    Denied,
    InvalidInput,
    LimitReached,
    NotFound,
    Unsupported,
)
from legion_core.kernel.ids import Rng
from legion_core.kernel.ports import Authorizer, Principal
from legion_core.storage.sqlite import Connection, Database

HOOKS_MAX = 1_000
SECRET_KEPT_S = 60.0  # a keyring is slow to ask
FIELDS_MAX = 1_000
_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
# Not for templates, and so not for the journal.
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key", "x-goog-api-key"})
_NOBODYS = "nobody's secret"

Secret = Callable[[str], Awaitable[str]]


class Unsigned(Denied):
    """The signature is missing, wrong, too old, or there is no such webhook: which of these is not told."""

    public_code = "unsigned"


class Webhooks:
    """See the module. `secret` gives the value behind a reference; `keep` keeps a new one and gives its reference."""

    def __init__(
        self,
        clock: Clock,
        rng: Rng,
        authorizer: Authorizer,
        database: Database,
        targets: Targets,
        secret: Secret,
        keep: Callable[[str, str], Awaitable[str]],
        forget: Callable[[str], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._authorizer = authorizer
        self._database = database
        self._targets = targets
        self._secret = secret
        self._keep = keep
        self._forget = forget
        self._secrets: dict[str, tuple[float, str]] = {}

    # Keeping

    async def add(self, who: Principal, spec: HookSpec) -> tuple[Hook, str]:
        """Keep a new one and give its secret, which is not shown again; empty where `spec` brings a reference.

        Raises Conflict (the name), InvalidDocument, NotFound (target, secret), Denied (no place for a secret).
        """
        self._authorizer.authorise(who, "hooks", "write")
        await self._check(spec)
        made = ""
        if await self._database.read(lambda connection: _is_taken(connection, spec.name)):
            raise Conflict(f"There is a webhook {spec.name!r} already.", hint="Remove it first.")
        if spec.secret:
            await self._secret(spec.secret)
        else:
            made = PREFIX + base64.b64encode(self._rng.getrandbits(256).to_bytes(32)).decode("ascii")
            spec = msgspec.structs.replace(spec, secret=await self._keep(_secret_name(spec.name), made))
        now_ms = self._now_ms()
        hook = Hook(spec=spec, who=who.name, state="active", created_ms=now_ms, changed_ms=now_ms)

        def work(connection: Connection) -> None:
            if store.count(connection) >= HOOKS_MAX:
                raise LimitReached(f"There are {HOOKS_MAX:,} webhooks, the most that are kept.")
            if not store.insert(connection, hook):
                raise Conflict(f"There is a webhook {spec.name!r} already.", hint="Remove it first.")

        await self._database.write(work)
        return hook, made

    async def set_state(self, who: Principal, name: str, state: HookState) -> Hook:
        """Active or paused; NotFound."""
        self._authorizer.authorise(who, "hooks", "write")
        now_ms = self._now_ms()
        return await self._database.write(lambda connection: store.set_state(connection, name, state, now_ms))

    async def remove(self, who: Principal, name: str) -> None:
        """Forget it, its deliveries and the secret that was made for it; NotFound."""
        self._authorizer.authorise(who, "hooks", "write")
        found = await self._database.write(lambda connection: store.remove(connection, name))
        self._secrets.pop(found.spec.secret, None)
        if found.spec.secret == f"keyring://{_secret_name(name)}":
            try:
                await self._forget(_secret_name(name))
            except NotFound:
                return  # somebody removed it by hand

    # Looking

    async def get(self, name: str) -> tuple[Hook, Delivery | None]:
        """One of them and its latest delivery; NotFound."""
        return await self._database.read(
            lambda connection: (store.named(connection, name), store.latest(connection, name))
        )

    async def all(self) -> list[tuple[Hook, Delivery | None]]:
        """By name, each with its latest delivery."""
        return await self._database.read(
            lambda connection: [
                (each, store.latest(connection, each.spec.name)) for each in store.every(connection)
            ]
        )

    async def page(self, name: str, below: int, limit: int) -> list[tuple[int, Delivery]]:
        """Its deliveries, latest first; NotFound."""
        return await self._database.read(lambda connection: store.page(connection, name, below, limit))

    # Receiving

    async def receive(
        self, name: str, headers: Mapping[str, str], query: Mapping[str, str], body: bytes
    ) -> Delivery:
        """Take a delivery: durable when this returns. Header names are in lower case.

        Raises Unsigned; Conflict while the webhook is paused; what stands in the way for a moment (LimitReached, a disk
        that refuses), so that the sender tries again. What the target refuses is kept as `blocked`.
        """
        try:
            hook = await self._database.read(lambda connection: store.named(connection, name))
            secret = await self._value(hook.spec.secret)
        except (NotFound, Denied) as error:
            # As much work as for a name there is: the time taken must not tell which names there are.
            verify("any", _NOBODYS, headers, body, 0.0)
            raise _unsigned() from error
        now = self._clock.utc_now()
        proof = verify(hook.spec.scheme, secret, headers, body, now.timestamp())
        if proof is None:
            raise _unsigned()
        if abs(proof.age_s) > hook.spec.window_s:
            raise Unsigned(
                f"The delivery was signed {abs(proof.age_s):,.0f} s from now; {hook.spec.window_s:,.0f} s are taken.",
                hint="Sign it with the date of its sending, and set the clocks.",
            )
        if hook.state == "paused":
            raise Conflict(f"The webhook {name} is paused.", hint="`legion hook resume` lets it go on.")
        known = await self._database.read(
            lambda connection: store.delivered(connection, name, proof.delivery)
        )
        if known is not None:
            return known
        payload = {
            "body": _read(body, headers.get("content-type", "")),
            "headers": {key: value for key, value in headers.items() if key not in _CREDENTIALS},
            "query": dict(query),
            "delivery": proof.delivery,
            "hook": name,
        }
        begin = await self._begin(hook, payload)

        def work(connection: Connection) -> tuple[Delivery, Started | None]:
            if (before := store.delivered(connection, name, proof.delivery)) is not None:
                return before, None
            started = None if isinstance(begin, Reason) else begin(connection)
            delivery = Delivery(
                hook=name,
                delivery=proof.delivery,
                at=now,
                status="blocked" if started is None else "started",
                task=started.task if started else "",
                run=started.run if started else "",
                reason=begin if isinstance(begin, Reason) else None,
                bytes=len(body),
            )
            store.note(connection, delivery)
            return delivery, started

        delivery, started = await self._database.write(work)
        if started is not None:
            self._targets.written((started,))
        return delivery

    async def _begin(self, hook: Hook, payload: Mapping[str, object]) -> Begin | Reason:
        spec = hook.spec
        body = payload["body"]
        if spec.args:
            rendered = arguments(dict(spec.args)).render(payload)
            if rendered.args is None:
                return rendered.reason or because("transform.invalid", what="it asks a model")
            args: Mapping[str, Any] = rendered.args
        else:
            args = cast("Mapping[str, Any]", body) if isinstance(body, dict) else {"body": body}
        try:
            return await self._targets.prepare(self._authorizer.named(hook.who), spec.target, args)
        except (NotFound, InvalidInput, Denied, Unsupported) as error:
            return because("schedule.refused", what=error.sentence())

    async def _value(self, reference: str) -> str:
        now_s = self._clock.monotonic_s()
        known = self._secrets.get(reference)
        if known is not None and known[0] > now_s:
            return known[1]
        value = await self._secret(reference)
        self._secrets[reference] = (now_s + SECRET_KEPT_S, value)
        return value

    async def _check(self, spec: HookSpec) -> None:
        found: list[Fault] = []
        if not _NAME.match(spec.name):
            found.append(
                Fault("name", "has 1 to 64 lower-case letters, digits, dots, dashes and underscores.")
            )
        if not 1 <= spec.window_s <= WINDOW_MAX_S:
            found.append(Fault("window_s", f"is 1 to {WINDOW_MAX_S:,.0f} seconds."))
        try:
            arguments(dict(spec.args))
        except InvalidDocument as error:
            found += error.faults
        if found:
            raise InvalidDocument("The webhook", found)
        await self._targets.exists(spec.target)

    def _now_ms(self) -> int:
        return at_ms(self._clock.utc_now())


def _secret_name(name: str) -> str:
    return f"hook-{name}"


def _is_taken(connection: Connection, name: str) -> bool:
    try:
        store.named(connection, name)
    except NotFound:
        return False
    return True


def _unsigned() -> Unsigned:
    return Unsigned(
        "The delivery is not signed rightly.", hint="docs/webhooks.md says what is signed and how."
    )


def _read(body: bytes, kind: str) -> Any:
    """The body as plain data: JSON, the fields of a form, or text."""
    media = kind.partition(";")[0].strip().lower()
    try:
        if media == "application/x-www-form-urlencoded":
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX))
            # GitHub and Slack put JSON into one field of a form.
            if set(fields) == {"payload"}:
                return msgspec.json.decode(fields["payload"])
            return fields
        if media.endswith("json") or body[:1] in (b"{", b"["):
            return msgspec.json.decode(body or b"null")
        return body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidInput(f"The body cannot be read as {media or 'text'}: {error}.") from error
