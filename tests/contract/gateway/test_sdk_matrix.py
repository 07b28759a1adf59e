"""Every official library parses every kind of answer: one cell for each library and kind, over two providers' wires.

What a library has no place for stands in `NOTHING`, and in docs/sdks.md, which is held against this file.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anthropic
import httpx
import ollama
import openai
import pytest
from google.genai import errors

from legion_core.testing.upstreams import Answer, Call, Die, Upstream, WireName, error, in_thread
from tests.contract.gateway.sdk_libraries import LIBRARIES, PAPER, PIXEL, Ask, City, Library
from tests.contract.surfaces.nodes import running_node

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sdks.md"
CONFIG = """
[[gateway.instances]]
name = "box"
kind = "{kind}"
base_url = "{base_url}"
tier = "direct"
api_key = "env://ANY_KEY"

[[gateway.instances.models]]
id = "m2"
context = 32768
capabilities = ["streaming", "tools", "vision", "documents", "thinking", "structured_output"]

[[gateway.instances]]
name = "vectors"
kind = "openai"
base_url = "{vectors}"
tier = "direct"
api_key = "env://ANY_KEY"

[[gateway.instances.models]]
id = "e1"
capabilities = ["embeddings"]
"""
UTC, CET = Call("c1", "clock", '{"zone": "UTC"}'), Call("c2", "clock", '{"zone": "CET"}')
BOTH = [("clock", {"zone": "UTC"}), ("clock", {"zone": "CET"})]
# What each library calls an end, in the order of ENDS.
ENDS = ("end", "tools", "length", "filter")
STOPS: dict[str, tuple[str, str, str, str]] = {
    "openai chat": ("stop", "tool_calls", "length", "content_filter"),
    "openai responses": ("completed", "completed", "max_output_tokens", "content_filter"),
    "anthropic messages": ("end_turn", "tool_use", "max_tokens", "refusal"),
    "ollama chat": ("stop", "stop", "length", "stop"),
    "google-genai": ("STOP", "STOP", "MAX_TOKENS", "SAFETY"),
}
UPSTREAM_STOPS: dict[str, dict[str, str]] = {
    "openai": {"length": "length", "filter": "content_filter"},
    "anthropic": {"length": "max_tokens", "filter": "refusal"},
}
NOTHING: dict[tuple[str, str], str] = {
    ("openai responses", "embeddings"): "as in openai chat: one library, one client",
    ("ollama chat", "a document"): "its protocol has none",
    ("anthropic messages", "embeddings"): "its protocol has none",
    ("openai chat", "count tokens"): "its protocol has none",
    ("ollama chat", "count tokens"): "its protocol has none",
    ("ollama chat", "cached tokens"): "its protocol has no place for them; they count as input",
    ("ollama chat", "stop: filter"): "its protocol has no word for it: `stop`",
    ("ollama chat", "stop: tools"): "its protocol says `stop`; the calls are there",
    ("google-genai", "stop: tools"): "its protocol says `STOP`; the calls are there",
}


class Desk:
    """A library, the node it asks, and the upstream that answers."""

    def __init__(self, name: str, library: Library, upstream: Upstream, stranger: Library) -> None:
        self.name, self.library, self.upstream, self.stranger = name, library, upstream, stranger

    def stop(self, end: str) -> str:
        return STOPS[self.name][ENDS.index(end)]

    def refused(self, *plans: Any) -> int:
        self.upstream.will(*plans)
        return self.library.status(lambda: self.library.whole(Ask()))

    @property
    def asked(self) -> str:
        return self.upstream.questions[-1].body.decode()


def text(desk: Desk) -> None:
    desk.upstream.will(Answer(("Hel", "lo ", "wörld 🌊")))
    heard = desk.library.whole(Ask())
    assert (heard.text, heard.stop) == ("Hello wörld 🌊", desk.stop("end"))


def streamed_text(desk: Desk) -> None:
    desk.upstream.will(Answer(("Hel", "lo ", "wörld 🌊"), split=3))
    heard = desk.library.streamed(Ask())
    assert (heard.text, heard.stop) == ("Hello wörld 🌊", desk.stop("end"))


def tool(desk: Desk) -> None:
    desk.upstream.will(Answer(("I look.",), calls=(UTC,)))
    heard = desk.library.whole(Ask(tools=True))
    assert (heard.text, heard.calls) == ("I look.", BOTH[:1])


def streamed_tool(desk: Desk) -> None:
    desk.upstream.will(Answer((), calls=(UTC,), split=5))
    assert desk.library.streamed(Ask(tools=True)).calls == BOTH[:1]


def parallel_tools(desk: Desk) -> None:
    desk.upstream.will(Answer((), calls=(UTC, CET)))
    assert desk.library.whole(Ask(tools=True)).calls == BOTH


def streamed_parallel_tools(desk: Desk) -> None:
    desk.upstream.will(Answer(("I look.",), calls=(UTC, CET), split=5))
    heard = desk.library.streamed(Ask(tools=True))
    assert (heard.text, heard.calls) == ("I look.", BOTH)


def results(desk: Desk) -> None:
    desk.upstream.will(Answer(("Noon.",)))
    made = (("c1", "UTC"), ("c2", "CET"))
    heard = desk.library.whole(Ask(tools=True, made=made, results=("12:00", "13:00")))
    assert heard.text == "Noon."
    assert desk.asked.index("12:00") < desk.asked.index("13:00")


def thinking(desk: Desk) -> None:
    desk.upstream.will(Answer(("Four.",), thinking=("2+", "2")))
    heard = desk.library.whole(Ask(thinks=True))
    assert (heard.text, heard.thinking) == ("Four.", "2+2")


def streamed_thinking(desk: Desk) -> None:
    desk.upstream.will(Answer(("Four.",), thinking=("2+", "2"), split=7))
    heard = desk.library.streamed(Ask(thinks=True))
    assert (heard.text, heard.thinking) == ("Four.", "2+2")


def picture(desk: Desk) -> None:
    desk.upstream.will(Answer(("A dot.",)))
    assert desk.library.whole(Ask(picture=True)).text == "A dot."
    assert PIXEL in desk.asked


def document(desk: Desk) -> None:
    desk.upstream.will(Answer(("A page.",)))
    assert desk.library.whole(Ask(paper=True)).text == "A page."
    assert PAPER in desk.asked


def structured(desk: Desk) -> None:
    desk.upstream.will(Answer(('{"ci', 'ty": "Köln"}')))
    assert desk.library.whole(Ask(schema=True)).parsed == City(city="Köln")
    assert '"city"' in desk.asked


def streamed_structured(desk: Desk) -> None:
    desk.upstream.will(Answer(('{"ci', 'ty": "Köln"}')))
    assert desk.library.streamed(Ask(schema=True)).parsed == City(city="Köln")


def stop_tools(desk: Desk) -> None:
    desk.upstream.will(Answer((), calls=(UTC,)))
    assert desk.library.streamed(Ask(tools=True)).stop == desk.stop("tools")


def _stop(end: str) -> Callable[[Desk], None]:
    def stop(desk: Desk) -> None:
        word = UPSTREAM_STOPS[desk.upstream.wire][end]
        desk.upstream.will(Answer(("Cut",), stop=word))
        # One library raises instead of giving back what was cut short, and so it should: ask it in streams too.
        assert desk.library.whole(Ask()).stop == desk.stop(end)

    return stop


def usage(desk: Desk) -> None:
    desk.upstream.will(Answer(("a ", "b ", "c"), input_tokens=11))
    for ask in (desk.library.whole, desk.library.streamed):
        heard = ask(Ask())
        assert (heard.input_tokens, heard.output_tokens) == (11, 3)


def cached_tokens(desk: Desk) -> None:
    desk.upstream.will(Answer(("a",), input_tokens=11, cached_tokens=5))
    assert desk.library.streamed(Ask()).cached_tokens == 5


def embeddings(desk: Desk) -> None:
    assert desk.library.embed is not None
    rows = desk.library.embed(["a", "b"])
    assert len(rows) == 2
    assert rows[0] == pytest.approx([1.0, 0.5, 1 / 3], abs=1e-6)


def bad_request(desk: Desk) -> None:
    assert desk.library.status(desk.library.ask_wrongly) == 400


def unknown_caller(desk: Desk) -> None:
    assert desk.stranger.status(lambda: desk.stranger.whole(Ask())) == 401


def unknown_model(desk: Desk) -> None:
    assert desk.library.status(lambda: desk.library.ask_model("nothing")) == 404


def too_many_requests(desk: Desk) -> None:
    assert desk.refused(error(desk.upstream.wire, 429, "rate_limit_error", "slow down")) == 429


def overloaded(desk: Desk) -> None:
    """Anthropic's protocol has a status of its own for it."""
    told = desk.refused(error(desk.upstream.wire, 529, "overloaded_error", "too busy"))
    assert told == (529 if desk.name == "anthropic messages" else 503)


