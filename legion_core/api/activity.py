"""What ran here: tasks and model requests in one list, newest last, to be filtered and read a screen at a time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from legion_core.api.activity_types import (
    ActivityHour,
    ActivityIndex,
    ActivityMark,
    ActivityQuery,
    ActivityRow,
    ActivityState,
)
from legion_core.engine import activity as tasks
from legion_core.engine.types import Reason
from legion_core.gateway import ledger_lines as requests
from legion_core.kernel.errors import InvalidInput
from legion_core.storage.sqlite import Connection, Database

INDEX_MAX = 200_000
ROWS_MAX = 1000
HOUR = timedelta(hours=1)
# A request is billed when it ends but stands where it began: a reading looks back so far for late ones.
LATE = timedelta(minutes=10)

STATE_OF: dict[str, ActivityState] = {
    status: group  # type: ignore[misc]  # the groups are the states
    for group, statuses in tasks.GROUPS.items()
    for status in statuses
}
_REQUEST_STATES = ("succeeded", "failed", "cancelled")


class Activity:
    """Reads the journal and the bill; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def index(
        self, query: ActivityQuery | None = None, *, after: ActivityMark | None = None, limit: int = INDEX_MAX
    ) -> ActivityIndex:
        """The keys that pass, oldest first, the newest `limit` of them; with `after` only what came since.

        What came since may name a request again that the reading before had.
        """
        wanted, limit = query or ActivityQuery(), min(limit, INDEX_MAX)
        return await self._database.read(lambda connection: _index(connection, wanted, after, limit))

    async def rows(self, keys: Sequence[str]) -> tuple[ActivityRow, ...]:
        """The lines of at most 1,000 keys in their order; who is gone by now is left out."""
        if len(keys) > ROWS_MAX:
            raise InvalidInput(f"At most {ROWS_MAX:,} lines are read at a time, not {len(keys):,}.")
        return await self._database.read(lambda connection: _rows(connection, keys))

    async def hours(self, since: datetime, count: int = 24) -> tuple[ActivityHour, ...]:
        """What happened in each of `count` hours from `since` on, empty ones too."""
        return await self._database.read(lambda connection: _hours(connection, since, count))


def _index(
    connection: Connection, query: ActivityQuery, after: ActivityMark | None, limit: int
) -> ActivityIndex:
    mark = after or ActivityMark()
    found: list[tuple[int, str]] = []
    newest_task, newest_request, is_cut = mark.task, mark.request, False
    if _asks_tasks(query):
        got = tasks.index(connection, _task_filter(query, mark.task), limit + 1)
        newest_task = got[0][1] if got else newest_task
        is_cut |= len(got) > limit
        found += [(created, f"t{n}") for created, n in got[:limit]]
    if _asks_requests(query):
        since = None if mark.request is None else mark.request - LATE
        lines = requests.index(connection, _request_filter(query, since), limit + 1)
        newest_request = datetime.fromisoformat(lines[0][0]) if lines else newest_request
        is_cut |= len(lines) > limit
        if not found:  # one kind alone is in order as it is: no moment has to be read
            return ActivityIndex(
                keys=tuple(f"r{request}" for _, request in reversed(lines[:limit])),
                mark=ActivityMark(task=newest_task, request=newest_request),
                is_cut=is_cut,
            )
        # Both are in order already: this merges rather than sorts.
        found += [(_ms(at), f"r{request}") for at, request in lines[:limit]]
    found.sort(key=lambda each: each[0])
    return ActivityIndex(
        keys=tuple(key for _, key in found[-limit:]),
        mark=ActivityMark(task=newest_task, request=newest_request),
        is_cut=is_cut or len(found) > limit,
    )


def _rows(connection: Connection, keys: Sequence[str]) -> tuple[ActivityRow, ...]:
    places = [int(key[1:]) for key in keys if key.startswith("t")]
    ids = [key[1:] for key in keys if key.startswith("r")]
    found: dict[str, ActivityRow] = {}
    if places:
        found.update({f"t{line.n}": _of_task(line) for line in tasks.lines(connection, places)})
    if ids:
        found.update({f"r{line.id}": _of_request(line) for line in requests.lines(connection, ids)})
    return tuple(found[key] for key in keys if key in found)


