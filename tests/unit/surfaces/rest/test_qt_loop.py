"""The same server in the window's own loop, in a process of its own: Qt takes one application a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
PROGRAM = """
import asyncio, sys
from PySide6.QtCore import QCoreApplication
import qasync
from tests.unit.surfaces.raw import ask, serving
from tests.unit.surfaces.fakes import CLOSED, OPENED, ScriptedLlm, legion, texts

application = QCoreApplication([])
BODY = b'{"messages": [{"role": "user", "content": "Hi"}], "stream": true}'

async def main():
    llm = ScriptedLlm(OPENED, *texts("Hel", "lo"), CLOSED)
    async with serving(legion=legion(llm)) as here:
        print((await ask(here, "GET", "/healthz", token=None)).status)
        print((await ask(here, "GET", "/healthz", host="evil")).status)
        path, kind = "/v1/chat/completions", "Content-Type: application/json"
        answer = await ask(here, "POST", path, kind, body=BODY)
        print(answer.status, b"[DONE]" in answer.body)
        loop = asyncio.get_running_loop()
        print(len([handle for handle in getattr(loop, "_scheduled", ()) if not handle.cancelled()]))

with asyncio.Runner(loop_factory=lambda: qasync.QEventLoop(application)) as runner:
    runner.run(main())
print("ended")
"""


def test_it_serves_streams_and_stops_on_qts_loop() -> None:
    pytest.importorskip("PySide6.QtCore", exc_type=ImportError)
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_API": "pyside6", "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=60,
        check=False,
    )

    assert done.stdout.split("\n") == ["200", "421", "200 True", "0", "ended", ""], done.stderr
    assert done.returncode == 0
