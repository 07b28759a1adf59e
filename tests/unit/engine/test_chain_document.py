import contextlib
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.chain import Chain, Edge, Node
from legion_core.engine.chain_document import from_value, parsed, render, to_value
from legion_core.engine.chain_graph import graph_of
from legion_core.engine.refusal import InvalidDocument
from legion_core.engine.types import Retry
from tests.unit.engine.walking import chain

EXAMPLE = (
    (Path(__file__).parents[3] / "docs" / "chains.md")
    .read_text(encoding="utf-8")
    .split("```yaml\n")[1]
    .split("```")[0]
)


def faults(text: str, **more: Any) -> list[str]:
    with pytest.raises(InvalidDocument) as refused:
        parsed(text, **more)
    return [str(fault) for fault in refused.value.faults]


def refused(nodes: Any, edges: list[Any], loops: int = 0) -> list[str]:
    with pytest.raises(InvalidDocument) as error:
        chain(nodes, edges, loops)
    return [str(fault) for fault in error.value.faults]


def test_the_example_of_the_document_is_read() -> None:
    assert parsed(EXAMPLE) == Chain(
        name="fetch-and-tell",
        nodes=(
            Node(name="get", task="http.request.get", args={"url": "{{ input.url }}"}, retry=Retry(max=3)),
            Node(
                name="tell",
                task="llm.chat.ask",
                transform={"engine": "liquid", "template": {"prompt": "Summarise: {{ result.body }}"}},
            ),
            Node(name="alarm", task="log.message.write"),
        ),
        edges=(
            Edge(
                source="get",
                target="tell",
                when={"all": [{"fact": "result.status", "operator": "equal", "value": 200}]},
            ),
            Edge(source="get", target="alarm", on="failure"),
        ),
    )


def test_all_faults_are_told_at_once_with_their_lines() -> None:
    text = """
name: bad chain
nods: {}
nodes:
  a: {task: http.request.get, arg: 1, timeout_s: -1}
  b: {task: http.get, join: some}
  c: {task: x.y.z, transform: {engine: liquit, template: "x"}}
  d: {task: x.y.z, args: {u: "{{ x"}, retry: {max: many}}
  1: {task: x.y.z}
edges:
  - {from: a, to: bb, on: fail}
  - {from: a, to: c, when: {all: [{fact: x, operator: equals, value: 1}]}, delay: soon, each: items}
  - {to: a, unless: 1}
budget: {loops: often}
"""
    assert [fault.split(": ")[0:2] for fault in faults(text)] == [
        ["line 2", "name"],
        ["line 3", "nods"],
        ["line 5", "nodes.a.arg"],
        ["line 5", "nodes.a.timeout_s"],
        ["line 5", "nodes"],
        ["line 6", "nodes.b.task"],
        ["line 6", "nodes.b.join"],
        ["line 7", "nodes.c.transform.engine"],
        ["line 8", "nodes.d.args.u"],
        ["line 8", "nodes.d.retry.max"],
        ["line 11", "edges[0].to"],
        ["line 11", "edges[0].on"],
        ["line 12", "edges[1].when.all[0].operator"],
        ["line 12", "edges[1].each"],
        ["line 12", "edges[1].delay"],
        ["line 13", "edges[2].unless"],
        ["line 13", "edges[2].from"],
        ["line 14", "budget.loops"],
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "expected a chain, found a list"),
        ("name: x", "nodes: is missing"),
        ("name: x\nnodes: {}", "an object with a name"),
        ("name: x\nnodes: {a: }", "expected a node, found null"),
        ("name: x\nnodes: {a: {}}", "a task or a chain, one of the two"),
        ("name: x\nnodes: {a: {task: a.b.c, chain: y}}", "a task or a chain, one of the two"),
        ("name: x\nnodes: {a: {chain: x}}", "would start itself"),
        ("name: x\nnodes: {a: {chain: 'no name'}}", "cannot be a chain's name"),
        ("name: x\nnodes: {a: {task: A.b.c}}", "not a task's name"),
        ("name: x\nnodes: {a: {task: a.b.c, args: [1]}}", "expected an object"),
        ("name: x\nnodes: {a.b: {task: a.b.c}}", "cannot be a node's name"),
        ("name: x\nnodes: {a: {task: a.b.c}}\nedges: {}", "expected a list"),
        ("name: x\nnodes: {a: {task: a.b.c}}\nedges: [x]", "expected an edge"),
        ("name: x\nnodes: {a: {task: a.b.c}}\nformat: 2", "this version reads 1"),
        ("name: x\nnodes: {a: {task: a.b.c}}\ndescription: [1]", "is a text"),
        ("name: x\nnodes: {a: {task: a.b.c, join: 0}}", "a number from 1"),
        ("name: x\nnodes: {a: {task: a.b.c, join: true}}", "a number from 1"),
        ("name: x\nnodes: {a: {task: a.b.c, timeout_s: .inf}}", "a number from 0"),
        ("name: x\nnodes: {a: {task: a.b.c, args: {n: .nan}}}", "not a JSON number"),
        ("name: x\nname: y\nnodes: {a: {task: a.b.c}}", "a second time"),
    ],
)
def test_a_chain_that_cannot_be_used_is_refused(text: str, words: str) -> None:
    assert words in " ".join(faults(text))


