"""What the measurements of the running workbench count, and what they leave out."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import bundle, desktop

PARENT = """
import subprocess, sys
program = "import os; print(os.getpid(), flush=True); input()"
child = subprocess.Popen([sys.executable, "-c", program, *sys.argv[1:]], stdin=subprocess.PIPE)
input()
child.communicate(b"x")
"""


@contextmanager
def _parent(*words: str) -> Iterator[tuple[int, int]]:
    """A process and its child, whose command line ends with `words`."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    try:
        yield parent.pid, int(parent.stdout.readline())
    finally:
        parent.communicate("x\n")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_family_holds_the_children_but_not_the_models_child() -> None:
    with _parent("helper") as (pid, child):
        assert desktop.family(pid) == [pid, child]
        assert all(desktop.pss_kb(member) > 1000 for member in (pid, child))
        assert desktop.cpu_s(pid) >= 0
    with _parent("legion_core.workers.child") as (_, child):
        assert desktop.family(child) == []


def test_a_workbench_that_says_nothing_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        desktop, "command", lambda: [sys.executable, "-c", "import sys; sys.exit('no display here')"]
    )
    begun = desktop.Desktop(tmp_path)
    with pytest.raises(RuntimeError, match="no display here"):
        begun.figures("ready_ms")
    assert begun.wait() == 1


def test_the_line_with_the_figure_is_found_among_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import sys; print('noise', '[1]', '{\"ready_ms\": 5}', sep='\\n', file=sys.stderr)"
    monkeypatch.setattr(desktop, "command", lambda: [sys.executable, "-c", program])
    begun = desktop.Desktop(tmp_path)
    assert begun.figures("ready_ms") == {"ready_ms": 5}
    assert begun.wait() == 0


def test_a_bundle_is_split_into_model_engine_and_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {
        "llm/a.gguf": 3_000_000,
        "xllamacpp/x.so": 2_000_000,
        "Qt/libQt.so": 1_000_000,
        "program": 500_000,
    }
    for name, size in sizes.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0" * size)
    (tmp_path / "libQt.so").symlink_to("Qt/libQt.so")
    monkeypatch.setattr(sys, "argv", ["bundle", str(tmp_path), "--json"])
    assert bundle.main() == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"bare_mb": 1.5, "whole_mb": 6.5, "model_mb": 3.0, "engine_mb": 2.0, "files": 5}
