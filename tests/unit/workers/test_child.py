"""The child's own parts: what is clamped, what is held back, and that it never outlives its parent."""

import math
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.testing.engines import bench
from legion_core.workers import frames
from legion_core.workers.child import HOLD_S, Outlet, Pieces, main
from legion_core.workers.engines.base import (
    EngineError,
    forced_tool,
    has_chat_template,
    sampling,
    with_instruction,
)

numbers = st.none() | st.floats() | st.integers(-(2**70), 2**70).map(float)
counts = st.none() | st.integers(-(2**70), 2**70)


@given(
    st.builds(
        frames.Params,
        output_tokens_max=counts,
        temperature=numbers,
        top_p=numbers,
        top_k=counts,
        min_p=numbers,
        seed=counts,
        repeat_penalty=numbers,
        frequency_penalty=numbers,
        presence_penalty=numbers,
        stop=st.lists(st.text(max_size=400), max_size=30).map(tuple),
    )
)
def test_whatever_a_client_sends_the_sampler_gets_sane_values(params: frames.Params) -> None:
    safe = sampling(params)
    floats = (safe.temperature, safe.top_p, safe.min_p, safe.repeat_penalty)
    assert all(math.isfinite(value) and value >= 0 for value in floats)
    assert abs(safe.frequency_penalty) <= 2
    assert abs(safe.presence_penalty) <= 2
    assert 0 <= safe.top_k < 2**31
    assert safe.tokens_max is None or 0 <= safe.tokens_max < 2**31
    assert safe.seed is None or 0 <= safe.seed < 2**31
    assert len(safe.stop) <= 16
    assert all(0 < len(text) <= 256 for text in safe.stop)


class _Recorder(Outlet):
    def __init__(self) -> None:
        super().__init__(-1)
        self.sent: list[frames.ToParent] = []

    def send(self, frame: frames.ToParent) -> None:
        self.sent.append(frame)


class _HandClock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic_s(self) -> float:
        return self.now_s


def _pieces() -> tuple[Pieces, _Recorder, _HandClock]:
    outlet, clock = _Recorder(), _HandClock()
    pieces = Pieces(outlet)
    pieces._clock = clock  # type: ignore[assignment]
    pieces._wake_flusher = lambda: None  # type: ignore[method-assign]
    return pieces, outlet, clock


def test_the_first_piece_leaves_at_once() -> None:
    pieces, outlet, _ = _pieces()
    pieces.put(frames.Token(id=1, text="a"))
    assert outlet.sent == [frames.Token(id=1, text="a")]


def test_pieces_close_together_are_joined_and_counted() -> None:
    pieces, outlet, clock = _pieces()
    for text in "abc":
        pieces.put(frames.Token(id=1, text=text))
    assert len(outlet.sent) == 1
    clock.now_s += HOLD_S
    pieces.put(frames.Token(id=1, text="d"))
    assert outlet.sent[1:] == [frames.Token(id=1, text="bcd", count=3)]


def test_pieces_far_apart_are_never_held() -> None:
    pieces, outlet, clock = _pieces()
    for text in "abc":
        pieces.put(frames.Token(id=1, text=text))
        clock.now_s += HOLD_S
    assert [frame.text for frame in outlet.sent if isinstance(frame, frames.Token)] == ["a", "b", "c"]


def test_what_is_held_goes_out_before_the_end_and_before_other_kinds() -> None:
    pieces, outlet, _ = _pieces()
    pieces.put(frames.Token(id=1, text="a"))
    pieces.put(frames.Token(id=1, text="b"))
    pieces.put(frames.Token(id=1, text="t", channel="thinking"))
    pieces.put(frames.ToolCallPart(id=1, index=0, name="f"))
    pieces.put(frames.Token(id=1, text="c"))
    pieces.close()
    texts = [frame.text for frame in outlet.sent if isinstance(frame, frames.Token)]
    assert texts == ["a", "b", "t", "c"]
    assert isinstance(outlet.sent[3], frames.ToolCallPart)


def test_a_held_piece_is_sent_by_itself_when_the_engine_pauses() -> None:
    read, write = os.pipe()
    pieces = Pieces(Outlet(write))
    for text in "ab":
        pieces.put(frames.Token(id=1, text=text))
    expected = frames.encode(frames.Token(id=1, text="a")) + frames.encode(frames.Token(id=1, text="b"))
    got = b""
    while len(got) < len(expected):
        got += os.read(read, 100)
    assert got == expected
    pieces.close()
    os.close(read)
    os.close(write)


def test_an_unknown_engine_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-engine"]) == 64
    assert "xllamacpp" in capsys.readouterr().err


def test_importing_the_child_loads_nothing_heavy() -> None:
    heavy = ("xllamacpp", "llama_cpp", "numpy", "asyncio", "httpx", "PySide6")
    code = f"import sys, legion_core.workers.child; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_killing_the_parent_kills_the_child_even_while_its_stdin_stays_open(tmp_path: Path) -> None:
    found = bench("fake", tmp_path)
    assert not isinstance(found, str)
    read, write = os.pipe()
    code = (
        "import subprocess, sys, os\n"
        f"child = subprocess.Popen({list(found.command)!r}, stdin={read}, stdout=1)\n"
        "sys.stderr.write(str(child.pid) + '\\n'); sys.stderr.flush()\n"
        "child.wait()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], pass_fds=(read,), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert parent.stderr is not None
    assert parent.stdout is not None
    pid = int(parent.stderr.readline())
    handle = os.pidfd_open(pid)
    os.write(write, frames.encode(frames.Ping(id=1)))
    assert parent.stdout.read(4), "the child is up and its death signal is set"
    parent.kill()
    parent.wait()
    gone, _, _ = select.select([handle], [], [], 20)
    assert gone, "the child outlived its parent"
    parent.stdout.close()
    parent.stderr.close()
    for fd in (handle, read, write):
        os.close(fd)


def test_a_required_call_among_several_tools_names_the_tool() -> None:
    tools = (frames.Tool(name="a"), frames.Tool(name="b"))
    chat = frames.Chat(id=1, messages=(frames.Message(role="user"),), tools=tools, tool_choice="required")
    forced = forced_tool(chat)
    assert forced is not None
    assert forced.call('{"name": "b", "arguments": {"x": 1}}') == ("b", '{"x": 1}')
    with pytest.raises(EngineError, match="cut short"):
        forced.call('{"name": "b", "argu')


def test_forcing_an_unknown_tool_is_refused() -> None:
    chat = frames.Chat(
        id=1, messages=(frames.Message(role="user"),), tools=(frames.Tool(name="a"),), tool_choice="z"
    )
    with pytest.raises(EngineError, match="'z'"):
        forced_tool(chat)


def test_an_instruction_joins_the_system_words() -> None:
    user = frames.Message(role="user", content="hi")
    assert with_instruction((user,), "do") == (frames.Message(role="system", content="do"), user)
    system = frames.Message(role="system", content="be kind")
    assert with_instruction((system, user), "do")[0].content == "be kind\n\ndo"


@given(st.integers(0, 3))
def test_a_chat_template_is_found_across_the_edge_of_a_read(shift: int) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\0" * ((1 << 20) - 5 - shift) + b"tokenizer.chat_template")
        file.flush()
        assert has_chat_template(file.name)
        file.truncate(1 << 20)
        assert not has_chat_template(file.name)


def test_signals_have_words() -> None:
    from legion_core.workers.process import exit_words

    assert "SIGSEGV" in exit_words(-signal.SIGSEGV)
    assert exit_words(3) == "ended with exit code 3"
    assert "unknown" in exit_words(None)
    assert "signal 99" in exit_words(-99)