def test_a_task_that_no_extension_has_is_refused_where_that_is_known() -> None:
    text = "name: x\nnodes: {a: {task: a.b.c}, b: {task: a.b.d}}"
    assert faults(text, known_task={"a.b.c"}.__contains__) == [
        "line 2: nodes.b.task: no extension has a.b.d. `legion extension list` shows them."
    ]


def test_a_cycle_is_refused_with_its_path_unless_a_budget_allows_it() -> None:
    assert "a → b → c → a" in refused("a b c", ["a b", "b c", "c a"])[0]
    assert "b → c → b" in refused("a b c", ["a b", "b c", "c b"])[0]
    assert "a → a" in refused("a", ["a a"])[0]
    assert "round in a circle" in refused("a b c d", ["a b", "b a", "a c", "c d", "d c"])[1]
    assert chain("a b c", ["a b", "b c", "c a"], loops=3).loops == 3
    long = [f"n{at}" for at in range(30)]
    told = refused(" ".join(long), [f"{long[at]} {long[(at + 1) % 30]}" for at in range(30)])[0]
    assert "… → n29 → n0" in told


def test_a_node_that_nothing_leads_to_but_its_own_loop_is_refused() -> None:
    assert refused("a b c", ["b c", "c b"], loops=1) == [
        "nodes.b: b is never reached. Let an edge lead to it, or take its incoming edges away.",
        "nodes.c: c is never reached. Let an edge lead to it, or take its incoming edges away.",
    ]


@pytest.mark.parametrize(
    ("nodes", "edges", "words"),
    [
        ({"a": {"join": "all"}}, [], "nothing to wait for"),
        ({"a": {}, "b": {}, "c": {"join": 3}}, ["a c", "b c"], "waits for 3, but 2 edges"),
        ({"a": {}, "b": {"join": "any"}}, ["a b", "b b"], "would wait for itself"),
        ({"a": {}, "b": {"join": "all"}}, [{"from": "a", "to": "b", "each": "$"}], "fans out right into the join"),
        ({"a": {}, "b": {}, "c": {}}, [{"from": "a", "to": "b", "each": "$"}, "b c", "a c"], "Give c a join"),
        (
            {"a": {}, "b": {}, "c": {}, "d": {"join": "all"}},
            [{"from": "a", "to": "b", "each": "$"}, {"from": "b", "to": "c", "each": "$"}, "c d", "a d"],
            "cannot join fan-outs of such different depth",
        ),
        (
            {name: {} for name in "abcdef"},
            [{"from": one, "to": other, "each": "$"} for one, other in ("ab", "bc", "cd", "de", "ef")],
            "5 fan-outs deep; at most 4",
        ),
        ({"a": {}, "b": {}}, [{"from": "a", "to": "b", "each": "$"}, "b a"], "same fan-out"),
    ],
)  # fmt: skip
def test_joins_and_fan_outs_have_to_fit_together(nodes: Any, edges: list[Any], words: str) -> None:
    assert words in " ".join(refused(nodes, edges, loops=1))


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"x": "{{ results.bb.y }}"}, "there is no node 'bb'. Did you mean 'b'?"),
        ({"x": "{{ results.d }}"}, "d does not come before c"),
        ({"x": "{{ results.c }}"}, "c does not come before c"),
        ({"x": "{{ reslt }}"}, "there is no 'reslt' in a chain. Did you mean 'result'?"),
        ({"x": "{{ success }}"}, "there is no 'success' in a chain"),
    ],
)
def test_names_that_lead_nowhere_are_refused(args: Any, words: str) -> None:
    nodes = {"a": {}, "b": {}, "c": {"args": args}, "d": {}}
    assert words in refused(nodes, ["a b", "b c", "c d"])[0]
    good = {**nodes, "c": {"args": {"x": "{{ results.a.y }} {{ results.b }} {{ result.z }} {{ input }}"}}}
    assert chain(good, ["a b", "b c", "c d"])


def test_the_first_node_has_nothing_but_the_input() -> None:
    told = refused({"a": {"args": {"x": "{{ result.y }}{{ input.z }}"}}, "b": {}}, ["a b"])
    assert told == ["nodes.a: result.y: nothing comes before a. Only input is there."]


