"""A draft of a chain: acts give new drafts, names follow, and whatever was done can be taken back to the byte."""

import random

from app.viewmodels.chain_draft import Draft, NodeDraft, aligned, draft_of
from app.viewmodels.chain_layout import arranged, completed
from app.viewmodels.chain_text import mended, text_of, written
from legion_core.engine.chain_document import parsed, to_value
from legion_core.engine.yaml_text import read

TEXT = """\
# my chain
name: fetch-and-tell   # its name
nodes:
  # first
  get:   {task: http.request.get, args: {url: "{{ input.url }}"}, retry: {max: 3}}

  tell:  {task: llm.chat.ask, args: {prompt: "Summarise: {{ results.get.body }}"}}
  alarm:
    task: log.message.write
    args:
      # level
      level: error
edges:
  - {from: get, to: tell,  when: {all: [{fact: result.status, operator: equal, value: 200}]}} # fine
  # otherwise
  - from: get
    to: alarm
    on: failure
# end
"""


def draft() -> Draft:
    made = draft_of(read(TEXT)[0], text=TEXT)
    assert made is not None
    return made


def step(held: Draft, chance: random.Random) -> Draft:
    """Some act, as a person may do it."""
    names = [node.name for node in held.nodes]
    what = chance.randrange(9) if names else 0
    match what:
        case 0:
            place = (chance.randrange(2000), chance.randrange(900))
            after = chance.choice(["", *names])
            name = held.free_name(chance.choice(("get", "tell", "get-2", "Ünïcode", "on", "")))
            return held.with_node(NodeDraft(name, {"task": "log.message.write"}), place, after)
        case 1:
            return held.without([chance.choice(names)])
        case 2:
            return held.renamed(chance.choice(names), held.free_name("renamed"))
        case 3:
            return held.connected(chance.choice(names), chance.choice(names))
        case 4 if held.edges:
            at = chance.randrange(len(held.edges))
            value = chance.choice(
                ("no", "200", 200, True, None, "a: b", "# no", "line\nline", "ﬂ\u2028", 1.5, ["x"])
            )
            rule = {"fact": "result.status", "operator": "equal", "value": value}
            return held.with_edge(at, {"on": "always", "when": {"all": [rule]}, "delay": 5})
        case 5:
            args = {
                chance.choice(("url", "on", "true", "1")): chance.choice(
                    ("{{ results.get.x }}", "x" * 120, {"a": [1, {"b": "c" * 60}]})
                )
            }
            return held.with_fields(chance.choice(names), {"task": "http.request.get", "args": args})
        case 6:
            return held.moved({chance.choice(names): (chance.randrange(900), 40)})
        case 7:
            return held.with_head("description", chance.choice((None, "what: it, is", "~", "plain")))
        case _:
            clip = held.cut_out(chance.sample(names, min(2, len(names))))
            return held.with_pasted(clip, (16, 16))[0] if len(names) < 40 else held.without(names[20:])


def test_a_document_and_its_draft_are_one() -> None:
    assert draft().document() == read(TEXT)[0]


def test_a_new_name_is_followed_by_edges_places_and_templates() -> None:
    made = draft().moved({"get": (8, 8)}).renamed("get", "fetch")
    assert [node.name for node in made.nodes] == ["fetch", "tell", "alarm"]
    assert [(edge.source, edge.target) for edge in made.edges] == [("fetch", "tell"), ("fetch", "alarm")]
    assert made.places["fetch"] == (8, 8)
    assert made.nodes[1].args["prompt"] == "Summarise: {{ results.fetch.body }}"


def test_names_that_only_begin_alike_are_left_alone() -> None:
    held = draft().with_fields(
        "tell", {"args": {"a": "results.get-2.x results.getter my.results.get.x $.results.get"}}
    )
    mended_args = held.renamed("get", "new").nodes[1].args["a"]
    assert mended_args == "results.get-2.x results.getter my.results.get.x $.results.new"


def test_a_node_that_goes_takes_its_edges_along() -> None:
    made = draft().without(["tell"])
    assert [(edge.source, edge.target) for edge in made.edges] == [("get", "alarm")]


