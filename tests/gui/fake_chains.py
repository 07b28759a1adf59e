"""Chains in memory: texts are read, checked, held against payloads and rendered by the engine's own pure parts; runs end at once.

What a node gives is set by `results`; a node named in `fails` fails. Nothing is stored, and no task really runs.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from legion_core.api.chain_types import (
    ChainFault,
    ChainRow,
    ChainView,
    EdgeView,
    NodePayload,
    NodeView,
    Renamed,
    Rendering,
    RunPage,
    RunRow,
    RunView,
)
from legion_core.api.chains import ChainChanged, RunEnded, RunStarted
from legion_core.api.extension_types import ExtensionRow, FunctionRow
from legion_core.engine.builtin.files import Files
from legion_core.engine.builtin.http import HttpRequests
from legion_core.engine.builtin.small import LogMessages, Questions
from legion_core.engine.chain import Chain, Node
from legion_core.engine.chain_document import from_value, parsed, render, to_value
from legion_core.engine.plan import Plan, facts_of, payload
from legion_core.engine.reasons import because
from legion_core.engine.refusal import InvalidDocument
from legion_core.engine.signature import read_signature
from legion_core.engine.transforms import arguments, compiled
from legion_core.engine.yaml_text import read
from legion_core.kernel.errors import NotFound
from legion_core.kernel.events import EventBus

STEP = timedelta(milliseconds=100)


class RealFunctions:
    """The functions that are built in, with their real schemas; none of them is run."""

    async def list(self) -> tuple[ExtensionRow, ...]:
        return (
            ExtensionRow(name="log", origin="builtin", functions=(_function("log.message.write", LogMessages().write),)),
            ExtensionRow(name="http", origin="builtin", functions=(_function("http.request.get", HttpRequests.get),)),
            ExtensionRow(
                name="file", origin="builtin",
                functions=(_function("file.text.read", Files.read), _function("file.text.write", Files.write)),
            ),
            ExtensionRow(name="llm", origin="builtin", functions=(_function("llm.chat.ask", Questions.ask),)),
        )  # fmt: skip


def _function(name: str, call: Any) -> FunctionRow:
    is_bound = "self" not in inspect.signature(call).parameters
    signature = read_signature(call if is_bound else types.MethodType(call, object()))
    return FunctionRow(
        name=name, description=signature.description, arguments=signature.schema, effect="pure", timeout_s=60.0,
        retries=0, runs_in="loop",
    )  # fmt: skip


class FakeChains:
    def __init__(self, bus: EventBus, now: Any) -> None:
        self.bus, self.now = bus, now
        self.texts: dict[str, list[str]] = {}
        self.all_runs: dict[str, RunView] = {}
        self.payloads: dict[tuple[str, str], NodePayload] = {}
        self.results: dict[str, object] = {}
        self.fails: set[str] = set()
        self.calls: list[tuple[Any, ...]] = []
        self.is_slow = False

    def _stamp(self) -> dict[str, Any]:
        at_utc, at_mono_s = self.bus.stamp()
        return {"at_utc": at_utc, "at_mono_s": at_mono_s}

    # Definitions

    async def apply(self, text: str) -> ChainRow:
        self.calls.append(("apply", text))
        chain = parsed(text)
        texts = self.texts.setdefault(chain.name, [])
        if not texts or texts[-1] != text:
            texts.append(text)
        self.bus.publish(ChainChanged(name=chain.name, version=len(texts), **self._stamp()))
        return self._row(chain.name)

    async def apply_value(self, document: object) -> ChainRow:
        return await self.apply(render(from_value(document)))

    async def validate(self, text: str) -> tuple[ChainFault, ...]:
        try:
            parsed(text)
        except InvalidDocument as error:
            return tuple(
                ChainFault(key=each.key, message=each.message, hint=each.hint, line=each.line)
                for each in error.faults
            )
        return ()

    async def parse(self, text: str) -> dict[str, object]:
        value = read(text)[0]
        assert isinstance(value, dict)
        return value

    async def list(self) -> tuple[ChainRow, ...]:
        return tuple(self._row(name) for name in sorted(self.texts))

    async def show(self, name: str, version: int = 0) -> ChainView:
        if name not in self.texts:
            raise NotFound(f"There is no chain {name}.")
        text = self.texts[name][-1]
        row = msgspec.structs.asdict(self._row(name))
        return ChainView(**row, document=to_value(parsed(text)), text=text)

    async def delete(self, name: str) -> None:
        self.calls.append(("delete", name))
        self.texts.pop(name)
        self.bus.publish(ChainChanged(name=name, version=0, **self._stamp()))

    async def rename(self, old: str, new: str) -> Renamed:
        self.calls.append(("rename", f"{old} {new}"))
        self.texts[new] = [text.replace(f"name: {old}", f"name: {new}") for text in self.texts.pop(old)]
        for name, version in ((new, len(self.texts[new])), (old, 0)):
            self.bus.publish(ChainChanged(name=name, version=version, **self._stamp()))
        return Renamed(version=len(self.texts[new]))

    def _row(self, name: str) -> ChainRow:
        chain = parsed(self.texts[name][-1])
        runs = [run for run in self.all_runs.values() if run.chain == name]
        last = runs[-1] if runs else None
        return ChainRow(
            name=name, version=len(self.texts[name]), nodes=len(chain.nodes), edges=len(chain.edges), runs=len(runs),
            last_run=last.id if last else "", last_status=last.status if last else None,
        )  # fmt: skip

    # Runs

    async def run(
        self,
        name: str,
        input: Any = None,  # noqa: A002  # the facade's own word
        *,
        dry_run: bool = False,
        pins: Any = None,
        version: int = 0,
    ) -> RunRow:
        self.calls.append(("run", name, input, dry_run, dict(pins or {})))
        chain = parsed(self.texts[name][-1])
        return self._walk(chain, input, pins or {}, is_dry=dry_run)

    async def preview(self, document: Any, input: Any = None, pins: Any = None) -> RunView:  # noqa: A002
        self.calls.append(("preview", document, input))
        chain = from_value(document) if isinstance(document, dict) else parsed(document)
        row = self._walk(chain, input, pins or {}, is_dry=True)
        return self.all_runs.pop(row.id)

    def _walk(self, chain: Chain, given: Any, pins: Mapping[str, Any], *, is_dry: bool) -> RunView:
        run = f"run_{len(self.all_runs) + 1}"
        plan, at = Plan.of(chain), self.now()
        nodes: list[NodeView] = []
        taken: dict[int, EdgeView] = {}
        reached: dict[str, list[str]] = {chain.nodes[at_].name: [] for at_ in plan.graph.entries}
        results: dict[str, Any] = {}
        for place in plan.graph.order:
            node = chain.nodes[place]
            if node.name not in reached:
                continue
            seen = payload(
                input=given, origins=(), results={}, more={name: results[name] for name in results}
            )
            if reached[node.name]:
                seen["result"] = results[reached[node.name][-1]]
            status = "failed" if node.name in self.fails else "succeeded"
            args = self._args(node, seen)
            results[node.name] = pins.get(node.name, self.results.get(node.name, {"args": args}))
            facts = facts_of(seen, node.name, status, results[node.name])  # type: ignore[arg-type]
            reason = (
                None
                if status == "succeeded"
                else because("task.args_invalid", task=node.task, what="told so")
            )
            self.payloads[run, node.name] = NodePayload(
                run=run, node=node.name, key=node.name, task=node.task, status=status, id=f"task_{node.name}",  # type: ignore[arg-type]
                payload=seen, args=args, result=results[node.name], facts=facts, reason=reason,
            )  # fmt: skip
            nodes.append(self._node(node, status, at, at + STEP, reason))
            at += STEP
            for decision in plan.decide(node.name, status, facts):  # type: ignore[arg-type]
                edge = chain.edges[decision.edge]
                is_taken = decision.reason is None
                taken[decision.edge] = EdgeView(
                    edge=decision.edge, source=edge.source, target=edge.target, taken=int(is_taken),
                    refused=int(not is_taken), reason=decision.reason, count=decision.count,
                )  # fmt: skip
                if is_taken:
                    reached.setdefault(edge.target, []).append(node.name)
        begun = {node.node for node in nodes}
        why = because("edge.other_outcome", source="", on="", outcome="")
        nodes += [
            self._node(node, "skipped", None, None, why) for node in chain.nodes if node.name not in begun
        ]
        order = {node.name: place for place, node in enumerate(chain.nodes)}
        nodes.sort(key=lambda each: order[each.node])
        view = RunView(
            id=run, chain=chain.name, version=len(self.texts.get(chain.name, ())) or 1,
            status="running" if self.is_slow else "failed" if self.fails & begun else "succeeded",
            is_dry=is_dry, created_at=self.now(), ended_at=None if self.is_slow else at, input=given,
            pins=dict(pins), nodes=tuple(nodes), edges=tuple(taken[place] for place in sorted(taken)),
            summary={node.node: {node.status: 1} for node in nodes},
        )  # fmt: skip
        self.all_runs[run] = view
        self.bus.publish(
            RunStarted(run=run, chain=chain.name, version=view.version, is_dry=is_dry, **self._stamp())
        )
        return view

    @staticmethod
    def _node(node: Node, status: str, start: datetime | None, end: datetime | None, reason: Any) -> NodeView:
        return NodeView(
            node=node.name, key=node.name, task=node.task or f"chain:{node.chain}", status=status,  # type: ignore[arg-type]
            legacy_status="", reason=reason, id=f"task_{node.name}" if start else "", started_at=start, ended_at=end,
        )  # fmt: skip

    @staticmethod
    def _args(node: Node, seen: Mapping[str, Any]) -> Any:
        base = arguments(dict(node.args)).render(seen).args if node.args else {}
        if node.transform is None:
            return base
        return compiled(node.transform).render(seen, base).args

    def end(self, run: str) -> None:
        """A run that was left running ends well."""
        self.all_runs[run] = msgspec.structs.replace(
            self.all_runs[run], status="succeeded", ended_at=self.now() + STEP
        )
        view = self.all_runs[run]
        self.bus.publish(RunEnded(run=run, chain=view.chain, status="succeeded", **self._stamp()))

    async def runs(self, name: str = "", *, status: str = "", limit: int = 50, cursor: str = "") -> RunPage:
        found = [run for run in reversed(self.all_runs.values()) if not name or run.chain == name]
        return RunPage(runs=tuple(found[:limit]))

    async def get_run(self, run: str) -> RunView:
        if run not in self.all_runs:
            raise NotFound(f"There is no run {run}.")
        return self.all_runs[run]

    async def cancel(self, run: str) -> RunView:
        self.calls.append(("cancel", run))
        self.all_runs[run] = msgspec.structs.replace(
            self.all_runs[run], status="cancelled", ended_at=self.now()
        )
        return self.all_runs[run]

    async def replay(self, run: str, node: str, *, pins: Any = None) -> RunRow:
        self.calls.append(("replay", run, node))
        old = self.all_runs[run]
        view = self._walk(parsed(self.texts[old.chain][-1]), old.input, pins or {}, is_dry=False)
        self.all_runs[view.id] = msgspec.structs.replace(view, replay_of=run, replay_from=node)
        return self.all_runs[view.id]

    async def payload(self, run: str, node: str) -> NodePayload:
        if (run, node) not in self.payloads:
            raise NotFound(f"{node} did not run.")
        return self.payloads[run, node]

    async def last_payload(self, name: str, node: str) -> NodePayload | None:
        found = [each for (run, at), each in self.payloads.items() if at == node]
        return found[-1] if found else None

    async def render(self, node: Mapping[str, Any], seen: Any) -> Rendering:
        base = arguments(dict(node["args"])).render(seen) if node.get("args") else None
        if base is not None and base.args is None:
            return Rendering(reason=base.reason)
        args = base.args if base is not None else {}
        if node.get("transform") is None:
            return Rendering(args=args)
        made = compiled(node["transform"]).render(seen, args)
        return Rendering(args=made.args, reason=made.reason, ask=made.ask.prompt if made.ask else "")
