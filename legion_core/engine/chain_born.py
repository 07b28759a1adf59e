"""The tasks of a run as rows: made with their arguments, or ended at once with the reason why they do not run.

Belongs to `engine.chain_hops`: everything here happens inside its transaction, in the thread that writes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from legion_core.engine import chain_store as store
from legion_core.engine import journal
from legion_core.engine.chain import Node
from legion_core.engine.chain_inputs import Inputs, arrival_of, read_json
from legion_core.engine.following import LATE, Ended, Followed, Room
from legion_core.engine.journal import NO_RETRY, NewTask
from legion_core.engine.machine import HELD, State
from legion_core.engine.next_hop import NextTask, Skipped, Walk
from legion_core.engine.plan import Plan
from legion_core.engine.reasons import REASONS, because
from legion_core.engine.registry import Function
from legion_core.engine.types import Json, Reason, RunStatus, TaskStatus
from legion_core.kernel.errors import InvalidInput
from legion_core.kernel.ids import Ids
from legion_core.storage.sqlite import Connection, execute, row, rows

RUN_DEPTH_MAX = 8  # chains that start chains
ARGS_BYTES_MAX = 512 * 1024
RESULT_BYTES_MAX = 1 << 20
SAMPLE_RUNS_MAX = 20
CHAIN = "chain:"
UNFIT = "The arguments do not fit: "  # said by the signature; the reason says it already

QUEUES = {"loop": "default", "thread": "threads", "cpu": "processes"}
_encode = msgspec.json.Encoder().encode
_read_reason = msgspec.json.Decoder(Reason).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Born:
    """A task to be written: one that will run, a sub-chain that begins at once, or one that has ended already."""

    new: NewTask | None = None
    ended: Ended | None = None
    is_chain: bool = False


class Birth:
    """See the module."""

    def __init__(self, ids: Ids, function: Callable[[str], Function | None]) -> None:
        self._ids = ids
        self._function = function
        self._origins: list[tuple[str, bytes]] = []

    def forget(self) -> None:
        """The transaction was not kept."""
        self._origins.clear()

    def task(
        self,
        inputs: Inputs,
        state: store.RunState,
        pins: Mapping[str, Json],
        task: NextTask,
        ended: Ended | None,
        room: Room,
    ) -> Born:
        """What becomes of a task the walk gave out."""
        node = inputs.plan.chain.nodes[inputs.plan.graph.places[task.node]]
        new = self._row(node, state, task.key, ended, room)
        if (body := arrival_of(task, ended.key if ended is not None else "")) is not None:
            self._origins.append((new.id, body))
        if node.name in pins:
            return _over(new, "succeeded", because("run.pinned"), _encode(pins[node.name]))
        args = self._args(inputs, node, task, is_dry=state.is_dry)
        if isinstance(args, Reason):
            return _over(new, REASONS[args.code].status, args)
        if node.chain:
            new = msgspec.structs.replace(new, args=args)
            if state.is_dry:
                return self._dry(inputs, state, new)
            if task.due_at_s:
                return Born(new=_placed(new, task, room))
            return Born(new=new, is_chain=True)
        function = self._function(node.task)
        if function is None:
            return _over(new, "blocked", because("task.function_unknown", task=node.task))
        checked = args if args is LATE else _checked(function, args)
        if isinstance(checked, Reason):
            return _over(new, "blocked", checked)
        traits = function.traits
        retry = node.retry or traits.retry
        new = msgspec.structs.replace(
            new,
            args=checked,
            queue=QUEUES[function.pool],
            effect=traits.effect,
            retry=NO_RETRY if retry.max == 0 or traits.effect == "at_most_once" else retry,
            timeout_s=node.timeout_s,
        )
        return self._dry(inputs, state, new) if state.is_dry else Born(new=_placed(new, task, room))

    def child(
        self, connection: Connection, state: store.RunState, task_id: str, task: str, args: bytes, room: Room
    ) -> store.RunState | Ended:
        """The run a node with a sub-chain begins, or how the node ended because there can be none."""
        name = task.removeprefix(CHAIN)
        found = store.version_of(connection, name)
        if found is not None and state.depth + 1 < RUN_DEPTH_MAX:
            return store.RunState(
                id=self._ids.new("run"), chain=name, version=found.version, status="running", input=args,
                pins=b"{}", is_dry=False, parent=task_id, parent_run=state.id, depth=state.depth + 1,
                root=state.root, who=state.who, cancelled_by="", finished=0, mark="",
            )  # fmt: skip
        if found is None:
            reason = because("run.chain_unknown", chain=name)
        else:
            reason = because("run.too_deep", chain=name, depth=state.depth + 2)
        ended = self._node(connection, task_id)
        assert ended is not None
        return _as(ended, status="blocked", reason=reason)

    def skipped(
        self, plan: Plan, state: store.RunState, skipped: Skipped, ended: Ended | None, room: Room
    ) -> NewTask:
        """A node that will not run, there."""
        node = plan.chain.nodes[plan.graph.places[skipped.node]]
        new = self._row(node, state, skipped.key, ended, room)
        return msgspec.structs.replace(new, status=skipped.status, reason=skipped.reason)

    def _row(self, node: Node, state: store.RunState, key: str, ended: Ended | None, room: Room) -> NewTask:
        return NewTask(
            id=self._ids.new("task"),
            task=f"{CHAIN}{node.chain}" if node.chain else node.task,
            args=LATE,
            created_ms=room.now_ms,
            submitter=room.owner,
            who=state.who,
            parent=ended.id if ended is not None and ended.run == state.id else state.parent,
            root=state.root,
            run=state.id,
            node=node.name,
            key=key,
            depth=ended.depth + 1 if ended is not None and ended.run == state.id else state.depth,
        )

    def _args(self, inputs: Inputs, node: Node, task: NextTask, *, is_dry: bool) -> bytes | Reason:
        """The arguments as JSON, `LATE`, or why there are none."""
        if not node.args and node.transform is None:
            return b"{}"
        if node.name in inputs.plan.late and not is_dry:
            return LATE
        rendered = inputs.plan.prepare(node.name, inputs.payload(task))
        if rendered.reason is not None:
            return rendered.reason
        return LATE if rendered.args is None else _encode(rendered.args)

    def _dry(self, inputs: Inputs, state: store.RunState, new: NewTask) -> Born:
        """Nothing is called: the edges are decided on what the node gave in an earlier run, if it did."""
        found = row(
            inputs.connection,
            "SELECT result FROM tasks INDEXED BY tasks_run WHERE run <> '' AND run IN (SELECT id FROM runs WHERE chain = ? AND NOT is_dry ORDER BY n DESC "
            "LIMIT ?) AND node = ? AND status = 'succeeded' AND result IS NOT NULL ORDER BY n DESC LIMIT 1",
            [state.chain, SAMPLE_RUNS_MAX, new.node],
        )
        born = _over(new, "succeeded", because("run.dry", task=new.task), found[0] if found else None)
        assert born.new is not None
        return Born(new=msgspec.structs.replace(born.new, status="skipped"), ended=born.ended)

    # Writing

    def write_over(self, connection: Connection, born: Born) -> None:
        """A task that ended when it was made."""
        assert born.new is not None
        assert born.ended is not None
        journal.insert(connection, [born.new], born.new.submitter)
        if born.ended.result is not None:
            execute(connection, "UPDATE tasks SET result = ? WHERE id = ?", [born.ended.result, born.new.id])

    def write_running(self, connection: Connection, born: Born) -> None:
        """The node of a sub-chain: it runs for as long as the sub-chain does, and nobody holds it."""
        assert born.new is not None
        journal.insert(connection, [msgspec.structs.replace(born.new, status="accepted")], born.new.submitter)
        execute(
            connection,
            "UPDATE tasks SET status = 'running', attempt = 1, started = created WHERE id = ?",
            [born.new.id],
        )

    def write_origins(self, connection: Connection) -> None:
        """What led to the tasks made since the last time."""
        if self._origins:
            store.add_origins(connection, self._origins)
            self._origins.clear()

    def write_end(self, connection: Connection, ended: Ended, room: Room) -> None:
        """The end of a node of a sub-chain."""
        execute(
            connection,
            "UPDATE tasks SET status = ?, reason = ?, result = ?, ended = ?, owner = NULL, is_cancelling = 0 WHERE id = ?",
            [
                ended.status, _encode(ended.reason) if ended.reason else None, ended.result, room.now_ms, ended.id,
            ],
        )  # fmt: skip

    def cancelled(self, connection: Connection, task_id: str, who: str, room: Room) -> Ended:
        """End a node of a sub-chain that was told to end before it could begin."""
        node = self._node(connection, task_id)
        assert node is not None
        ended = _as(node, status="cancelled", reason=because("task.cancelled", who=who))
        self.write_end(connection, ended, room)
        return ended

    def stop_living(
        self, connection: Connection, state: store.RunState, who: str, out: Followed, room: Room
    ) -> list[Ended | store.RunState]:
        """Cancel what waits, tell what runs to end; gives the ends, and the runs of sub-chains that go on."""
        found: list[Ended | store.RunState] = []
        for task_id, task, node, key, status, depth, owner, is_chain in store.living(connection, state.id):
            child = store.child_of(connection, task_id) if is_chain and status == "running" else ""
            if child and (running := store.state_of(connection, child)) and running.status == "running":
                found.append(running)
            elif status in HELD and owner:
                journal.ask_to_cancel(connection, task_id)
                out.stopping.append(task_id)
            else:
                reason = because("task.cancelled", who=who)
                journal.change(connection, task_id, State(status="cancelled", reason=reason), room.now_ms)
                found.append(
                    Ended(
                        id=task_id, task=task, run=state.id, node=node, key=key, depth=depth, status="cancelled",
                        reason=reason,
                    )
                )  # fmt: skip
        return found

    def take_over(self, connection: Connection, old: str, new: str, keys: Sequence[str], room: Room) -> None:
        """Copy tasks of a run, with their results, into another."""
        reused = _encode(because("run.reused", run=old))
        wanted, ids = set(keys), dict[str, str]()
        for task_id, key, parent in rows(
            connection,
            "SELECT id, key, parent FROM tasks INDEXED BY tasks_run WHERE run = ? AND run <> '' ORDER BY n",
            [old],
        ):
            if key not in wanted:
                continue
            ids[task_id] = fresh = self._ids.new("task")
            execute(
                connection,
                "INSERT INTO tasks(id, task, args, status, queue, priority, attempt, effect, retry, due, expires, owner, "
                "fencing, submitter, is_redelivered, timeout_s, who, parent, root, run, node, key, depth, created, "
                "started, ended, reason, result) SELECT ?1, task, args, status, queue, priority, attempt, effect, retry, "
                "0, 0, NULL, fencing, submitter, 0, timeout_s, who, ?2, ?3, ?3, node, key, depth, ?4, started, ended, "
                "CASE status WHEN 'succeeded' THEN ?5 ELSE reason END, result FROM tasks WHERE id = ?6",
                [fresh, ids.get(parent, ""), new, room.now_ms, reused, task_id],
            )
            if (body := store.origins(connection, task_id)) is not None:
                self._origins.append((fresh, body))
        self.write_origins(connection)

    # The end of a run

    def why(
        self, connection: Connection, state: store.RunState, walk: Walk, status: RunStatus, out: Followed
    ) -> Reason | None:
        """Why a run failed: the first node that did, and what it said."""
        node = walk.broken
        if status != "failed" or not node:
            return None
        for new in out.tasks:
            if new.run == state.id and new.node == node and new.reason is not None:
                return because("run.node_failed", node=node, status=new.status, what=new.reason.sentence)
        found = row(
            connection,
            "SELECT status, reason FROM tasks INDEXED BY tasks_run WHERE run = ? AND run <> '' AND node = ? AND reason IS NOT NULL AND status IN "
            "('failed', 'dead', 'blocked', 'expired', 'cancelled') ORDER BY n LIMIT 1",
            [state.id, node],
        )
        if found is None:
            return because("run.node_failed", node=node, status="failed", what="it does not say why.")
        return because("run.node_failed", node=node, status=found[0], what=_read_reason(found[1]).sentence)

    def result(
        self, connection: Connection, state: store.RunState, plan: Plan, status: RunStatus
    ) -> bytes | None:
        """What a run gives: the result of the node nothing follows; of several that ran an object by name."""
        found: list[tuple[str, bytes]] = []
        size = 0
        for at, node in enumerate(plan.chain.nodes):
            if plan.graph.out[at]:
                continue
            where = "FROM tasks INDEXED BY tasks_run WHERE run = ? AND run <> '' AND node = ? AND (status = 'succeeded' OR result IS NOT NULL)"
            (count, length) = row(
                connection,
                f"SELECT count(*), coalesce(sum(length(result)), 0) {where}",
                [state.id, node.name],
            ) or (0, 0)
            size += int(length) + 8 * int(count)
            if not count or size > RESULT_BYTES_MAX:
                continue
            given = rows(connection, f"SELECT result {where} ORDER BY n", [state.id, node.name])
            values = [each or b"null" for (each,) in given]
            is_list = plan.graph.depth[at] > 0 or len(values) > 1
            found.append((node.name, b"[" + b",".join(values) + b"]" if is_list else values[0]))
        if size > RESULT_BYTES_MAX or not found:
            return None
        if len(found) == 1:
            return found[0][1]
        return b"{" + b",".join(_encode(name) + b":" + value for name, value in found) + b"}"

    def end_of_node(
        self,
        connection: Connection,
        state: store.RunState,
        status: RunStatus,
        reason: Reason | None,
        result: bytes | None,
    ) -> Ended | None:
        """How the node ends that a run is a part of; None if there is none that waits for it."""
        ended = self._node(connection, state.parent) if state.parent else None
        if ended is None or ended.status != "running":
            return None
        if status == "succeeded":
            return _as(ended, status="succeeded", result=result)
        if status == "cancelled":
            who = str(reason.facts["who"]) if reason is not None and "who" in reason.facts else state.who
            return _as(ended, status="cancelled", reason=because("task.cancelled", who=who))
        what = reason.sentence if reason is not None else "it does not say why."
        told = because("run.chain_failed", run=state.id, chain=state.chain, what=what)
        return _as(ended, status="failed", reason=told)

    def _node(self, connection: Connection, task_id: str) -> Ended | None:
        found = row(
            connection, "SELECT id, task, run, node, key, depth, status FROM tasks WHERE id = ?", [task_id]
        )
        if found is None:
            return None
        task, name, run, node, key, depth, status = found
        return Ended(id=task, task=name, run=run, node=node, key=key, depth=depth, status=status)


def _as(
    ended: Ended, *, status: TaskStatus, reason: Reason | None = None, result: bytes | None = None
) -> Ended:
    """The same task, ended this way."""
    return Ended(
        id=ended.id, task=ended.task, run=ended.run, node=ended.node, key=ended.key, depth=ended.depth,
        status=status, reason=reason, result=result,
    )  # fmt: skip


def _over(new: NewTask, status: TaskStatus, reason: Reason, result: bytes | None = None) -> Born:
    """A task that ends as it is made."""
    ended = Ended(
        id=new.id, task=new.task, run=new.run, node=new.node, key=new.key, depth=new.depth, status=status,
        reason=reason, result=result,
    )  # fmt: skip
    return Born(new=msgspec.structs.replace(new, status=status, reason=reason), ended=ended)


def _placed(new: NewTask, task: NextTask, room: Room) -> NewTask:
    """Held at once where there is a place, queued, or kept for its time."""
    due_ms = round(task.due_at_s * 1000)
    if due_ms > room.now_ms:
        return msgspec.structs.replace(new, status="delayed", due_ms=due_ms)
    if room.places.get(new.queue, 0) > 0:
        room.places[new.queue] -= 1
        return msgspec.structs.replace(new, status="running")
    return new


def _checked(function: Function, args: bytes) -> bytes | Reason:
    try:
        checked = function.signature.check(read_json(args))
    except InvalidInput as error:
        return because(
            "task.args_invalid", task=function.name, what=error.sentence().removeprefix(UNFIT).rstrip(".")
        )
    if len(checked) > ARGS_BYTES_MAX:
        return because("task.payload_too_large", size_bytes=len(checked), limit_bytes=ARGS_BYTES_MAX)
    return checked
