"""Runs of chains as the writer's thread carries them on: each end of a task and all that follows from it, in one transaction.

    follow(ended) ──▶ what was decided on its edges · new tasks, some of them held at once · what will never run · the end
                      of the run, and of the node of the run it is a part of

A walk through a chain stands in memory for as long as its run goes on. Before it is used it is held against the journal
by a mark that every transaction sets anew: what other processes wrote meanwhile is walked after, and a walk that is ahead,
because its transaction was not kept, is made again from the beginning.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from legion_core.engine import chain_store as store
from legion_core.engine import journal
from legion_core.engine.chain_born import Birth
from legion_core.engine.chain_inputs import Inputs, read_json
from legion_core.engine.following import Ended, Followed, Room
from legion_core.engine.next_hop import Finished, Hop, Skipped, Walk
from legion_core.engine.plan import Decision, Plan
from legion_core.engine.reasons import because
from legion_core.engine.registry import Function
from legion_core.engine.run_events import EdgeDecided, NodeCame, RunAdvanced, RunEnded, RunStarted
from legion_core.engine.types import Json, Reason, RunStatus
from legion_core.kernel.errors import Conflict, LimitReached
from legion_core.kernel.faults import fault
from legion_core.kernel.ids import Ids
from legion_core.storage.sqlite import Connection, execute

LIVE_MAX = 256  # walks in memory; others are made again
PLANS_MAX = 64
DRY_MAX = 10_000  # tasks of a dry run
TOLD_MAX = 50  # nodes and edges named in one event

_decisions = msgspec.json.Decoder(tuple[Decision, ...]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Live:
    """A run on its way in this process; `mark` is that of the transaction that brought the walk here."""

    walk: Walk
    mark: str
    given: Json
    pins: Mapping[str, Json]
    fans: dict[tuple[str, int], list[Json]] = field(default_factory=dict[tuple[str, int], list[Json]])


class Hops:
    """See the module. After construction everything belongs to the thread that writes."""

    def __init__(self, ids: Ids, function: Callable[[str], Function | None]) -> None:
        self._ids = ids
        self._function = function
        self._live: OrderedDict[str, _Live] = OrderedDict()
        self._plans: OrderedDict[tuple[str, int], Plan] = OrderedDict()
        self._births = Birth(ids, function)

    def follow(self, connection: Connection, ended: Sequence[Ended], room: Room) -> Followed:
        """See `Follower`."""
        return self._carried_out(connection, deque(ended), Followed(), room, known=len(ended))

    def start(self, connection: Connection, state: store.RunState, plan: Plan | None, room: Room) -> Followed:
        """Begin the run: its row, and the tasks its chain begins with. A `plan` given is of a chain not kept."""
        out = Followed()
        todo = self._started(connection, state, plan, room, out)
        return self._carried_out(connection, todo, out, room)

    def hand_over(self, connection: Connection, lease: journal.Lease, room: Room) -> Followed | None:
        """Begin the sub-chain of a node whose time has come; None if this process does not hold its task any more."""
        sql = "UPDATE tasks SET owner = NULL WHERE n = ? AND owner = ? AND fencing = ?"
        if execute(connection, sql, [lease.n, room.owner, lease.fencing]) != 1:
            return None
        out, todo = Followed(), deque[Ended]()
        state = store.state_of(connection, lease.run)
        if state is None or state.status != "running" or state.cancelled_by:
            who = state.cancelled_by if state is not None else ""
            todo.append(self._births.cancelled(connection, lease.id, who or "owner", room))
        else:
            born = self._births.child(connection, state, lease.id, lease.task, lease.args, room)
            todo.extend(self._of_child(connection, born, out, room))
        return self._carried_out(connection, todo, out, room)

    def cancel(self, connection: Connection, run: str, who: str, room: Room) -> Followed:
        """Nothing more follows: what waits is cancelled, what runs is told to end. Conflict if it has ended."""
        state = store.state_of(connection, run)
        if state is None:
            raise store.unknown_run(run)
        if state.status != "running":
            raise Conflict(f"The run {run} has ended already: it {state.status}.")
        out = Followed()
        return self._carried_out(
            connection, deque(self._cancelled(connection, state, who, out, room)), out, room
        )

    def replay(
        self, connection: Connection, old: store.RunState, state: store.RunState, node: str, room: Room
    ) -> Followed:
        """Begin `state`, a run that takes over from `old` what came before `node` and does the rest anew."""
        plan = self._plan(connection, old.chain, old.version)
        history = [self._finished(each) for each in store.steps(connection, old.id)]
        walk, hop, reused = Walk.replay(plan, history, node)
        if not any(task.node == node for task in hop.tasks):
            raise Conflict(
                f"Nothing leads to {node} in the run {old.id}.",
                hint="Choose a node that ran, or one before it.",
            )
        # Who asks for it now is not to wait for its delay once more.
        tasks = tuple(
            msgspec.structs.replace(task, due_at_s=0.0) if task.node == node else task for task in hop.tasks
        )
        hop = replace(hop, tasks=tasks)
        out, mark = Followed(), self._mark()
        store.add_run(connection, state, room.now_ms, replay_of=old.id, replay_from=node)
        self._births.take_over(connection, old.id, state.id, reused, room)
        wanted = set(reused)
        seq = 0
        for each in store.steps(connection, old.id):
            if each.key in wanted:
                seq += 1
                store.add_step(connection, state.id, msgspec.structs.replace(each, seq=seq, mark=mark))
        live = self._keep(state.id, _Live(walk, mark, read_json(state.input), read_json(state.pins)))
        execute(connection, "UPDATE runs SET mark = ? WHERE id = ?", [mark, state.id])
        todo = deque(self._placed(connection, live, state, hop, None, out, room))
        self._tell_start(state, hop, out, room)
        return self._carried_out(connection, todo, out, room)

    def give_up(self, connection: Connection, ended: Ended, what: str, room: Room) -> Followed:
        """See `Follower`."""
        self._live.pop(ended.run, None)
        state = store.state_of(connection, ended.run)
        out = Followed()
        if state is None or state.status != "running":
            return out
        store.set_cancelled(connection, state.id, "the engine")
        for child in self._births.stop_living(connection, state, "the engine", out, room):
            if isinstance(child, store.RunState):
                self._cancelled(connection, child, "the engine", out, room)
        todo = deque(
            self._over(connection, state, "failed", because("run.broken", what=what), None, out, room)
        )
        return self._carried_out(connection, todo, out, room)

    # One end after the other

    def _carried_out(
        self, connection: Connection, todo: "deque[Ended]", out: Followed, room: Room, *, known: int = 0
    ) -> Followed:
        """Follow each end and the ends it brings about, and write the new tasks of all of them together.

        The first `known` ends are news to nobody.
        """
        try:
            while todo:
                each = todo.popleft()
                if known:
                    known -= 1
                else:
                    out.over.append(each)
                todo.extend(self._hop(connection, each, out, room))
        except BaseException:
            self._live.clear()  # the transaction goes: walks may be ahead of the journal
            self._births.forget()
            raise
        fault("engine.insert")
        held = journal.insert(connection, out.tasks, room.owner) if out.tasks else []
        out.leases = [each for each in held if isinstance(each, journal.Lease)]
        return out

    def _hop(self, connection: Connection, ended: Ended, out: Followed, room: Room) -> list[Ended]:
        state = store.state_of(connection, ended.run)
        if state is None or state.status != "running":
            return []
        if state.is_dry and state.finished >= DRY_MAX:
            raise LimitReached(f"A dry run takes at most {DRY_MAX:,} steps.")
        mark = self._mark()
        step = store.Stored(
            seq=state.finished + 1, key=ended.key, status=ended.status, at_ms=room.now_ms,
            decisions=None, held=None, mark=mark,
        )  # fmt: skip
        if state.cancelled_by:
            store.add_step(connection, state.id, step)
            if store.has_living(connection, state.id):
                return []
            reason = because("run.cancelled", who=state.cancelled_by)
            return self._over(connection, state, "cancelled", reason, None, out, room)
        live = self._current(connection, state)
        task = live.walk.task(ended.key)
        if task is None:
            raise Conflict(f"The task {ended.key!r} of the run {state.id} has ended already, or never was.")
        inputs = self._inputs(connection, state.id, live)
        facts = inputs.facts(task, ended.status, ended.result, ended.reason)
        decisions = live.walk.plan.decide(ended.node, ended.status, facts)
        hop = live.walk.finish(ended.key, ended.status, decisions, room.now_ms / 1000)
        live.mark = mark
        fault("engine.hop")
        stored = tuple(each.stored() for each in decisions)
        shown = tuple(each.stored() for each in hop.decisions)
        store.add_step(
            connection,
            state.id,
            msgspec.structs.replace(
                step,
                decisions=_encode(stored) if stored else None,
                held=_encode(shown) if shown != stored else None,
            ),
        )
        more = self._placed(connection, live, state, hop, ended, out, room)
        self._tell(live, state, ended, hop, shown, out, room)
        if hop.ended is not None:
            more += self._over(connection, state, hop.ended, None, live, out, room)
        return more

    def _placed(
        self,
        connection: Connection,
        live: _Live,
        state: store.RunState,
        hop: Hop,
        ended: Ended | None,
        out: Followed,
        room: Room,
    ) -> list[Ended]:
        """Make the tasks of a hop, and those that will not run; gives those that ended at once."""
        inputs, over = self._inputs(connection, state.id, live), list[Ended]()
        for task in hop.tasks:
            born = self._births.task(inputs, state, live.pins, task, ended, room)
            if born.ended is not None:
                over.append(born.ended)
                self._births.write_over(connection, born)
            elif born.is_chain:
                self._births.write_running(connection, born)
                assert born.new is not None
                over += self._of_child(
                    connection,
                    self._births.child(connection, state, born.new.id, born.new.task, born.new.args, room),
                    out,
                    room,
                )
            else:
                assert born.new is not None
                out.tasks.append(born.new)
        for each in hop.skipped:
            out.tasks.append(self._births.skipped(live.walk.plan, state, each, ended, room))
        self._births.write_origins(connection)
        return over

    def _of_child(
        self, connection: Connection, born: Ended | store.RunState, out: Followed, room: Room
    ) -> list[Ended]:
        """Begin the run of a sub-chain, or end its node where it cannot be begun."""
        if isinstance(born, store.RunState):
            return list(self._started(connection, born, None, room, out))
        self._births.write_end(connection, born, room)
        return [born]

    def _started(
        self, connection: Connection, state: store.RunState, plan: Plan | None, room: Room, out: Followed
    ) -> "deque[Ended]":
        plan = plan or self._plan(connection, state.chain, state.version)
        walk, mark = Walk(plan), self._mark()
        store.add_run(connection, msgspec.structs.replace(state, mark=mark), room.now_ms)
        live = self._keep(state.id, _Live(walk, mark, read_json(state.input), read_json(state.pins)))
        hop = walk.start()
        todo = deque(self._placed(connection, live, state, hop, None, out, room))
        self._tell_start(state, hop, out, room)
        return todo

    def _cancelled(
        self, connection: Connection, state: store.RunState, who: str, out: Followed, room: Room
    ) -> list[Ended]:
        """One run of a tree; those of its sub-chains are cancelled with it, and end its nodes."""
        live = self._current(connection, state)
        hop = live.walk.cancel(who)
        self._live.pop(state.id, None)  # of a cancelled run only the end is waited for
        store.set_cancelled(connection, state.id, who)
        for each in hop.skipped:
            out.tasks.append(self._births.skipped(live.walk.plan, state, each, None, room))
        more = self._births.stop_living(connection, state, who, out, room)
        over = [each for each in more if isinstance(each, Ended)]
        for child in more:
            if isinstance(child, store.RunState):
                over += self._cancelled(connection, child, who, out, room)
        if not over and not store.has_living(connection, state.id):
            reason = because("run.cancelled", who=who)
            over += self._over(connection, state, "cancelled", reason, None, out, room)
        return over

    def _over(
        self,
        connection: Connection,
        state: store.RunState,
        status: RunStatus,
        reason: Reason | None,
        live: _Live | None,
        out: Followed,
        room: Room,
    ) -> list[Ended]:
        """The end of a run, and with it of the node it is a part of."""
        self._live.pop(state.id, None)
        result = None
        if live is not None:
            reason = reason or self._births.why(connection, state, live.walk, status, out)
            result = self._births.result(connection, state, live.walk.plan, status)
        store.end_run(connection, state.id, status, reason, result, room.now_ms)
        at_utc, at_mono_s = room.stamp
        out.events.append(
            RunEnded(
                at_utc=at_utc,
                at_mono_s=at_mono_s,
                run=state.id,
                chain=state.chain,
                status=status,
                reason=reason,
            )
        )
        out.runs.append(state.id)
        ended = self._births.end_of_node(connection, state, status, reason, result)
        if ended is None:
            return []
        self._births.write_end(connection, ended, room)
        return [ended]

    # Walks

    def _current(self, connection: Connection, state: store.RunState) -> _Live:
        """The run's walk, brought to where the journal is."""
        live = self._live.get(state.id)
        if live is not None and live.mark == state.mark and live.walk.finished == state.finished:
            self._live.move_to_end(state.id)
            return live
        if live is not None and self._is_behind(connection, state, live):
            walk = live.walk
        else:
            walk = Walk(self._plan(connection, state.chain, state.version))
            walk.start()
        for each in store.steps(connection, state.id, behind=walk.finished):
            finished = self._finished(each)
            walk.finish(finished.key, finished.status, finished.decisions, finished.at_s)
        fans = live.fans if live is not None else {}
        return self._keep(
            state.id, _Live(walk, state.mark, read_json(state.input), read_json(state.pins), fans)
        )

    def _is_behind(self, connection: Connection, state: store.RunState, live: _Live) -> bool:
        """Whether all that was walked was kept too."""
        if live.walk.finished >= state.finished:
            return False
        step = store.step_at(connection, state.id, live.walk.finished)
        return step is not None and step.mark == live.mark

    def _keep(self, run: str, live: _Live) -> _Live:
        self._live[run] = live
        self._live.move_to_end(run)
        while len(self._live) > LIVE_MAX:
            self._live.popitem(last=False)
        return live

    def _plan(self, connection: Connection, chain: str, version: int) -> Plan:
        plan = self._plans.get((chain, version))
        if plan is None:
            found = store.version_of(connection, chain, version, even_deleted=True)
            if found is None:
                raise store.unknown_chain(chain, version)
            plan = self._plans[chain, version] = Plan.of(store.chain_of(found))
            while len(self._plans) > PLANS_MAX:
                self._plans.popitem(last=False)
        return plan

    def _inputs(self, connection: Connection, run: str, live: _Live) -> Inputs:
        return Inputs(connection, run, live.walk.plan, live.given, live.fans, live.walk.nearest)

    def _mark(self) -> str:
        return self._ids.new()

    def _finished(self, step: store.Stored) -> Finished:
        decisions = _decisions(step.decisions) if step.decisions is not None else ()
        return Finished(key=step.key, status=step.status, decisions=decisions, at_s=step.at_ms / 1000)

    # Telling

    def _tell_start(self, state: store.RunState, hop: Hop, out: Followed, room: Room) -> None:
        at_utc, at_mono_s = room.stamp
        out.events.append(
            RunStarted(
                at_utc=at_utc, at_mono_s=at_mono_s, run=state.id, chain=state.chain, version=state.version,
                parent=state.parent, is_dry=state.is_dry, came=_came(hop),
            )
        )  # fmt: skip

    def _tell(
        self,
        live: _Live,
        state: store.RunState,
        ended: Ended,
        hop: Hop,
        shown: tuple[Decision, ...],
        out: Followed,
        room: Room,
    ) -> None:
        edges = live.walk.plan.chain.edges
        at_utc, at_mono_s = room.stamp
        out.events.append(
            RunAdvanced(
                at_utc=at_utc,
                at_mono_s=at_mono_s,
                run=state.id,
                chain=state.chain,
                node=ended.node,
                key=ended.key,
                task=ended.task,
                status=ended.status,
                reason=ended.reason,
                edges=tuple(
                    EdgeDecided(
                        edge=each.edge, source=edges[each.edge].source, target=edges[each.edge].target,
                        count=each.count, reason=each.reason,
                    )
                    for each in shown[:TOLD_MAX]
                ),
                came=_came(hop),
            )
        )  # fmt: skip


def _came(hop: Hop) -> tuple[NodeCame, ...]:
    """The nodes something became of, each once for each status."""
    found: dict[tuple[str, str], NodeCame] = {}
    for each in (*hop.tasks, *hop.skipped):
        status = each.status if isinstance(each, Skipped) else ("delayed" if each.due_at_s else "queued")
        before = found.get((each.node, status))
        if before is not None:
            found[each.node, status] = msgspec.structs.replace(before, count=before.count + 1)
        elif len(found) < TOLD_MAX:
            reason = each.reason if isinstance(each, Skipped) else None
            found[each.node, status] = NodeCame(node=each.node, key=each.key, status=status, reason=reason)
    return tuple(found.values())
