"""Limits on money: what a request may cost is held before it is sent, and given back when its bill is written.

    reserve (held: the most the first candidate can cost) ──▶ attempts, `extend` before each further one ──▶ settle

Held and spent are added up in the transaction that holds, so however many requests come at once, and from however many
processes on one journal, no more are admitted than there is money for. The end of a reservation is part of the bill's
own transaction (`ledger_writing.write_bills`). What a killed process held stays held until its day is over, because what it
spent is not known; the request itself is in the ledger as `interrupted`, with an unknown price.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from legion_core.gateway.bills import Bill
from legion_core.gateway.cost import most_usd
from legion_core.gateway.ledger_types import BudgetRow
from legion_core.gateway.ledger_writing import client_key, write_bills
from legion_core.gateway.types import (
    Attempt,
    ImageBlock,
    Lane,
    LeftOut,
    Request,
    RouteDecision,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from legion_core.kernel.clock import Clock, iso
from legion_core.kernel.errors import OverBudget
from legion_core.storage.sqlite import Connection, Database, Row, execute, row, rows

OUTPUT_UNNAMED = (
    8_192  # tokens of an answer where the request names no bound; the largest default of our wires
)
OUTPUT_SCARCE = 1_024  # the bound such a request gets where there is no money for as many as that
BYTES_PER_TOKEN = 2  # a safe side: prose has four, code and digits two to three
IMAGE_TOKENS_MOST = 2_000
_SAID = (TextBlock, ToolResultBlock, ThinkingBlock)
FRAMING_TOKENS_MOST = 512
ROUNDING_USD = 1e-9
_HINT = "Raise it in Settings under Budget, or ask a model on this computer: it costs nothing."


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """USD a day, a day and client, and a conversation; 0: no limit. `allow_unknown_price` lets unpriced models answer."""

    day_usd: float = 0.0
    client_day_usd: float = 0.0
    conversation_usd: float = 0.0
    allow_unknown_price: bool = False

    @property
    def are_any(self) -> bool:
        """Whether there is anything to hold."""
        return self.day_usd > 0 or self.client_day_usd > 0 or self.conversation_usd > 0


class Budget:
    """Admits requests while there is money. Without limits it does nothing at all."""

    def __init__(
        self, database: Database, clock: Clock, limits: Callable[[], Limits], owner: str = ""
    ) -> None:
        """`owner` names this process among those on one journal."""
        self._database = database
        self._clock = clock
        self._limits = limits
        self._owner = owner

    async def reserve(self, request: Request, decision: RouteDecision) -> tuple[Request, RouteDecision]:
        """`decision` without the candidates there is no money for; what the first of the others may cost is held.

        A request that names no bound on its answer gets one of `OUTPUT_SCARCE` tokens where money is short. Raises
        OverBudget where money alone is in the way.
        """
        limits = self._limits()
        if not limits.are_any or all(_is_free(lane) for lane in decision.candidates):
            return request, decision
        account, lanes = self._account(request), decision.candidates

        def work(connection: Connection) -> _Weighed:
            weighed = _weighed(connection, request, lanes, account, limits)
            if weighed.cost > 0:
                lane = weighed.taken[0]
                _hold(connection, weighed.request, account, lane, weighed.cost, self._owner, self._now())
            return weighed

        weighed = await self._database.write(work, durability="process")
        if not weighed.taken:
            raise _used_up(weighed.tight, weighed.dropped)
        return weighed.request, weighed.of(decision)

    async def told(self, request: Request, decision: RouteDecision) -> RouteDecision:
        """`decision` as `reserve` would leave it now, though nobody be left; nothing is held."""
        limits = self._limits()
        if not limits.are_any or all(_is_free(lane) for lane in decision.candidates):
            return decision
        account, lanes = self._account(request), decision.candidates
        weighed = await self._database.read(
            lambda connection: _weighed(connection, request, lanes, account, limits)
        )
        return weighed.of(decision)

    async def extend(self, request: Request, lane: Lane) -> None:
        """Hold what a further attempt of `request` at `lane` may cost; raises OverBudget if there is no money for it."""
        limits = self._limits()
        if not limits.are_any or _is_free(lane):
            return
        cost, account = _most(request, lane), self._account(request)

        def work(connection: Connection) -> OverBudget | None:
            tight = tightest(standing(connection, account, limits))
            obstacle = _obstacle(lane, cost, tight, limits)
            if obstacle is not None:
                return _used_up(tight, (obstacle,))
            _hold(connection, request, account, lane, cost or 0.0, self._owner, self._now())
            return None

        if (error := await self._database.write(work, durability="process")) is not None:
            raise error

    async def rows(self) -> tuple[BudgetRow, ...]:
        """Every limit that is set, as it stands today; of clients and conversations those that spent or hold."""
        limits, day = self._limits(), self._day()

        def work(connection: Connection) -> list[BudgetRow]:
            accounts = [_Account(day, "", "")]
            if limits.client_day_usd > 0:
                accounts += [
                    _Account("", str(name), "") for (name,) in rows(connection, _CLIENTS, [day, day])
                ]
            if limits.conversation_usd > 0:
                accounts += [
                    _Account("", "", str(name)) for (name,) in rows(connection, _CONVERSATIONS, [day])
                ]
            return [
                told
                for account in accounts
                for told in standing(connection, msgspec.structs.replace(account, day=day), limits)
                if told.key in (account.day, account.client, account.conversation)
            ]

        return tuple(await self._database.read(work)) if limits.are_any else ()

    async def recover(self, is_alive: Callable[[str], bool]) -> None:
        """Settle what processes held that are no more, and forget what such ones held on earlier days."""
        found = await self._database.read(
            lambda connection: rows(connection, "SELECT DISTINCT owner FROM reservations")
        )
        owners = [str(owner) for (owner,) in found]
        others = [owner for owner in owners if owner not in ("", self._owner)]
        # Whether a process runs is asked of the system, which may take a moment.
        dead = await asyncio.to_thread(lambda: [owner for owner in others if not is_alive(owner)])
        day = self._day()

        def work(connection: Connection) -> None:
            execute(connection, "DELETE FROM reservations WHERE owner = '' AND day < ?", [day])
            for owner in dead:
                for held in rows(connection, _HELD_BY, [owner]):
                    _interrupt(connection, held)

        if dead or "" in owners:
            await self._database.write(work, durability="process")

    def _account(self, request: Request) -> "_Account":
        return _Account(self._day(), client_key(request.client), request.conversation_id or "")

    def _day(self) -> str:
        return self._clock.utc_now().astimezone(UTC).date().isoformat()

    def _now(self) -> str:
        return iso(self._clock.utc_now())


class _Account(msgspec.Struct, frozen=True):
    """On whose account a request goes."""

    day: str
    client: str
    conversation: str


class _Weighed(msgspec.Struct, frozen=True):
    """What there is money for: the request as it may be asked, and what the first of the lanes may cost."""

    request: Request
    taken: tuple[Lane, ...]
    dropped: tuple[LeftOut, ...]
    tight: BudgetRow | None
    cost: float = 0.0

    def of(self, decision: RouteDecision) -> RouteDecision:
        """The decision without the lanes there is no money for."""
        if not self.dropped:
            return decision
        left_out = (*decision.left_out, *self.dropped)
        return msgspec.structs.replace(decision, candidates=self.taken, left_out=left_out)


def _weighed(
    connection: Connection, request: Request, lanes: Sequence[Lane], account: _Account, limits: Limits
) -> _Weighed:
    """Within a read or a write: which of the lanes there is money for."""
    asked = [request]
    if request.params.max_tokens is None:
        bound = msgspec.structs.replace(request.params, max_tokens=OUTPUT_SCARCE)
        asked.append(msgspec.structs.replace(request, params=bound))
    tight = tightest(standing(connection, account, limits))
    obstacles = list[LeftOut | None]()
    for each in asked:
        costs = [_most(each, lane) for lane in lanes]
        obstacles = [_obstacle(*pair, tight, limits) for pair in zip(lanes, costs, strict=True)]
        first = next((place for place, obstacle in enumerate(obstacles) if obstacle is None), None)
        if first is not None:
            taken = tuple(lane for lane, obstacle in zip(lanes, obstacles, strict=True) if obstacle is None)
            dropped = tuple(obstacle for obstacle in obstacles if obstacle is not None)
            return _Weighed(each, taken, dropped, tight, costs[first] or 0.0)
    return _Weighed(request, (), tuple(obstacle for obstacle in obstacles if obstacle is not None), tight)


_CLIENTS = """
    SELECT client FROM totals WHERE day = ? AND cost_usd > 0
    UNION SELECT client FROM reservations WHERE day = ? ORDER BY 1 LIMIT 100