def _hours(connection: Connection, since: datetime, count: int) -> tuple[ActivityHour, ...]:
    start = since.astimezone(UTC)
    made = [ActivityHour(at=start + HOUR * at) for at in range(count)]
    for hour, number, failed in tasks.by_hour(connection, _utc_ms(start), 3_600_000):
        if hour < count:
            made[hour] = msgspec.structs.replace(made[hour], tasks=number, failed=failed)
    for text, number, local, usd, unknown, tokens, saved, unsure in requests.by_hour(connection, start):
        hour = int((datetime.fromisoformat(f"{text}:00:00+00:00") - start + HOUR / 2) / HOUR)
        if 0 <= hour < count:
            held = made[hour]
            made[hour] = msgspec.structs.replace(
                held,
                requests=held.requests + number,
                local=held.local + local,
                cost_usd=held.cost_usd + usd,
                unpriced=held.unpriced + unknown,
                saved_tokens=held.saved_tokens + tokens,
                saved_usd=held.saved_usd + saved,
                saved_unpriced=held.saved_unpriced + unsure,
            )
    return tuple(made)


def _of_task(line: tasks.TaskLine) -> ActivityRow:
    took = line.ended_at - line.started_at if line.ended_at and line.started_at else None
    waited = line.started_at - line.created_at if line.started_at else None
    return ActivityRow(
        key=f"t{line.n}", kind="task", id=line.id, state=STATE_OF[line.status], status=line.status, reason=line.reason,
        task=line.task, brief=line.brief, at=line.created_at, started_at=line.started_at, ended_at=line.ended_at, due_at=line.due_at,
        took_s=max(0.0, took.total_seconds()) if took is not None else None,
        waited_s=max(0.0, waited.total_seconds()) if waited is not None else None,
        attempts=line.attempt, attempts_max=line.retries + 1, queue=line.queue, parent=line.parent, root=line.root,
        run=line.run, chain=line.chain, node=line.node, who=line.who,
    )  # fmt: skip


def _of_request(line: requests.RequestLine) -> ActivityRow:
    state: ActivityState = (
        "succeeded"
        if line.outcome == "succeeded"
        else "cancelled"
        if line.outcome == "cancelled"
        else "failed"
    )
    return ActivityRow(
        key=f"r{line.id}", kind="request", id=line.id, state=state, status=line.outcome,
        reason=Reason(code=line.outcome, sentence=line.why) if line.why else None, at=line.at, started_at=line.at,
        ended_at=line.at + timedelta(seconds=line.duration_s), took_s=line.duration_s, waited_s=line.first_token_s,
        attempts=line.attempts, tier=line.tier, instance=line.instance, model=line.model,
        input_tokens=line.input_tokens, output_tokens=line.output_tokens, cost_usd=line.cost_usd,
        saved_tokens=line.saved_tokens, saved_usd=line.saved_usd,
        conversation=line.conversation, has_chat=line.has_chat, title=line.title, client=line.client, dialect=line.dialect,
    )  # fmt: skip


def _asks_tasks(query: ActivityQuery) -> bool:
    return (not query.kinds or "task" in query.kinds) and not query.conversation and not query.cost_min_usd


def _asks_requests(query: ActivityQuery) -> bool:
    if query.run or query.root or (query.kinds and "request" not in query.kinds):
        return False
    return not query.states or any(state in _REQUEST_STATES for state in query.states)


def _task_filter(query: ActivityQuery, above: int) -> tasks.TaskFilter:
    return tasks.TaskFilter(
        statuses=query.states,
        words=query.words,
        since_ms=_utc_ms(query.since) if query.since else 0,
        until_ms=_utc_ms(query.until) if query.until else 0,
        took_min_ms=round(query.took_min_s * 1000),
        run=query.run,
        root=query.root,
        above=above,
    )


def _request_filter(query: ActivityQuery, since: datetime | None) -> requests.RequestFilter:
    bounds = [moment for moment in (query.since, since) if moment is not None]
    return requests.RequestFilter(
        outcomes=tuple(state for state in query.states if state in _REQUEST_STATES),
        words=query.words,
        since=max(bounds) if bounds else None,
        until=query.until,
        took_min_s=query.took_min_s,
        cost_min_usd=query.cost_min_usd,
        conversation=query.conversation,
    )


def _utc_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _ms(text: str) -> int:
    return _utc_ms(datetime.fromisoformat(text))
