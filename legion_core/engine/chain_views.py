"""Looking at chains and their runs. As in `engine.lookup`, each function takes a connection inside a transaction."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from legion_core.engine import chain_store as store
from legion_core.engine.chain_document import render, to_value
from legion_core.engine.chain_inputs import Inputs, Kept, kept, read_json
from legion_core.engine.conditions import compiled
from legion_core.engine.lookup import moment_of, why
from legion_core.engine.next_hop import Finished, Walk
from legion_core.engine.plan import Decision, Plan
from legion_core.engine.reasons import because
from legion_core.engine.run_types import (
    NODES_SHOWN_MAX,
    ChainRow,
    ChainVersion,
    ChainView,
    EdgeExplained,
    EdgeView,
    NodePayload,
    NodeView,
    RunRow,
    RunView,
)
from legion_core.engine.types import ENDED, Reason, TaskStatus, legacy_status
from legion_core.kernel.errors import NotFound
from legion_core.storage.sqlite import Connection, row, rows

STEPS_READ_MAX = 20_000  # what the edges did is told of the newest so many ends

_decisions = msgspec.json.Decoder(tuple[Decision, ...]).decode
_read_reason = msgspec.json.Decoder(Reason).decode


def plan_of(connection: Connection, state: store.RunState) -> Plan:
    """The chain a run walks through."""
    found = store.version_of(connection, state.chain, state.version, even_deleted=True)
    if found is None:
        raise store.unknown_chain(state.chain, state.version)
    return Plan.of(store.chain_of(found))


def chain_rows(connection: Connection) -> list[ChainRow]:
    """Every chain, by name."""
    counts = store.counts(connection)
    return [_chain_row(connection, each, counts) for each in store.newest(connection)]


def chain_view(connection: Connection, name: str, version: int) -> ChainView:
    """One version of a chain, the newest for 0; NotFound."""
    found = store.version_of(connection, name, version)
    if found is None:
        raise store.unknown_chain(name, version)
    chain = store.chain_of(found)
    shared = _chain_row(connection, found, store.counts(connection))
    return msgspec.convert(
        {
            **msgspec.structs.asdict(shared),
            "document": to_value(chain),
            "text": found.text or render(chain),
        },
        ChainView,
    )


def chain_versions(connection: Connection, name: str) -> list[ChainVersion]:
    """All versions, newest first; NotFound if there is no such chain."""
    found = store.versions(connection, name)
    if not found:
        raise store.unknown_chain(name)
    made: list[ChainVersion] = []
    for version, runs in found:
        chain = store.chain_of(version)
        made.append(
            ChainVersion(
                name=version.name,
                version=version.version,
                applied_at=moment_of(version.applied_ms),
                who=version.who,
                nodes=len(chain.nodes),
                edges=len(chain.edges),
                runs=runs,
            )
        )
    return made


def run_view(connection: Connection, run: str, plan: Plan | None = None) -> RunView:
    """A run with its nodes and edges; NotFound. `plan` is given of a chain that is not kept."""
    state = store.state_of(connection, run)
    if state is None:
        raise store.unknown_run(run)
    plan = plan or plan_of(connection, state)
    shared = store.get_row(connection, run)
    summary = _summary(connection, run)
    nodes = _nodes(connection, run, plan)
    if state.status == "running" and not state.cancelled_by:
        nodes += _not_yet(connection, state, plan, nodes, summary)
    places = plan.graph.places
    nodes.sort(key=lambda each: places[each.node])
    (result,) = row(connection, "SELECT result FROM runs WHERE id = ?", [run]) or (None,)
    return RunView(
        **{name: getattr(shared, name) for name in RunRow.__struct_fields__},
        input=read_json(state.input),
        result=read_json(result) if result is not None else None,
        pins=cast("dict[str, Any]", read_json(state.pins)),
        nodes=tuple(nodes[:NODES_SHOWN_MAX]),
        edges=_edges(connection, run, plan),
        summary=summary,
    )


def node_payload(connection: Connection, run: str, name: str) -> NodePayload:
    """What went into a node and came out, by its key, or by its name for the last time it ran; NotFound."""
    state, found = _node(connection, run, name)
    inputs = Inputs(connection, run, plan_of(connection, state), read_json(state.input))
    return _payload(inputs, found)


def last_payload(connection: Connection, chain: str, node: str) -> NodePayload | None:
    """The same of the newest run in which the node ran."""
    found = row(
        connection,
        "SELECT run, key FROM tasks INDEXED BY tasks_run WHERE run <> '' AND run IN (SELECT id FROM runs WHERE chain = ? AND NOT is_dry ORDER BY n DESC "
        "LIMIT 100) AND node = ? AND status <> 'skipped' ORDER BY n DESC LIMIT 1",
        [chain, node],
    )
    return node_payload(connection, str(found[0]), str(found[1])) if found else None


def edge_explained(connection: Connection, run: str, edge: int, key: str) -> EdgeExplained:
    """Why an edge led on or not, the time `key` ended, or the last time; NotFound."""
    state = store.state_of(connection, run)
    if state is None:
        raise store.unknown_run(run)
    plan = plan_of(connection, state)
    if not 0 <= edge < len(plan.chain.edges):
        raise NotFound(
            f"The chain {state.chain} has no edge {edge}.",
            hint=f"They are numbered 0 to {len(plan.chain.edges) - 1}.",
        )
    of = plan.chain.edges[edge]
    found = kept(connection, run, key) if key else _last(connection, run, of.source)
    shared: dict[str, Any] = {"run": run, "edge": edge, "source": of.source, "target": of.target, "on": of.on}
    step = store.step_of(connection, run, found.key) if found is not None else None
    if found is None or step is None:
        status: TaskStatus = found.status if found is not None else "accepted"
        reason = because("run.not_reached", source=of.source)
        if found is not None and found.status in ENDED:
            reason = because("edge.parent_skipped", source=of.source)
        return EdgeExplained(
            **shared, key=found.key if found else key, status=status, is_decided=False, reason=reason
        )
    decided = [each for each in _held(step) if each.edge == edge]
    condition = None
    if of.when is not None:
        inputs = Inputs(connection, run, plan, read_json(state.input))
        condition = msgspec.to_builtins(compiled(of.when).explain(inputs.all_facts(found)))
    return EdgeExplained(
        **shared,
        key=found.key,
        status=step.status,
        is_decided=bool(decided),
        is_taken=bool(decided) and decided[0].reason is None,
        reason=decided[0].reason if decided else None,
        count=decided[0].count if decided else -1,
        condition=condition,
    )


def _chain_row(
    connection: Connection, version: store.Version, counts: Mapping[str, tuple[int, int]]
) -> ChainRow:
    chain = store.chain_of(version)
    last = store.latest(connection, version.name)
    runs, running = counts.get(version.name, (0, 0))
    return ChainRow(
        name=version.name,
        version=version.version,
        description=chain.description,
        nodes=len(chain.nodes),
        edges=len(chain.edges),
        applied_at=moment_of(version.applied_ms),
        runs=runs,
        running=running,
        last_run=last.id if last else "",
        last_status=last.status if last else None,
        last_at=last.created_at if last else None,
    )


def _summary(connection: Connection, run: str) -> dict[str, dict[str, int]]:
    made: dict[str, dict[str, int]] = {}
    for node, status, count in rows(
        connection,
        "SELECT node, status, count(*) FROM tasks INDEXED BY tasks_run WHERE run = ? AND run <> '' GROUP BY node, status",
        [run],
    ):
        made.setdefault(str(node), {})[str(status)] = int(count)
    return made


def _nodes(connection: Connection, run: str, plan: Plan) -> list[NodeView]:
    found = rows(
        connection,
        "SELECT id, task, node, key, status, reason, attempt, due, started, ended, "
        "(SELECT id FROM runs WHERE parent = tasks.id AND parent <> '') FROM tasks INDEXED BY tasks_run WHERE run = ? AND run <> '' ORDER BY n LIMIT ?",
        [run, NODES_SHOWN_MAX],
    )
    made: list[NodeView] = []
    for task_id, task, node, key, status, reason, attempt, due, started, ended, child in found:
        told = why(status, reason, attempt, due)
        made.append(
            NodeView(
                node=node,
                key=key,
                task=task,
                status=status,
                legacy_status=legacy_status(status, told),
                reason=told,
                id=task_id,
                attempt=attempt,
                index=_index(key) if plan.graph.depth[plan.graph.places[node]] else None,
                child=child or "",
                due_at=moment_of(due),
                started_at=moment_of(started),
                ended_at=moment_of(ended),
            )
        )
    return made


def _not_yet(
    connection: Connection,
    state: store.RunState,
    plan: Plan,
    nodes: list[NodeView],
    summary: dict[str, dict[str, int]],
) -> list[NodeView]:
    """The nodes nothing has led to yet: those that wait for others to arrive, and those no one has come near."""
    made: list[NodeView] = []
    waiting = _waiting(connection, state, plan) if state.finished <= STEPS_READ_MAX else {}
    for at, node in enumerate(plan.chain.nodes):
        if node.name in summary:
            continue
        status: TaskStatus = "accepted"
        if node.name in waiting:
            status, reason = "waiting_join", waiting[node.name]
        else:
            parents = [plan.graph.nodes[plan.graph.source[edge]].name for edge in plan.graph.into[at]]
            reason = because("run.not_reached", source=next(iter(parents), ""))
        made.append(
            NodeView(
                node=node.name,
                key=node.name,
                task=f"chain:{node.chain}" if node.chain else node.task,
                status=status,
                legacy_status=legacy_status(status, reason),
                reason=reason,
            )
        )
    return made


def _waiting(connection: Connection, state: store.RunState, plan: Plan) -> dict[str, Reason]:
    history = [
        Finished(
            key=each.key,
            status=each.status,
            decisions=_decisions(each.decisions) if each.decisions is not None else (),
            at_s=each.at_ms / 1000,
        )
        for each in store.steps(connection, state.id)
    ]
    walk = Walk.again(plan, history)
    graph, made = plan.graph, dict[str, Reason]()
    for key, have in walk.waiting():
        name = key.partition("/")[0].partition("#")[0]
        at = graph.places[name]
        join = graph.nodes[at].join
        need = join if isinstance(join, int) else 1 if join == "any" else len(graph.into[at])
        alive = {each.partition("/")[0].partition("#")[0] for each in walk.alive}
        missing = ", ".join(
            sorted({graph.nodes[node].name for node in graph.members(graph.reached_by[0][at])} & alive)
        )
        made.setdefault(name, because("join.waiting", have=have, need=max(need, have), missing=missing))
    return made


def _edges(connection: Connection, run: str, plan: Plan) -> tuple[EdgeView, ...]:
    taken, refused = Counter[int](), Counter[int]()
    reasons: dict[int, Reason] = {}
    counts: dict[int, int] = {}
    for step in store.steps(connection, run, limit=STEPS_READ_MAX):
        for each in _held(step):
            if each.reason is None:
                taken[each.edge] += 1
                counts[each.edge] = each.count
            else:
                refused[each.edge] += 1
                reasons[each.edge] = each.reason
    return tuple(
        EdgeView(
            edge=at,
            source=edge.source,
            target=edge.target,
            taken=taken[at],
            refused=refused[at],
            reason=reasons.get(at),
            count=counts.get(at, -1),
        )
        for at, edge in enumerate(plan.chain.edges)
    )


def _held(step: store.Stored) -> tuple[Decision, ...]:
    """The decisions that held in the end."""
    stored = step.held if step.held is not None else step.decisions
    return _decisions(stored) if stored is not None else ()


def _node(connection: Connection, run: str, name: str) -> tuple[store.RunState, Kept]:
    state = store.state_of(connection, run)
    if state is None:
        raise store.unknown_run(run)
    found = kept(connection, run, name) or _last(connection, run, name)
    if found is None:
        raise NotFound(
            f"Nothing has become of {name[:80]!r} in the run {run}.",
            hint="`legion chain run-show` lists its nodes.",
        )
    return state, found


def _last(connection: Connection, run: str, node: str) -> Kept | None:
    found = row(
        connection,
        "SELECT key FROM tasks INDEXED BY tasks_run WHERE run = ? AND run <> '' AND node = ? ORDER BY status = 'skipped', n DESC LIMIT 1",
        [run, node],
    )
    return kept(connection, run, str(found[0])) if found else None


def _payload(inputs: Inputs, found: Kept) -> NodePayload:
    is_over = found.status in ENDED
    args = read_json(found.args)
    return NodePayload(
        run=inputs.run,
        node=found.node,
        key=found.key,
        task=found.task,
        status=found.status,
        id=found.id,
        payload=inputs.payload(inputs.arrived(found)),
        args=args,
        result=read_json(found.result) if found.result is not None else None,
        facts=inputs.all_facts(found) if is_over else None,
        reason=found.reason,
    )


def _index(key: str) -> int | None:
    """The place in the innermost fan-out a key stands for."""
    last = key.partition("#")[0].rpartition("/")[2].rpartition(".")[2]
    return int(last) if last.isdecimal() else None