def test_a_condition_sees_the_task_it_leaves_and_those_before_it() -> None:
    def edge(fact: str) -> list[Any]:
        return ["a b", {"from": "b", "to": "c", "when": {"fact": fact, "operator": "not_nil"}}]

    assert chain("a b c", edge("results.a.x"))
    assert chain("a b c", edge("results.b.x"))
    assert "there is no 'success'" in refused("a b c", edge("success"))[0]
    assert "does not come before" in refused("a b c", edge("results.c.x"))[0]
    path = {"engine": "jsonpath", "template": {"x": "$.results['nope'].y"}}
    assert "no node 'nope'" in refused({"a": {}, "b": {"transform": path}}, ["a b"])[0]


NAMES = st.lists(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,6}", fullmatch=True), min_size=1, max_size=5, unique=True
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="{}"), max_size=8)
    | st.sampled_from(["on", "no", "null", "12", "0o7", "1e3", "a: b", "- x", "#x", "", " x ", "'", '"', "\u2028", "é\x7f"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(blacklist_categories=["Cs"]), max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    names = draw(NAMES)
    nodes = [
        Node(
            name=name,
            task="a.b.c",
            args=draw(
                st.dictionaries(
                    st.text(st.characters(blacklist_categories=["Cs"]), max_size=4), PLAIN, max_size=2
                )
            ),
            transform=draw(st.none() | PLAIN.map(lambda value: {"engine": "static", "template": value})),
            retry=draw(st.none() | st.builds(Retry, max=st.integers(0, 9), delay_s=st.floats(0, 100))),
            timeout_s=draw(st.none() | st.floats(0, 1000)),
        )
        for name in names
    ]
    edges = [
        Edge(
            source=names[at],
            target=names[at + 1],
            on=draw(st.sampled_from(["success", "failure", "always"])),
            when=draw(
                st.none() | PLAIN.map(lambda value: {"fact": "result", "operator": "equal", "value": value})
            ),
            delay_s=draw(st.sampled_from([0.0, 1.0, 2.5])),
        )
        for at in range(len(names) - 1)
    ]
    return Chain(
        name="c",
        description=draw(st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)),
        nodes=tuple(nodes),
        edges=tuple(edges),
        loops=draw(st.integers(0, 3)),
    )


@given(chains())
def test_a_chain_is_written_and_read_back_as_itself(made: Chain) -> None:
    assert parsed(render(made)) == made
    assert from_value(to_value(made)) == made
    assert parsed(json.dumps(to_value(made))) == made
    assert msgspec.json.decode(msgspec.json.encode(made), type=Chain) == made
    assert render(parsed(render(made))) == render(made)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=4)
    | st.sampled_from(["a", "a.b.c", "all", "$", "{{ x }}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "nodes",
                    "edges",
                    "task",
                    "args",
                    "from",
                    "to",
                    "when",
                    "each",
                    "join",
                    "a",
                    "budget",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_document_is_a_chain_or_refused(value: object) -> None:
    with contextlib.suppress(InvalidDocument):
        from_value(value)


def test_a_chain_deeply_nested_or_very_wide_is_refused_without_a_recursion_error() -> None:
    assert "nested deeper" in faults('{"name": "x", "nodes": ' + '{"a":' * 100_000)[0]
    nodes = {f"n{at}": {"task": "a.b.c"} for at in range(10_001)}
    with pytest.raises(InvalidDocument, match="at most 10000"):
        from_value({"name": "x", "nodes": nodes})
    with pytest.raises(InvalidDocument, match="at most 50000"):
        from_value({"name": "x", "nodes": {"a": {"task": "a.b.c"}}, "edges": [{}] * 50_001})


def test_ten_thousand_nodes_are_checked_in_seconds() -> None:
    count = 10_000
    nodes = {f"n{at}": {"task": "a.b.c", "args": {"x": "{{ input.a }}"}} for at in range(count)}
    edges = [
        {"from": f"n{at}", "to": f"n{to}"} for at in range(count) for to in (at + 1, at + 7) if to < count
    ]
    started_s = time.process_time()
    made = from_value({"name": "big", "nodes": nodes, "edges": edges})
    assert time.process_time() - started_s < 10
    graph = graph_of(made)
    assert graph.entries == (0,)
    assert list(graph.members(graph.reach[0][9_990])) == list(range(9_991, 10_000))
    edges.append({"from": "n9999", "to": "n0"})
    with pytest.raises(InvalidDocument, match="round in a circle"):
        from_value({"name": "big", "nodes": nodes, "edges": edges})


def test_the_graph_knows_what_leads_where() -> None:
    graph = graph_of(chain("a b c d", ["a b", "b c", "c b", "c d"], loops=1))
    name = [node.name for node in graph.nodes]
    assert {name[node] for node in graph.members(graph.reach[0][1])} == {"b", "c", "d"}
    assert {name[node] for node in graph.members(graph.reached_by[0][1])} == {"a", "b", "c"}
    assert [name[node] for node in graph.order] == ["a", "b", "c", "d"]
    assert [graph.edges[edge].target for edge in graph.back] == ["b"]
    assert graph.is_cyclic(1)
    assert not graph.is_cyclic(3)