def broken_inside(desk: Desk) -> None:
    assert desk.refused(error(desk.upstream.wire, 500, "api_error", "broke")) in range(500, 600)


def broken_stream(desk: Desk) -> None:
    """Never a short answer that looks whole."""
    inside = 2 if desk.upstream.wire == "openai" else 4
    desk.upstream.will(Answer(("Hel", "lo"), fault=Die(at_event=inside)))
    # The last is what OpenAI's helper raises for a response that ended as failed.
    own = (openai.APIError, anthropic.APIError, ollama.ResponseError, errors.APIError, RuntimeError)
    with suppress(*own):
        heard = desk.library.streamed(Ask())
        assert heard.stop == "failed", heard


def count_tokens(desk: Desk) -> None:
    assert desk.library.count is not None
    before = len(desk.upstream.questions)
    assert 0 < desk.library.count("Hi") < 50 < desk.library.count("word " * 500)
    assert len(desk.upstream.questions) == before


def list_models(desk: Desk) -> None:
    names = desk.library.models()
    assert names[0] == "auto"
    assert "m2" in names


def one_model(desk: Desk) -> None:
    assert desk.library.model("m2") == "m2"
    assert desk.library.status(lambda: desk.library.model("nothing")) == 404


CELLS: dict[str, Callable[[Desk], None]] = {
    "text": text,
    "text, streamed": streamed_text,
    "a tool call": tool,
    "a tool call, streamed": streamed_tool,
    "parallel calls": parallel_tools,
    "parallel calls, streamed": streamed_parallel_tools,
    "results go back": results,
    "thinking": thinking,
    "thinking, streamed": streamed_thinking,
    "a picture": picture,
    "a document": document,
    "structured output": structured,
    "structured output, streamed": streamed_structured,
    "stop: tools": stop_tools,
    "stop: length": _stop("length"),
    "stop: filter": _stop("filter"),
    "usage": usage,
    "cached tokens": cached_tokens,
    "embeddings": embeddings,
    "error 400": bad_request,
    "error 401": unknown_caller,
    "error 404": unknown_model,
    "error 429": too_many_requests,
    "error 529": overloaded,
    "error 5xx": broken_inside,
    "a stream that broke": broken_stream,
    "count tokens": count_tokens,
    "the list of models": list_models,
    "one model": one_model,
}