"""
_CONVERSATIONS = """
    SELECT conversation FROM requests WHERE conversation <> '' AND at >= ? AND cost_usd > 0
    UNION SELECT conversation FROM reservations WHERE conversation <> '' ORDER BY 1 LIMIT 100
"""
# The second condition says again what the first does, so that the index of conversations is taken: it holds no others.
_SPENT_IN_CONVERSATION = "SELECT sum(cost_usd) FROM requests WHERE conversation = ? AND conversation <> ''"
# What nobody owns any more was held by a killed process, and only for its day.
_HELD_OF_CONVERSATION = (
    "SELECT sum(usd) FROM reservations WHERE conversation = ? AND (owner <> '' OR day = ?)"
)
_HELD_BY = "SELECT request, at, client, conversation, dialect, tier, instance, model FROM reservations WHERE owner = ?"


def standing(connection: Connection, account: _Account, limits: Limits) -> list[BudgetRow]:
    """Within a read or a write: every limit that holds for `account`, with what is spent and held now."""
    day, client, conversation = account.day, account.client, account.conversation
    found = list[BudgetRow]()
    if limits.day_usd > 0:
        spent = _sum(connection, "SELECT sum(cost_usd) FROM totals WHERE day = ?", day)
        held = _sum(connection, "SELECT sum(usd) FROM reservations WHERE day = ?", day)
        found.append(
            BudgetRow(scope="day", key=day, limit_usd=limits.day_usd, spent_usd=spent, held_usd=held)
        )
    if limits.client_day_usd > 0 and client:
        spent = _sum(connection, "SELECT sum(cost_usd) FROM totals WHERE day = ? AND client = ?", day, client)
        held = _sum(connection, "SELECT sum(usd) FROM reservations WHERE day = ? AND client = ?", day, client)
        found.append(
            BudgetRow(
                scope="client", key=client, limit_usd=limits.client_day_usd, spent_usd=spent, held_usd=held
            )
        )
    if limits.conversation_usd > 0 and conversation:
        spent = _sum(connection, _SPENT_IN_CONVERSATION, conversation)
        held = _sum(connection, _HELD_OF_CONVERSATION, conversation, day)
        found.append(
            BudgetRow(
                scope="conversation",
                key=conversation,
                limit_usd=limits.conversation_usd,
                spent_usd=spent,
                held_usd=held,
            )
        )
    return found


def left_usd(budget: BudgetRow) -> float:
    """What may still be held."""
    return budget.limit_usd - budget.spent_usd - budget.held_usd


def tightest(budgets: Sequence[BudgetRow]) -> BudgetRow | None:
    """The limit that leaves least; None where none holds."""
    return min(budgets, key=left_usd, default=None)


def most_tokens(request: Request) -> int:
    """What the input of `request` comes to at most; an estimate on the safe side."""
    texts, shown = [*request.system, request.suffix], 0
    for message in request.messages:
        for block in message.content:
            if isinstance(block, _SAID):
                texts.append(block.text)
            elif isinstance(block, ToolUseBlock):
                texts += [block.name, block.arguments]
            elif isinstance(block, ImageBlock):
                shown += IMAGE_TOKENS_MOST
            else:
                shown += 2 * block.tokens
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    size += sum(
        len(tool.name) + len(tool.description) + len(msgspec.json.encode(tool.parameters))
        for tool in request.tools
    )
    return size // BYTES_PER_TOKEN + shown + FRAMING_TOKENS_MOST


def _most(request: Request, lane: Lane) -> float | None:
    asked = request.params.max_tokens
    room = min(OUTPUT_UNNAMED if asked is None else asked, lane.offer.context)
    return most_usd(lane.offer.price, lane.tier, most_tokens(request), room)


def _is_free(lane: Lane) -> bool:
    return most_usd(lane.offer.price, lane.tier, 1, 1) == 0.0


def _obstacle(lane: Lane, cost: float | None, tight: BudgetRow | None, limits: Limits) -> LeftOut | None:
    if cost is None and not limits.allow_unknown_price:
        why = "Its price is unknown, so no budget can hold for it"
        return LeftOut(lane=lane, reason="price", why=why)
    if tight is not None and (cost or 0.0) > left_usd(tight) + ROUNDING_USD:
        why = f"It may cost {_usd(cost or 0.0)}, and {_usd(max(0.0, left_usd(tight)))} is left of {_named(tight)}"
        return LeftOut(lane=lane, reason="price", why=why)
    return None


def _used_up(tight: BudgetRow | None, dropped: Sequence[LeftOut]) -> OverBudget:
    if tight is None or all(item.lane.offer.price is None for item in dropped):
        return OverBudget(
            f"{dropped[0].lane.name} may not be asked: its price is unknown, and there is a budget.",
            hint="Enter its price under [[gateway.prices]], or allow unknown prices in Settings under Budget.",
        )
    return OverBudget(
        f"{dropped[0].lane.name}: {dropped[0].why[0].lower()}{dropped[0].why[1:]}"
        f" ({_usd(tight.spent_usd)} spent, {_usd(tight.held_usd)} held for requests under way).",
        hint=_HINT,
    )


def _named(budget: BudgetRow) -> str:
    whose = {"day": "today's budget", "client": f"today's budget of {budget.key}"}.get(
        budget.scope, "this conversation's budget"
    )
    return f"{whose} of {_usd(budget.limit_usd)}"


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4g}"


def _sum(connection: Connection, sql: str, *args: str) -> float:
    found = row(connection, sql, args)
    return float(found[0] or 0.0) if found else 0.0


def _hold(
    connection: Connection, request: Request, account: _Account, lane: Lane, usd: float, owner: str, at: str
) -> None:
    execute(
        connection,
        "INSERT INTO reservations VALUES(?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET "
        "usd = usd + excluded.usd, tier = excluded.tier, instance = excluded.instance, model = excluded.model",
        (
            request.id, at, account.day, account.client, account.conversation, request.dialect, lane.tier.word,
            lane.instance, lane.offer.id, usd, owner,
        ),
    )  # fmt: skip


def _interrupt(connection: Connection, held: Row) -> None:
    """The bill of a request whose process was killed; what it held stays held until the day is over."""
    request, at, client, conversation, dialect, tier, instance, model = held
    kept = row(connection, "SELECT * FROM reservations WHERE request = ?", [request])
    attempt = Attempt(
        number=1,
        tier=tier,
        instance=instance,
        model=model,
        outcome="interrupted",
        why="The process that asked was ended before the answer was.",
        usage=Usage(is_estimated=True),
        cost_usd=None,
        started_at=datetime.fromisoformat(str(at)),
    )
    bill = Bill(
        request=request,
        at=datetime.fromisoformat(str(at)),
        outcome="interrupted",
        duration_s=0.0,
        conversation=conversation,
        dialect=dialect,
        client=client,
        attempts=(attempt,),
    )
    write_bills(connection, (bill,))
    assert kept is not None
    execute(connection, "INSERT INTO reservations VALUES(?,?,?,?,?,?,?,?,?,?,?)", (*kept[:-1], ""))
