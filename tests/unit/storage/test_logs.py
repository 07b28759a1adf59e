"""The node's log file: bounded, and free of secrets."""

import logging
from pathlib import Path

import pytest

from legion_core.storage import logs
from legion_core.storage.logs import open_log

log = logging.getLogger("legion.test")


def test_secrets_are_masked_wherever_they_turn_up_tracebacks_included(
    tmp_path: Path, allow_log: object
) -> None:
    allow_log("it broke")  # type: ignore[operator]
    close = open_log(tmp_path / "logs", "info", lambda: ("hunter2-hunter2",))
    try:
        log.info("Authorization: Bearer abcdefghijklmnop")
        try:
            raise ValueError("the password hunter2-hunter2 was refused")
        except ValueError:
            log.exception("it broke")
    finally:
        close()

    text = (tmp_path / "logs" / "legion.log").read_text(encoding="utf-8")
    assert "abcdefghijklmnop" not in text
    assert "hunter2" not in text
    assert "ValueError" in text


def test_the_log_cannot_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert logs.FILE_BYTES_MAX <= 1_000_000
    monkeypatch.setattr(logs, "FILE_BYTES_MAX", 50_000)
    close = open_log(tmp_path, "info", tuple)
    try:
        for _ in range(60):
            log.info("x" * 5_000)
    finally:
        close()

    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 4 * 50_000


def test_a_message_is_one_line_and_shows_what_it_holds(tmp_path: Path) -> None:
    close = open_log(tmp_path, "info", tuple)
    try:
        log.info("first\n2026-01-01 INFO legion.audit: forged \x1b[31m \u202e")
    finally:
        close()

    lines = (tmp_path / "legion.log").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1
    assert "\\x0a2026-01-01" in lines[0]
    assert "\x1b" not in lines[0]
