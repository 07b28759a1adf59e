"""The harness of the promised figures: it judges, resumes, and hides nothing."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from benchmarks import floors
from benchmarks.floors import Figure, Floor


def _floor(name: str, bound: str = "<= 5") -> Floor:
    return Floor(name, f"what {name} is", ("benchmarks.x",), (Figure("value_ms", "ms", bound),))


def _result(value: float = 3.0, **more: Any) -> dict[str, Any]:
    return {"at": "2026-01-01 00:00", "commit": "abc", "load": 0.5, "machine": "a box", "figures": {"value_ms": value},
            **more}  # fmt: skip


@pytest.mark.parametrize(
    ("bound", "value", "kept"), [("<= 5", 5, True), ("<= 5", 5.01, False), (">= 2", 1.9, False)]
)
def test_a_bound_is_kept_or_not(bound: str, value: float, kept: bool) -> None:
    assert Figure("value_ms", "ms", bound).is_kept(value) is kept


def test_a_broken_bound_is_shown_as_broken() -> None:
    page = floors.render((_floor("a"),), {"a": _result(9.0)})
    assert "| a | what a is | 9 ms | <= 5 | **no** | 2026-01-01 00:00 | 0.5 | abc |" in page


def test_what_was_not_measured_says_so() -> None:
    assert "| a | what a is | not measured yet |" in floors.render((_floor("a"),), {})


def test_a_figure_promised_since_is_not_measured_yet_and_not_kept() -> None:
    before = {**_result(), "figures": {"other_ms": 1}}
    assert "| a | what a is | not measured yet | <= 5 |" in floors.render((_floor("a"),), {"a": before})
    assert not floors.is_kept(_floor("a"), before)


def test_a_failed_command_is_a_row_and_not_kept() -> None:
    broken = {**_result(), "error": "exit status 1"}
    assert "failed: exit status 1" in floors.render((_floor("a"),), {"a": broken})
    assert not floors.is_kept(_floor("a"), broken)


def test_what_a_command_says_beside_its_figures_is_kept() -> None:
    page = floors.render((_floor("a"),), {"a": {**_result(), "figures": {"value_ms": 1, "rounds": 20}}})
    assert "- **a**: rounds 20" in page
    assert "- a box" in page


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two floors, a state and a page of their own; the list says what was measured."""
    measured: list[str] = []

    def measure(floor: Floor) -> dict[str, Any]:
        measured.append(floor.id)
        return _result(9.0 if floor.id == "b" else 1.0)

    monkeypatch.setattr(floors, "read_registry", lambda: (_floor("a"), _floor("b")))
    monkeypatch.setattr(floors, "STATE", tmp_path / ".cache" / "floors.json")
    monkeypatch.setattr(floors, "PAGE", tmp_path / "figures.md")
    monkeypatch.setattr(floors, "commit", lambda: "abc")
    monkeypatch.setattr(floors, "measure", measure)
    return measured


def test_an_interrupted_run_goes_on_where_it_stopped(bench: list[str]) -> None:
    floors.main(["--only", "a"])
    assert floors.main([]) == 1
    assert bench == ["a", "b"]


def test_a_floor_asked_for_by_name_is_measured_again(bench: list[str]) -> None:
    assert floors.main(["--only", "a"]) == 0
    assert floors.main(["--only", "a"]) == 0
    assert bench == ["a", "a"]


def test_results_of_another_commit_are_measured_again(
    bench: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    floors.main([])
    monkeypatch.setattr(floors, "commit", lambda: "def")
    floors.main([])
    assert bench == ["a", "b", "a", "b"]


def test_the_page_keeps_the_rows_of_floors_not_asked_for(bench: list[str]) -> None:
    floors.main([])
    floors.main(["--only", "a"])
    assert "| b | what b is | 9 ms |" in floors.PAGE.read_text(encoding="utf-8")


def test_a_damaged_state_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("{", encoding="utf-8")
    assert floors.read_state(tmp_path / "s.json") == {}


def test_a_command_that_prints_no_figure_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silent.py").write_text("print('{}')", encoding="utf-8")
    monkeypatch.setattr(floors, "ROOT", tmp_path)
    result = floors.measure(Floor("a", "", ("silent",), (Figure("value_ms", "ms", "<= 1"),)))
    assert result["error"] == "exit status 0, no value_ms"


def test_a_figure_is_found_in_lines_for_people() -> None:
    figure = Figure("value_ms", "ms", "<= 1", r"took ([\d.,]+) ms")
    assert floors.read_figures(Floor("a", "", ("x",), (figure,)), "it took 1,234.5 ms\n") == {
        "value_ms": 1234.5
    }


def test_a_crash_after_the_figures_is_not_a_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "falls.py").write_text(
        "import os; print('{\"value_ms\": 0.5}', flush=True); os._exit(3)", encoding="utf-8"
    )
    monkeypatch.setattr(floors, "ROOT", tmp_path)
    floor = Floor("a", "", ("falls",), (Figure("value_ms", "ms", "<= 1"),))
    assert not floors.is_kept(floor, floors.measure(floor))


def test_a_command_that_prints_its_figure_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "speaks.py").write_text("print('noise'); print('{\"value_ms\": 0.5}')", encoding="utf-8")
    monkeypatch.setattr(floors, "ROOT", tmp_path)
    floor = Floor("a", "", ("speaks",), (Figure("value_ms", "ms", "<= 1"),))
    assert floors.is_kept(floor, floors.measure(floor))


@pytest.mark.requirement("craft.reproducible")
def test_every_registered_floor_names_a_benchmark_that_exists() -> None:
    registry = floors.read_registry()
    assert len({floor.id for floor in registry}) == len(registry)
    missing = [floor.id for floor in registry if importlib.util.find_spec(floor.command[0]) is None]
    assert missing == []
