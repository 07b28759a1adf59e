"""Pure: which tasks follow the one that ended, and which will never run, for one run of a chain.

    start() ──▶ Hop(tasks)      finish(key, status, decisions) ──▶ Hop(tasks, skipped, ended)

A task that runs is a token at a node, in a *scope*: the elements of the fan-outs that stand open around it. Arrivals at
a node with several parents, or with `join`, wait in a pool. A pool is decided when nothing alive in its scope can lead
there any more (or sooner: `any`, a number, `all` its edges), and so it fires once in whatever order the others end; a
node nothing can lead to any more is skipped, with the reason. So every node of a run ends.

The walk holds keys, never results, and does the same for the same decisions: it is stored by storing the decisions of
each task that ended (`Decision.stored`), and made again by `Walk.again`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from legion_core.engine.plan import Decision, Origin, Plan
from legion_core.engine.reasons import REASONS, because
from legion_core.engine.types import FAILED, Json, Reason, RunStatus, TaskStatus
from legion_core.kernel.errors import Conflict

TASKS_MAX = 1_000_000  # of one run


class NextTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task to be inserted. `key` is its place in the run and the same however often the hop is computed.

    `origins` led here, in the order of the chain's edges and of the elements; `gathered` are those nodes among them
    that did so once for each element. `element` and `index` are its own in a fan-out, by the edge `fan`. `due_at_s`
    (UTC seconds) is the latest delay of the edges it came by, 0 for at once.
    """

    key: str
    node: str
    origins: tuple[Origin, ...] = ()
    gathered: frozenset[str] = frozenset()
    element: Json | msgspec.UnsetType = msgspec.UNSET
    index: int | None = None
    fan: int | None = None
    due_at_s: float = 0.0


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A node that will not run, there; `status` is `skipped`, or `blocked` where something is wrong."""

    key: str
    node: str
    status: TaskStatus
    reason: Reason


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A task that ended, as it was stored, in the order in which they ended; `decisions` are `Plan.decide`'s."""

    key: str
    status: TaskStatus
    decisions: tuple[Decision, ...] = ()
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Hop:
    """What follows: all of it belongs into the transaction that ends the task.

    `decisions` are those that held in the end, to be shown: an edge without budget is among the refused. (To make the
    walk again, those that were given are stored.) `cancelled` are the keys of tasks to be cancelled. `ended` is the
    run's status once nothing is left to do.
    """

    tasks: tuple[NextTask, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    decisions: tuple[Decision, ...] = ()
    cancelled: tuple[str, ...] = ()
    ended: RunStatus | None = None


class _Scope:
    """One element of the fan-outs that stand open, or the run itself; counts all that lives within it."""

    __slots__ = (
        "broken",
        "counts",
        "dead",
        "depth",
        "fans",
        "live",
        "parent",
        "path",
        "pools",
        "seen",
        "visits",
    )

    def __init__(self, parent: "_Scope | None", path: str) -> None:
        self.parent = parent
        self.path = path
        self.depth = parent.depth + 1 if parent is not None else 0
        self.live = 0  # nodes with a task alive here or deeper
        self.counts: dict[int, int] | None = None  # how many, where more than one
        self.seen = 0  # nodes that have run or were skipped, here or deeper
        self.broken = 0  # nodes that failed with nothing to take it up, and what hung on them
        self.pools: dict[int, _Pool] | None = None
        self.fans: list[tuple[int, str, int]] | None = None  # edge, path of its elements, how many
        self.dead: dict[int, Reason] | None = None  # why an edge did not lead on, the last time
        self.visits: dict[int, int] | None = None  # how often a node ran here, where more than once

    def up(self) -> "Iterator[_Scope]":
        """This scope and those around it, outwards."""
        scope: _Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def at(self, depth: int) -> "_Scope":
        """The scope of that depth around this one."""
        scope = self
        while scope.depth > depth:
            assert scope.parent is not None
            scope = scope.parent
        return scope


@dataclass(slots=True)
class _Pool:
    """Arrivals that wait for each other; `elements` are the paths of those that came out of a fan-out."""

    arrivals: list[tuple[int, str, Origin]] = field(default_factory=list[tuple[int, str, Origin]])
    edges: set[int] = field(default_factory=set[int])
    elements: set[str] = field(default_factory=set[str])
    due_at_s: float = 0.0
    has_fired: bool = False

    @property
    def is_waiting(self) -> bool:
        return bool(self.arrivals) and not self.has_fired


@dataclass(slots=True)
class _Building:
    """A hop while it is made."""

    tasks: list[NextTask] = field(default_factory=list[NextTask])
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    decisions: list[Decision] = field(default_factory=list[Decision])


@dataclass(frozen=True, slots=True)
class _Token:
    node: int
    scope: _Scope
    visit: int
    task: NextTask


class Walk:
    """One run of a chain on its way. Not for several threads; made anew where a transaction was undone."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._graph = plan.graph
        self._root = _Scope(None, "")
        self._tokens: dict[str, _Token] = {}
        self._origins: dict[str, tuple[Origin, ...]] = {}
        self._loops_left = plan.chain.loops
        self._count = 0
        self._failed: dict[int, TaskStatus] = {}
        self._is_cancelled = False
        self.finished = 0  # how many tasks have ended: what a stored run is compared by

    @staticmethod
    def again(plan: Plan, history: Iterable[Finished]) -> "Walk":
        """The walk after all of `history`, in its order; its hops were carried out before."""
        walk = Walk(plan)
        walk.start()
        for each in history:
            walk.finish(each.key, each.status, each.decisions, each.at_s)
        return walk

    @staticmethod
    def replay(plan: Plan, history: Sequence[Finished], node: str) -> "tuple[Walk, Hop, tuple[str, ...]]":
        """A new run that takes over what came before `node` and runs it, and all it leads to, anew.

        Gives the walk, the hop to begin with, and the keys whose results are taken over. The elements of fan-outs
        that were stored without them are left to `Plan.elements`.
        """
        at = plan.graph.places[node]
        anew = plan.graph.reach[0][at] | plan.graph.bit[at]
        walk = Walk(plan)
        skipped = list(walk.start().skipped)
        reused: list[str] = []
        for each in history:
            token = walk._tokens.get(each.key)
            if token is not None and not anew & plan.graph.bit[token.node]:
                skipped.extend(walk.finish(each.key, each.status, each.decisions, each.at_s).skipped)
                reused.append(each.key)
        hop = Hop(
            tasks=tuple(token.task for token in walk._tokens.values()),
            skipped=tuple(skipped),
            ended=walk._ended(),
        )
        return walk, hop, tuple(reused)

    @property
    def alive(self) -> tuple[str, ...]:
        """The keys of the tasks that have not ended."""
        return tuple(self._tokens)

    def task(self, key: str) -> NextTask | None:
        """A task that is alive, as it was given out."""
        token = self._tokens.get(key)
        return token.task if token is not None else None

    @property
    def broken(self) -> str:
        """The first node whose failure nothing took up; empty if there is none."""
        return self._graph.nodes[next(iter(self._failed))].name if self._failed else ""

    def waiting(self) -> tuple[tuple[str, int], ...]:
        """The nodes where arrivals wait for others, and how many have arrived."""
        scopes = {id(scope): scope for token in self._tokens.values() for scope in token.scope.up()}
        return tuple(
            (self._key(node, scope), len(pool.arrivals))
            for scope in scopes.values()
            for node, pool in (scope.pools or {}).items()
            if pool.is_waiting
        )

    def nearest(self, key: str, node: str) -> str | None:
        """The key of the task of `node` that came before `key` with the fewest hops between; None if none did."""
        seen = {key}
        todo = [key]
        for each in todo:
            for origin in self._origins.get(each, ()):
                if origin.node == node:
                    return origin.key
                if origin.key not in seen:
                    seen.add(origin.key)
                    todo.append(origin.key)
        return None

    def start(self) -> Hop:
        """The tasks a run begins with."""
        assert self._count == 0, "a walk starts once"
        hop = _Building()
        for node in self._graph.entries:
            self._create(hop, node, self._root)
        return Hop(tasks=tuple(hop.tasks))

    def finish(self, key: str, status: TaskStatus, decisions: Sequence[Decision], at_s: float = 0.0) -> Hop:
        """What follows the task `key`, which ended at `at_s` (UTC seconds); `decisions` are `Plan.decide`'s.

        Raises Conflict if no such task is alive: it ended before, or never was.
        """
        token = self._tokens.pop(key, None)
        if token is None:
            raise Conflict(f"The task {key!r} of this run has ended already, or never was.")
        self.finished += 1
        self._leave(token)
        hop = _Building()
        if self._is_cancelled:
            return Hop(ended=self._ended())
        self._follow(hop, token, status, decisions, at_s)
        for scope in token.scope.up():
            self._settle(hop, scope, token.node)
        return Hop(
            tasks=tuple(hop.tasks),
            skipped=tuple(hop.skipped),
            decisions=tuple(hop.decisions),
            ended=self._ended(),
        )

    def cancel(self, who: str) -> Hop:
        """Nothing more follows: what is alive is to be cancelled, what has not begun is skipped."""
        if self._is_cancelled:
            return Hop()
        self._is_cancelled = True
        reason = because("run.cancelled", who=who)
        skipped = [
            self._skipped(node, self._root, reason)
            for node in self._graph.order
            if not self._root.seen & self._graph.bit[node]
        ]
        skipped += [
            Skipped(key=key, node=key.partition("/")[0].partition("#")[0], status="skipped", reason=reason)
            for key, _ in self.waiting()
            if key not in {each.key for each in skipped}
        ]
        return Hop(skipped=tuple(skipped), cancelled=self.alive, ended=self._ended())

    def _ended(self) -> RunStatus | None:
        if self._root.live:
            return None
        if self._is_cancelled:
            return "cancelled"
        return "failed" if self._failed else "succeeded"

    def _follow(
        self, hop: _Building, token: _Token, status: TaskStatus, decisions: Sequence[Decision], at_s: float
    ) -> None:
        """Let every edge that holds lead on; if none does after a failure, the node is broken."""
        leads = False
        for decision in decisions:
            held = self._checked(decision)
            hop.decisions.append(held)
            if held.reason is None:
                leads = True
                due_at_s = at_s + delay_s if (delay_s := self._graph.edges[held.edge].delay_s) else 0.0
                self._lead(hop, token, held, due_at_s)
            else:
                token.scope.dead = token.scope.dead or {}
                token.scope.dead[held.edge] = held.reason
        if not leads and (status in FAILED or status == "cancelled"):
            self._break(token.node, token.scope)
            self._failed[token.node] = status

    def _checked(self, decision: Decision) -> Decision:
        """The decision, refused where the run's budget is spent."""
        if decision.reason is not None:
            return decision
        graph, limit = self._graph, self.plan.chain.loops
        if self._count + max(1, decision.count) > TASKS_MAX:
            return Decision(edge=decision.edge, reason=because("run.too_many_tasks", count=self._count))
        if decision.edge in graph.back:
            if self._loops_left == 0:
                source = graph.edges[decision.edge].source
                reason = because("budget.loops_spent", source=source, limit=limit)
                return Decision(edge=decision.edge, reason=reason)
            self._loops_left -= 1
        return decision

    def _lead(self, hop: _Building, token: _Token, decision: Decision, due_at_s: float) -> None:
        """Follow one edge: into a fan-out, into a pool, or straight to its task."""
        graph, edge = self._graph, decision.edge
        target = graph.target[edge]
        origin = Origin(node=graph.edges[edge].source, key=token.task.key)
        if graph.edges[edge].each:
            again = f"~{token.visit}" if token.visit > 1 else ""
            stem = f"{token.scope.path}/{edge}{again}"
            token.scope.fans = token.scope.fans or []
            token.scope.fans.append((edge, stem, decision.count))
            origins = (origin,)
            for at in range(decision.count):
                element = decision.elements[at] if decision.elements else msgspec.UNSET
                scope = _Scope(token.scope, f"{stem}.{at}")
                self._create(hop, target, scope, origins, due_at_s, element=element, index=at, fan=edge)
            return
        scope = token.scope.at(graph.depth[target])
        if not graph.is_pooled(target):
            self._create(hop, target, scope, (origin,), due_at_s)
            return
        scope.pools = scope.pools or {}
        pool = scope.pools.setdefault(target, _Pool())
        if pool.has_fired:
            hop.decisions[-1] = Decision(
                edge=edge, reason=because("join.already_ran", need=len(pool.arrivals))
            )
            return
        element = token.scope.at(scope.depth + 1).path if token.scope.depth > scope.depth else ""
        pool.arrivals.append((edge, element, origin))
        pool.edges.add(edge)
        pool.due_at_s = max(pool.due_at_s, due_at_s)
        if element:
            pool.elements.add(element)
        if self._is_enough(target, pool, is_final=False):
            self._fire(hop, target, scope, pool)

    def _is_enough(self, node: int, pool: _Pool, *, is_final: bool, expected: int = 0) -> bool:
        """Whether a pool may fire: before all is said only if nothing that may come could change it."""
        join = self._graph.nodes[node].join
        if join == "all":
            if not pool.elements:
                return len(pool.edges) == len(self._graph.into[node])
            plain = sum(1 for edge in self._graph.into[node] if self._is_plain(edge, node))
            came = sum(1 for edge in pool.edges if self._is_plain(edge, node))
            return is_final and len(pool.elements) == expected and came == plain
        if join is None:
            return is_final
        need = 1 if join == "any" else join
        plain = sum(1 for _, element, _ in pool.arrivals if not element)
        return len(pool.elements) + plain >= need

    def _is_plain(self, edge: int, node: int) -> bool:
        """Whether an edge leads to a join from beside it, not from within the fan-out it closes."""
        return self._graph.depth[self._graph.source[edge]] == self._graph.depth[node]

    def _fire(self, hop: _Building, node: int, scope: _Scope, pool: _Pool) -> None:
        """Make the task of a pool; an explicit join never fires again, a meeting point does, in a loop."""
        graph = self._graph
        arrivals = sorted(pool.arrivals, key=lambda each: (each[0], _natural(each[1])))
        gathered = {graph.edges[edge].source for edge, element, _ in arrivals if element}
        assert scope.pools is not None
        if graph.nodes[node].join is None:
            del scope.pools[node]
        else:
            pool.has_fired = True
            pool.arrivals = pool.arrivals[:]
        self._create(
            hop,
            node,
            scope,
            tuple(origin for _, _, origin in arrivals),
            pool.due_at_s,
            gathered=frozenset(gathered),
        )

    def _create(
        self,
        hop: _Building,
        node: int,
        scope: _Scope,
        origins: tuple[Origin, ...] = (),
        due_at_s: float = 0.0,
        *,
        gathered: frozenset[str] = frozenset(),
        element: Json | msgspec.UnsetType = msgspec.UNSET,
        index: int | None = None,
        fan: int | None = None,
    ) -> None:
        visit = self._visit(node, scope)
        scope.broken &= ~self._graph.bit[node]  # what broke the last time round has another chance
        key = self._key(node, scope, visit)
        assert key not in self._origins, "a key is given once"
        task = NextTask(
            key=key,
            node=self._graph.nodes[node].name,
            origins=origins,
            gathered=gathered,
            element=element,
            index=index,
            fan=fan,
            due_at_s=due_at_s,
        )
        hop.tasks.append(task)
        self._origins[key] = origins
        self._tokens[key] = _Token(node, scope, visit, task)
        self._count += 1
        bit = self._graph.bit[node]
        for each in scope.up():
            if each.live & bit:
                each.counts = each.counts or {}
                each.counts[node] = each.counts.get(node, 1) + 1
            each.live |= bit
            each.seen |= bit

    def _visit(self, node: int, scope: _Scope) -> int:
        """Which time it is that something becomes of a node there, from 1; more than once only in a loop."""
        if not scope.seen & self._graph.bit[node]:
            return 1
        scope.visits = scope.visits or {}
        scope.visits[node] = scope.visits.get(node, 1) + 1
        return scope.visits[node]

    def _leave(self, token: _Token) -> None:
        """A task ended: it lives in none of its scopes any more."""
        node = token.node
        for each in token.scope.up():
            left = (each.counts or {}).get(node, 1) - 1
            if left <= 0:
                each.live &= ~self._graph.bit[node]
            elif each.counts is not None:
                if left == 1:
                    del each.counts[node]
                else:
                    each.counts[node] = left

    def _settle(self, hop: _Building, scope: _Scope, ended: int) -> None:
        """Decide every node of a scope that the one that ended could lead to and nothing alive still can."""
        graph, level = self._graph, scope.depth
        while True:
            waiting = sum(graph.bit[node] for node, pool in (scope.pools or {}).items() if pool.is_waiting)
            open_ = graph.reach[level][ended] & (~scope.seen | waiting) & graph.at_least[level]
            settled = self._unreachable(open_, scope.live, level)
            if not settled:
                return
            has_fired = False
            for node in graph.members(settled):
                pool = (scope.pools or {}).get(node)
                if pool is None or not pool.is_waiting:
                    self._skip(hop, node, scope, self._why(node, scope))
                elif self._may_fire(node, scope, pool):
                    self._fire(hop, node, scope, pool)
                    has_fired = True
                    break  # it lives now, and what it leads to is open again
                else:
                    self._skip(hop, node, scope, self._why_not_enough(node, scope, pool))
                    pool.arrivals.clear()
            if not has_fired:
                return

    def _unreachable(self, nodes: int, live: int, level: int) -> int:
        """Those of `nodes` that nothing alive can lead to."""
        for node in self._graph.members(live):
            if not nodes:
                return 0
            nodes &= ~self._graph.reach[level][node]
        return nodes

    def _may_fire(self, node: int, scope: _Scope, pool: _Pool) -> bool:
        if self._graph.nodes[node].join is None:
            return self._broken_parent(node, scope, pool) is None
        return self._is_enough(node, pool, is_final=True, expected=self._expected(node, scope))

    def _broken_parent(self, node: int, scope: _Scope, pool: _Pool | None) -> int | None:
        """A parent that did not lead here because it failed, or hung on one that did."""
        for edge in self._graph.into[node]:
            source = self._graph.source[edge]
            if (pool is None or edge not in pool.edges) and scope.broken & self._graph.bit[source]:
                return source
        return None

    def _expected(self, node: int, scope: _Scope) -> int:
        """How many elements the fan-outs have that a join closes."""
        graph = self._graph
        level = scope.depth + 1
        if level > graph.deepest:
            return 0
        total = 0
        for edge, _, size in scope.fans or ():
            inside = graph.reach[level][graph.target[edge]] | graph.bit[graph.target[edge]]
            if any(inside & graph.bit[graph.source[into]] for into in graph.into[node]):
                total += size
        return total

    def _skip(self, hop: _Building, node: int, scope: _Scope, reason: Reason) -> None:
        skipped = self._skipped(node, scope, reason, self._visit(node, scope))
        for each in scope.up():
            each.seen |= self._graph.bit[node]
        if skipped.status == "blocked":
            self._failed.setdefault(node, "blocked")
            self._break(node, scope)
        elif self._broken_parent(node, scope, None) is not None:
            self._break(node, scope)
        hop.skipped.append(skipped)

    def _break(self, node: int, scope: _Scope) -> None:
        """What meets this node's edges further on, here or where its fan-out is closed, is not to run without it."""
        for each in scope.up():
            each.broken |= self._graph.bit[node]

    def _skipped(self, node: int, scope: _Scope, reason: Reason, visit: int = 1) -> Skipped:
        status = REASONS[reason.code].status
        return Skipped(
            key=self._key(node, scope, visit),
            node=self._graph.nodes[node].name,
            status="blocked" if status == "blocked" else "skipped",
            reason=reason,
        )

    def _why(self, node: int, scope: _Scope) -> Reason:
        """Why nothing led to a node: the first of its edges that has something to say."""
        graph = self._graph
        broken = self._broken_parent(node, scope, None)
        if broken is not None and broken in self._failed:
            source = graph.nodes[broken].name
            return because("edge.parent_failed", source=source, status=self._failed[broken])
        told = [reason for edge in graph.into[node] if (reason := (scope.dead or {}).get(edge)) is not None]
        told.sort(key=lambda reason: REASONS[reason.code].status != "blocked")
        if told:
            return told[0]
        parents = {graph.source[edge] for edge in graph.into[node]}
        (parent, *others) = parents
        if others or self._has_run(parent, scope):
            return because("join.nothing_arrived")
        return because("edge.parent_skipped", source=graph.nodes[parent].name)

    def _has_run(self, node: int, scope: _Scope) -> bool:
        """Whether a node ran in some element within the scope."""
        return (
            self._graph.depth[node] > scope.depth
            and bool(scope.fans)
            and bool(scope.seen & self._graph.bit[node])
        )

    def _why_not_enough(self, node: int, scope: _Scope, pool: _Pool) -> Reason:
        graph = self._graph
        join = graph.nodes[node].join
        if join is None:
            broken = self._broken_parent(node, scope, pool)
            assert broken is not None
            return because("join.parent_failed", source=graph.nodes[broken].name)
        missing = ", ".join(
            graph.nodes[graph.source[edge]].name for edge in graph.into[node] if edge not in pool.edges
        )
        if pool.elements:
            expected = self._expected(node, scope)
            need = expected if join == "all" else 1 if join == "any" else join
            missing = missing or f"{expected - len(pool.elements)} elements"
            return because("join.not_enough", have=len(pool.elements), need=need, missing=missing)
        need = len(graph.into[node]) if join == "all" else 1 if join == "any" else join
        return because("join.not_enough", have=len(pool.arrivals), need=need, missing=missing)

    def _key(self, node: int, scope: _Scope, visit: int = 1) -> str:
        again = f"#{visit}" if visit > 1 else ""
        return f"{self._graph.nodes[node].name}{scope.path}{again}"


def _natural(path: str) -> int:
    """The element's own number, for ten comes after nine."""
    return int(path.rpartition(".")[2]) if path else -1
