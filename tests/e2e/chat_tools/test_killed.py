"""kill -9 while a tool runs: nothing is forgotten, nothing is made up, and the chat goes on."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from legion_core.testing.upstreams import Answer, Upstream
from tests.e2e.chat_tools.conftest import config_of, desk
from tests.e2e.chat_tools.test_rounds import ECHO, NOTES
from tests.support.aio import run

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|legion.supervise|legion.engine")]
PROGRAM = Path(__file__).with_name("killed.py")


@pytest.mark.requirement("chat.tools-killed")
def test_a_call_under_way_when_the_workbench_was_killed_is_told_and_the_chat_goes_on(
    legion_home: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        mark = tmp_path / "called"
        async with desk(legion_home) as made:
            await made.server("notes", "hang", str(mark))
            chat = await made.chat(NOTES)
        async with Upstream("openai") as upstream:
            (legion_home / "config.toml").write_text(config_of(upstream, "openai"), encoding="utf-8")
            upstream.will(Answer(pieces=(), calls=(ECHO,)))
            child = await asyncio.create_subprocess_exec(
                sys.executable, str(PROGRAM), str(legion_home), str(mark), stderr=asyncio.subprocess.PIPE
            )
            _, said = await child.communicate()
            assert child.returncode == -9, said.decode()
        async with desk(legion_home) as made:
            (call,) = await made.calls(chat)
            assert call.state == "lost"
            assert "not known" in call.result
            view = await made.legion.chat.open(chat)
            assert [message.role for message in view.messages] == ["user", "assistant", "tool"]
            assert view.messages[2].status == "interrupted"
            assert "not known" in view.messages[2].results[0].text
            made.upstream.will(Answer(("I see.",)))
            view = await made.say(chat, "Go on.")
            assert view.messages[-1].text == "I see."
            assert "not known" in json.dumps(made.asked()[-1])

    run(work(), 400)