def test_what_is_pasted_gets_free_names_and_reads_its_own_results() -> None:
    held = draft()
    made, names = held.with_pasted(held.cut_out(["get", "tell"]), (32, 32))
    assert names == ("get-2", "tell-2")
    assert made.nodes[-1].args["prompt"] == "Summarise: {{ results.get-2.body }}"
    assert (made.edges[-1].source, made.edges[-1].target) == ("get-2", "tell-2")
    assert made.nodes[1] == held.nodes[1]


def test_ten_thousand_acts_taken_back_give_the_same_bytes() -> None:
    chance = random.Random(11)
    held = draft()
    first, trail = (held, text_of(held)), [held]
    for _ in range(10_000):
        held = step(held, chance)
        trail.append(held)
    for before in reversed(trail):
        held = before
    assert (held, text_of(held)) == first


def test_every_text_that_is_written_or_mended_is_read_back_as_the_same_chain() -> None:
    chance = random.Random(7)
    kept = 0
    for _ in range(40):
        held = draft()
        for _ in range(12):
            after = step(held, chance)
            assert read(written(after))[0] == after.document()
            text = mended(held, after)
            if text:
                kept += 1
                assert read(text)[0] == after.document()
            held = Draft(after.head, after.nodes, after.edges, after.places, text or written(after))
    assert kept > 350


def test_an_act_leaves_every_other_line_of_the_text_as_it_was() -> None:
    held = draft()
    after = held.with_node(NodeDraft("more", {"task": "log.message.write"}), (0, 0), "tell")
    made = mended(held, after).splitlines()
    assert set(TEXT.splitlines()) <= set(made)
    assert [line for line in made if line not in TEXT.splitlines()] == [
        "  more: {task: log.message.write}",
        "  - {from: tell, to: more}",
    ]


def test_what_the_engine_writes_is_read_and_written_alike() -> None:
    value = to_value(parsed(TEXT))
    held = draft_of(value)
    assert held is not None
    assert to_value(parsed(written(held))) == value


def test_a_text_laid_out_in_another_way_is_written_whole() -> None:
    text = '{"name": "x", "nodes": {"a": {"task": "log.message.write"}}}'
    held = draft_of(read(text)[0], text=text)
    assert held is not None
    assert mended(held, held.renamed("a", "b")) == ""


def test_what_is_no_chain_at_all_gives_no_draft() -> None:
    for wrong in (
        None,
        [],
        {"nodes": []},
        {"nodes": {"a": 1}},
        {"nodes": {}, "edges": [{"from": "a", "to": "b"}]},
    ):
        assert draft_of(wrong) is None


def test_the_layout_puts_every_node_right_of_those_that_lead_to_it_and_none_on_another() -> None:
    chance = random.Random(5)
    for count in (1, 7, 120):
        nodes = tuple(NodeDraft(f"n{at}") for at in range(count))
        held = Draft({"name": "x"}, nodes)
        for at in range(1, count):
            held = held.connected(f"n{chance.randrange(max(0, at - 9), at)}", f"n{at}")
        places = arranged(held)
        assert places == arranged(held)
        assert all(places[edge.source][0] < places[edge.target][0] for edge in held.edges)
        boxes = list(places.values())
        assert not any(
            abs(a[0] - b[0]) < 176 and abs(a[1] - b[1]) < 54 for at, a in enumerate(boxes) for b in boxes[:at]
        )


def test_a_circle_is_laid_out_too() -> None:
    held = Draft({"name": "x"}, tuple(NodeDraft(name) for name in "abc"))
    for source, target in ("ab", "bc", "ca", "cc"):
        held = held.connected(source, target)
    places = arranged(held)
    assert places["a"][0] < places["b"][0] < places["c"][0]


def test_a_node_without_a_place_is_put_beside_what_leads_to_it() -> None:
    held = draft().moved({"get": (400, 80), "alarm": (800, 400)})
    assert completed(held)["tell"][0] > 400
    assert completed(held)["get"] == (400, 80)


def test_nodes_are_aligned_and_spread() -> None:
    places = {"a": (0, 0), "b": (40, 100), "c": (300, 50)}
    assert {x for x, _ in aligned(places, "left").values()} == {0}
    assert {y for _, y in aligned(places, "top").values()} == {0}
    assert aligned(places, "across")["b"] == (150, 100)
    assert aligned(places, "down")["c"] == (300, 50)
