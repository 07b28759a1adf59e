"""The chat in the terminal, with a person who types and a backend that plays."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from legion_core.kernel.errors import Overloaded
from legion_core.surfaces.cli.commands.chat import Repl
from legion_core.surfaces.cli.outcome import Setting
from legion_core.surfaces.shapes import MessageShape, PinsShape


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Backend:
    """Answers with `pieces`; an exception among them is raised."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = pieces
        self.asked: list[tuple[str, str, PinsShape]] = []
        self.stopped: list[str] = []
        self.made = 0

    def create_conversation(self, title: str = "") -> Any:
        self.made += 1
        return SimpleNamespace(id=f"cnv_{self.made}")

    def say(self, conversation_id: str, text: str, pins: PinsShape) -> Iterator[str | MessageShape]:
        self.asked.append((conversation_id, text, pins))
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def stop_answer(self, conversation_id: str) -> bool:
        self.stopped.append(conversation_id)
        return True

    def close(self) -> None:
        pass


def answer(status: str = "complete", error: str = "") -> MessageShape:
    return MessageShape(
        id="m",
        conversation_id="c",
        parent_id=None,
        role="assistant",
        content="x",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        tier="local",
        instance="local",
        model="m1",
        status=status,
        error=error,
    )


def typed(
    monkeypatch: pytest.MonkeyPatch, backend: Backend, *lines: str | BaseException
) -> tuple[str, str, dict[str, Any]]:
    waiting = iter(lines)

    def read(question: str = "") -> str:
        line = next(waiting, None)
        if line is None:
            raise EOFError
        if isinstance(line, BaseException):
            raise line
        return line

    out, err = Terminal(), Terminal()
    monkeypatch.setattr("builtins.input", read)
    monkeypatch.setattr("sys.stdin", Terminal())
    setting = Setting({}, False, None, out=out, err=err, _backend=backend)  # type: ignore[arg-type]
    outcome = Repl(setting, PinsShape()).run()
    return out.getvalue(), err.getvalue(), outcome.data  # type: ignore[return-value]


def test_questions_share_a_conversation_until_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend("Hel", "lo", answer())

    out, _, data = typed(monkeypatch, backend, "one", "", "two", "/new", "three")

    assert [(conversation, text) for conversation, text, _ in backend.asked] == [
        ("cnv_1", "one"),
        ("cnv_1", "two"),
        ("cnv_2", "three"),
    ]
    assert out == "Hello\n" * 3
    assert data == {"conversation": "cnv_2", "answers": 3}


def test_interrupting_an_answer_stops_it_and_the_chat_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend("Hel", KeyboardInterrupt())

    _, err, _ = typed(monkeypatch, backend, "one", "two", "/quit", "never")

    assert backend.stopped == ["cnv_1", "cnv_1"]
    assert "Stopped" in err


def test_interrupting_the_prompt_tells_how_to_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    _, err, _ = typed(monkeypatch, Backend(), KeyboardInterrupt(), "/quit")

    assert "/quit leaves" in err


def test_pins_are_set_and_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend(answer())

    _, err, _ = typed(
        monkeypatch, backend, "/model m9", "/tier cloud", "a", "/model auto", "/tier auto", "b", "/tier moon"
    )

    pins = [each for _, _, each in backend.asked]
    assert (pins[0].model, pins[0].tier) == ("m9", "cloud")
    assert (pins[1].model, pins[1].tier) == (None, None)
    assert "'moon' is not a tier" in err


def test_a_failure_is_a_sentence_and_the_chat_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Backend(Overloaded("All are busy.", hint="Wait."))
    kept = Backend("Hel", answer("failed", "It broke off."))

    _, first, _ = typed(monkeypatch, failing, "one", "/quit")
    _, second, _ = typed(monkeypatch, kept, "one", "/quit")

    assert "All are busy. Wait." in first
    assert "It broke off." in second
