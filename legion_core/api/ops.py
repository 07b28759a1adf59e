"""The node itself: how it is, who may do what, and what a doctor would say."""

import hmac
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from legion_core import __version__
from legion_core.api.types import AnswerEnded, ChatMessage, Check, Lane, Status
from legion_core.gateway.service import Gateway
from legion_core.kernel.clock import Clock
from legion_core.kernel.events import EventBus
from legion_core.kernel.ports import NOBODY, OWNER, Authorizer, Principal

Examine = Callable[[], Awaitable[tuple[Check, ...]]]


class Ops:
    """Status, doctor and authority of one node."""

    def __init__(
        self,
        clock: Clock,
        bus: EventBus,
        gateway: Gateway,
        authorizer: Authorizer,
        *,
        home: Path,
        mode: str,
        token: str,
        token_path: str,
        examine: Examine,
        client: Callable[[str], Principal | None] = lambda _: None,
        ends_in_s: Callable[[Principal], float | None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._bus = bus
        self._gateway = gateway
        self._authorizer = authorizer
        self._home = home
        self._mode = mode
        self._token = token
        self._token_path = token_path
        self._examine = examine
        self._client = client
        self._ends_in_s = ends_in_s
        self._drop: Callable[[str], object] | None = None
        self._started_at: datetime = clock.utc_now()
        self._started_s = clock.monotonic_s()
        self._last = bus.subscribe(AnswerEnded, size_max=1, coalesce=lambda _: "last")
        self._last_answer: ChatMessage | None = None
        self.url = ""
        self.problem = ""

    async def status(self) -> Status:
        """The node at a glance."""
        spent, unknown = await self._gateway.ledger.spent_today()
        answer = self._latest()
        speed = None
        if answer is not None and answer.usage and answer.duration_s:
            speaking_s = answer.duration_s - (answer.first_token_s or 0.0)
            speed = answer.usage.output_tokens / speaking_s if speaking_s > 0 else None
        first = self._first_lane()
        return Status(
            version=__version__,
            pid=os.getpid(),
            mode=self._mode,
            started_at=self._started_at,
            uptime_s=self._clock.monotonic_s() - self._started_s,
            url=self.url,
            token_path=self._token_path,
            home=str(self._home),
            model=answer.model if answer else (first.offer.id if first else ""),
            tier=answer.tier if answer else (first.tier.word if first else ""),
            tokens_per_s=speed,
            spent_today_usd=spent,
            spent_unknown=unknown,
            conversations=await self._gateway.conversations.count(),
            problem=self.problem,
        )

    async def doctor(self) -> tuple[Check, ...]:
        """Everything worth looking at when something does not work, with what to do."""
        return await self._examine()

    def authorise(self, who: Principal, path: str, action: str) -> None:
        """Return if `who` may; else raise Denied. The one call every surface goes through."""
        self._authorizer.authorise(who, path, action)

    def may(self, who: Principal, path: str, action: str) -> bool:
        """The same as a yes or no, for lists of what `who` could do."""
        return self._authorizer.may(who, path, action)

    def named(self, name: str) -> Principal:
        """Who a stored name is now; a name that is nobody's any more may do nothing."""
        return self._authorizer.named(name)

    def principal(self, token: str) -> Principal:
        """Whose token this is, the owner's or a client's, compared in constant time; NOBODY if nobody's."""
        if hmac.compare_digest(token.encode(), self._token.encode()):
            return OWNER if token else NOBODY
        return self._client(token) or NOBODY

    def ends_in_s(self, who: Principal) -> float | None:
        """How long what `who` showed is still good for; None for ever."""
        return self._ends_in_s(who)

    def on_token_end(self, drop: Callable[[str], object] | None) -> None:
        """Call `drop` with a token's id once it is revoked, before whoever revoked it is answered; None for nobody."""
        self._drop = drop

    def end_token(self, token: str) -> None:
        """Close what is open for a token."""
        if self._drop is not None:
            self._drop(token)

    def _first_lane(self) -> Lane | None:
        """Who would be asked first: the first whose circuit lets a request through, else the first of all."""
        inventory, now_s = self._gateway.inventory, self._clock.monotonic_s()
        lanes = inventory.lanes()
        able = (lane for lane in lanes if inventory.circuit(lane.instance).admits(now_s))
        return next(able, lanes[0] if lanes else None)

    def _latest(self) -> ChatMessage | None:
        for event in self._last.take_nowait():
            if isinstance(event, AnswerEnded) and event.message.tier:
                self._last_answer = event.message
        return self._last_answer
