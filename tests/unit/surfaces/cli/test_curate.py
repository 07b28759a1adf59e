"""`legion curate` tells by turns what would be sent, and writes whole files or none."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from legion_core.surfaces.cli.main import run


def _nothing(*_: object, **__: object) -> Any:
    raise AssertionError("no node is needed")


@pytest.fixture
def session(tmp_path: Path) -> Path:
    rows: list[dict[str, Any]] = [{"role": "user", "content": "mend it"}]
    for turn in range(25):
        rows.append(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": f"c{turn}",
                        "type": "function",
                        "function": {"name": "bash", "arguments": '{"command": "make test"}'},
                    }
                ],
            }
        )
        rows.append({"role": "tool", "tool_call_id": f"c{turn}", "content": f"test_{turn} failed\n" * 500})
    path = tmp_path / "session.jsonl"
    path.write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, {"role": "assistant", "content": "done"}])
    )
    return path


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = run(["curate", *words], open_node=_nothing)
    told = capsys.readouterr()
    return status, told.out, told.err


def test_the_table_has_the_published_buckets(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, str(session))
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[:7]] == [
        "Turns",
        "1",
        "2–3",
        "4–5",
        "6–9",
        "10–19",
        "20–49",
    ]
    assert "Tokens are estimated" in out


def test_json_tells_the_same(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, str(session), "--json")
    data = json.loads(out)["data"]
    assert status == 0
    assert (data["shape"], data["turns"]) == ("openai", 26)
    assert data["buckets"][0]["reduction_percent"] == 0.0
    assert data["buckets"][-1]["curated_tokens"] < data["buckets"][-1]["naive_tokens"]


def test_out_has_a_line_for_each_request(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, archive = tmp_path / "out.jsonl", tmp_path / "archive.jsonl"
    status, _, _ = _run(capsys, str(session), "--out", str(out), "--archive", str(archive))
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert status == 0
    assert [set(row) for row in rows] == [
        {"turn", "naive_tokens", "curated_tokens", "messages", "edits"}
    ] * 26
    assert rows[0]["messages"] == [{"role": "user", "content": "mend it"}]
    edits = [edit for row in rows for edit in row["edits"]]
    assert edits
    assert all(set(edit) == {"strategy", "ids", "tokens"} for edit in edits)
    kept = [json.loads(line) for line in archive.read_text(encoding="utf-8").splitlines()]
    assert any(row["text"] == "test_3 failed\n" * 500 for row in kept)


def test_a_bad_line_leaves_what_stood_there(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("kept", encoding="utf-8")
    session.write_text(session.read_text(encoding="utf-8") + "{oops\n", encoding="utf-8")
    status, printed, told = _run(capsys, str(session), "--out", str(out))
    assert (status, printed, out.read_text(encoding="utf-8")) == (1, "", "kept")
    assert "Line 53 of session.jsonl is not JSON" in told
    assert [path.name for path in tmp_path.glob("*.new")] == []


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["nowhere.jsonl"], 1, "There is no file nowhere.jsonl"),
        (["SESSION", "--context", "0"], 1, "--context takes a number"),
        (["SESSION", "--out", "SESSION"], 1, "three different files"),
        (["SESSION", "--out", "/nowhere/at/all"], 1, "cannot be written"),
        ([], 2, "file"),
    ],
)
def test_mistakes_are_told(
    session: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, told: str
) -> None:
    given = [str(session) if word == "SESSION" else word for word in words]
    result, _, error = _run(capsys, *given)
    assert result == status
    assert told in error.lower() if status == 2 else told in error


def test_a_small_window_is_kept(session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    assert _run(capsys, str(session), "--context", "8000", "--out", str(out))[0] == 0
    assert all(
        json.loads(line)["curated_tokens"] <= 8000 for line in io.StringIO(out.read_text(encoding="utf-8"))
    )
