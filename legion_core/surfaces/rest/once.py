"""Idempotency-Key: the same POST under the same key is done once and answered the same way twice."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, InvalidInput, LimitReached
from legion_core.surfaces.rest.calls import Raw
from legion_core.surfaces.rest.limits import Limits

KEY_MAX = 200


@dataclass(slots=True)
class _Entry:
    fingerprint: bytes
    since_s: float
    done: asyncio.Event
    answer: Raw | None = None


class Once:
    """Keeps answers by caller, route and key: at most `idempotency_kept`, for a day, in memory."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._entries: OrderedDict[tuple[str, str, str], _Entry] = OrderedDict()

    async def run(
        self, who: str, route: str, key: str, body: bytes, work: Callable[[], Awaitable[Raw]]
    ) -> Raw:
        """The answer of the first such request; a second one meanwhile waits for it.

        Another body under the same key is InvalidInput. A 5xx or a cancelled request is not kept: it may be tried
        again.
        """
        if not key.isascii() or not key.isprintable() or len(key) > KEY_MAX:
            raise InvalidInput(f"Idempotency-Key must be 1 to {KEY_MAX} printable ASCII characters.")
        self._forget_old()
        where = (who, route, key)
        fingerprint = hashlib.sha256(body).digest()
        while (entry := self._entries.get(where)) is not None:
            if entry.fingerprint != fingerprint:
                raise Conflict("This Idempotency-Key was used with another body.", hint="Use a new key.")
            if entry.answer is not None:
                return entry.answer
            await entry.done.wait()
        entry = _Entry(fingerprint, self._clock.monotonic_s(), asyncio.Event())
        self._make_room()
        self._entries[where] = entry
        try:
            answer = await work()
            if answer.status < 500 and len(answer.body) <= self._limits.idempotency_bytes_max:
                entry.answer = answer
            return answer
        finally:
            if entry.answer is None:
                del self._entries[where]
            entry.done.set()

    def _forget_old(self) -> None:
        horizon = self._clock.monotonic_s() - self._limits.idempotency_s
        while self._entries:
            where, entry = next(iter(self._entries.items()))
            if entry.since_s > horizon or entry.answer is None:
                return
            del self._entries[where]

    def _make_room(self) -> None:
        if len(self._entries) < self._limits.idempotency_kept:
            return
        for where, entry in self._entries.items():
            if entry.answer is not None:
                del self._entries[where]
                return
        raise LimitReached("Too many requests with an Idempotency-Key are under way.")
