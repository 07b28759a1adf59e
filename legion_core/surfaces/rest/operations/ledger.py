"""`/api/v1/ledger`: what was asked of whom, and what it cost."""

from typing import cast

from legion_core.api.types import LedgerRow
from legion_core.gateway.ledger_types import By, SummaryRow
from legion_core.surfaces.rest import examples
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Parameter, Reply
from legion_core.surfaces.rest.paging import PAGE_PARAMETERS, meta_of, page_of

BYS: tuple[By, ...] = ("tier", "model", "day")


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
    return Reply(await desk.legion.llm.ledger_summary(by))


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
        query=(Parameter("by", "What to add up by.", {"type": "string", "enum": list(BYS)}),),
    ),
)
