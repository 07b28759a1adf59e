"""One running workbench answers everybody: the keyboard, the command line and both official SDKs; and it survives its model."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.window.test_real_window import ROOT, Screen, pytestmark, screen  # noqa: F401 - a fixture and the marks

QUESTION = "What is the capital of France?"


def answers(shown: Screen) -> list[dict[str, Any]]:
    """Every answer of every chat that is over, as the node keeps it."""
    listed: Any = shown.get("/api/v1/conversations")["data"]
    found: list[dict[str, Any]] = []
    for row in listed:
        view: Any = shown.get(f"/api/v1/conversations/{row['id']}")["data"]
        found += [m for m in view["messages"] if m["role"] == "assistant" and m["status"] != "streaming"]
    return found


def wait_until(shown: Screen, ask: Callable[[], bool]) -> None:
    shown.wait_for(lambda: "yes" if ask() else "")


@pytest.mark.model
@pytest.mark.timeout(400)
@pytest.mark.requirement("provider.local")
def test_the_window_the_command_line_and_both_sdks_are_answered_by_one_app(screen: Screen) -> None:  # noqa: F811
    node = screen.node()
    url = f"http://127.0.0.1:{node['port']}"
    token = (screen.home / "token").read_text(encoding="utf-8").strip()
    screen.focus()
    screen.press("Escape")  # leaves the first-run wizard
    screen.type(QUESTION)
    screen.press("Return")
    wait_until(screen, lambda: len(answers(screen)) == 1)
    typed = answers(screen)[0]
    assert typed["status"] == "complete", typed
    said = [json.dumps(typed["content"])]

    command = [sys.executable, "-m", "legion_core", "chat", "prompt", QUESTION, "--json"]
    spoken = subprocess.run(command, env=screen.env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert spoken.returncode == 0, spoken.stdout + spoken.stderr
    said.append(json.loads(spoken.stdout)["data"]["text"])

    with openai.OpenAI(base_url=f"{url}/v1", api_key=token) as client:
        messages: Any = [{"role": "user", "content": QUESTION}]
        whole = client.chat.completions.create(model="auto", messages=messages, temperature=0)
        said.append(whole.choices[0].message.content or "")
        stream = client.chat.completions.create(model="auto", messages=messages, stream=True, temperature=0)
        said.append("".join(part.choices[0].delta.content or "" for part in stream if part.choices))

    with anthropic.Anthropic(base_url=url, api_key=token) as other:
        cool = {"temperature": 0}
        reply = other.messages.create(model="auto", max_tokens=64, messages=messages, extra_body=cool)
        said.append("".join(block.text for block in reply.content if block.type == "text"))
        with other.messages.stream(model="auto", max_tokens=64, messages=messages, extra_body=cool) as events:
            said.append("".join(events.text_stream))

    assert all(text.strip() for text in said), said
    # A real model: its words vary, even cold, with the machine.
    assert any("Paris" in text for text in said), said

    ledger: Any = screen.get("/api/v1/ledger?limit=50")["data"]
    assert {row["dialect"] for row in ledger} >= {"native", "openai_chat", "anthropic_messages"}
    assert screen.quit() == 0


@pytest.mark.model
@pytest.mark.timeout(400)
def test_the_window_lives_when_its_model_is_killed_and_the_next_question_works(screen: Screen) -> None:  # noqa: F811
    screen.node()
    screen.focus()
    screen.press("Escape")
    screen.type("Say hello.")
    screen.press("Return")
    wait_until(screen, lambda: len(answers(screen)) == 1)
    child = child_of(screen.process.pid)
    screen.type("Count from one to twelve in words.")
    screen.press("Return")
    os.kill(child, signal.SIGKILL)
    wait_until(screen, lambda: len(answers(screen)) == 2)
    told = answers(screen)
    assert all(answer["status"] == "complete" or answer["error"] for answer in told)
    screen.type("Say hello again.")
    screen.press("Return")
    wait_until(screen, lambda: len(answers(screen)) == 3)
    assert answers(screen)[-1]["status"] == "complete" or answers(screen)[0]["status"] == "complete"
    assert child_of(screen.process.pid) != child
    assert screen.quit() == 0


def child_of(pid: int) -> int:
    """The model's process below the window's."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                parent = int((folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == pid and b"xllamacpp" in words:
                return int(folder.name)
    raise AssertionError("no model runs")