def _reset(home_url: str, token: str) -> None:
    """Faults on purpose open the circuit; the next cell is to find it closed."""
    answer = httpx.post(
        f"{home_url}/api/v1/providers/box/reset", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code < 300, answer.text


@pytest.mark.slow
@pytest.mark.requirement("gateway.sdks")
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize("name", LIBRARIES)
def test_the_library_parses_every_answer(name: str, wire: WireName, legion_home: Path) -> None:
    found: dict[str, str] = {}
    with in_thread(Upstream(wire)) as upstream, in_thread(Upstream("openai")) as vectors:
        legion_home.mkdir(parents=True, exist_ok=True, mode=0o700)
        config = CONFIG.format(kind=wire, base_url=upstream.base_url, vectors=vectors.base_url)
        (legion_home / "config.toml").write_text(config, encoding="utf-8")
        with running_node(legion_home, {"ANY_KEY": "any"}) as url:
            token = (legion_home / "token").read_text(encoding="utf-8").strip()
            library, stranger = LIBRARIES[name](url, token), LIBRARIES[name](url, "wrong")
            for cell, check in CELLS.items():
                if (name, cell) in NOTHING:
                    continue
                upstream.will(Answer())
                try:
                    check(Desk(name, library, upstream, stranger))
                except Exception as problem:
                    found[cell] = f"{type(problem).__name__}: {problem}"[:300]
                _reset(url, token)
            library.close()
            stranger.close()

    assert found == {}


def test_the_published_table_says_what_is_tried() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|\n ").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("|") and not line.startswith("|---")
    ]
    head, *body = rows
    told = {(library, row[0]): cell for row in body for library, cell in zip(head[1:], row[1:], strict=True)}

    assert [row[0] for row in body] == list(CELLS)
    assert head[1:] == list(LIBRARIES)
    assert {where for where, cell in told.items() if not cell.startswith("✓")} == set(NOTHING)
    notes = dict(re.findall(r"^(\d+)\. (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert {where: notes[cell.split()[-1]] for where, cell in told.items() if where in NOTHING} == NOTHING
