"""`/api/v1/ledger`: what was asked of whom, and what it cost."""

from datetime import date
from typing import cast, get_args

from legion_core.api.types import LedgerRow
from legion_core.gateway.ledger_types import BudgetRow, By, SummaryRow
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.rest import examples
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Parameter, Reply
from legion_core.surfaces.rest.paging import PAGE_PARAMETERS, meta_of, page_of

BYS: tuple[By, ...] = get_args(By)


async def list_attempts(desk: Desk, call: Call) -> Reply:
    """Newest request first."""
    limit, offset = page_of(call, desk.limits.page_max)
    rows = await desk.legion.llm.ledger(
        request=call.query.get("request", ""),
        conversation=call.query.get("conversation", ""),
        limit=offset + limit + 1,
    )
    page = rows[offset:]
    return Reply(page[:limit], meta=meta_of(limit, offset, len(page)))


async def summarise(desk: Desk, call: Call) -> Reply:
    """Added up."""
    by = cast(By, call.choice("by", BYS))
    since = call.query.get("since")
    return Reply(await desk.legion.llm.ledger_summary(by, "" if since is None else _day(since)))


def _day(word: str) -> str:
    try:
        return date.fromisoformat(word).isoformat()
    except ValueError as error:
        raise InvalidInput("`since` is not a day.", hint="Write it as 2026-03-14.") from error


async def list_budgets(desk: Desk, call: Call) -> Reply:
    """Every limit on money that is set, as it stands."""
    return Reply(await desk.legion.llm.budgets())


OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/ledger",
        name="list_attempts",
        summary="Attempts, newest request first",
        handler=list_attempts,
        right=("ledger", "read"),
        answer=tuple[LedgerRow, ...],
        example=(examples.LEDGER,),
        query=(
            Parameter("request", "Only this request (`x-legion-request`)."),
            Parameter("conversation", "Only this conversation."),
            *PAGE_PARAMETERS,
        ),
    ),
    Operation(
        method="GET",
        path="/api/v1/ledger/summary",
        name="summarise_ledger",
        summary="All attempts added up",
        handler=summarise,
        right=("ledger", "read"),
        answer=tuple[SummaryRow, ...],
        example=(
            SummaryRow(
                key="local", attempts=7, input_tokens=812, output_tokens=640, cost_usd=0.0, unpriced=0
            ),
        ),
        query=(
            Parameter("by", "What to add up by.", {"type": "string", "enum": list(BYS)}),
            Parameter("since", "From this day of UTC on.", {"type": "string", "format": "date"}),
        ),
    ),
    Operation(
        method="GET",
        path="/api/v1/ledger/budgets",
        name="list_budgets",
        summary="Limits on money, with what is spent and held",
        handler=list_budgets,
        right=("ledger", "read"),
        answer=tuple[BudgetRow, ...],
        example=(BudgetRow(scope="day", key="2026-03-14", limit_usd=5.0, spent_usd=1.25, held_usd=0.04),),
    ),
)
