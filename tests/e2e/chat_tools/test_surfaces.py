"""Tools of chats by REST and the command line: the owner's to switch, and what waits is not for every eye."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from legion_core.api.types import LOCAL_OWNER
from legion_core.testing.upstreams import Answer, Call
from tests.e2e.chat_tools.conftest import Desk, desk
from tests.e2e.chat_tools.test_rounds import NOTES
from tests.support.aio import run

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|legion.supervise|legion.rest")]


def client(made: Desk, secret: str = "") -> httpx2.AsyncClient:
    token = secret or (made.home / "token").read_text(encoding="utf-8").strip()
    return httpx2.AsyncClient(
        base_url=made.node.url, headers={"Authorization": f"Bearer {token}"}, timeout=60.0, trust_env=False
    )


def test_a_chat_is_given_tools_and_asked_about_by_rest(legion_home: Path, tmp_path: Path) -> None:
    async def work() -> None:
        async with desk(legion_home, is_served=True) as made:
            await made.server()
            chat = await made.chat()
            file = tmp_path / "a.txt"
            file.write_text("old\n", encoding="utf-8")
            args = json.dumps({"path": str(file), "content": "new\n"})
            made.upstream.will(
                Answer(pieces=(), calls=(Call("call_write_00001", "mcp-notes-write_note", args),)),
                Answer(("ok",)),
            )
            scopes = (
                "conversations:read",
                "conversations:write",
                "gateway/chat:use",
                "mcp:read",
                "mcp:write",
            )
            agent = (await made.legion.tokens.create("agent", scopes)).secret
            async with client(made) as owner, client(made, agent) as other:
                body = {"source": NOTES, "is_on": True}
                assert (await other.put(f"/api/v1/conversations/{chat}/tools", json=body)).status_code == 403
                told = (await owner.put(f"/api/v1/conversations/{chat}/tools", json=body)).json()["data"]
                assert told["count"] == 2
                made.legion.mcp.watching(True)
                asking = asyncio.create_task(made.say(chat))
                await made.until(chat, "waiting")
                while not made.legion.mcp.approvals():
                    await asyncio.sleep(0)
                (whole,) = (await owner.get("/api/v1/mcp/approvals")).json()["data"]
                signs = [(line["sign"], line["text"]) for line in whole["changes"][0]["lines"]]
                assert signs == [("-", "old"), ("+", "new")]
                (veiled,) = (await other.get("/api/v1/mcp/approvals")).json()["data"]
                assert "old" not in json.dumps(veiled)
                assert str(file) not in json.dumps(veiled)
                made.legion.mcp.decide(whole["id"], True, LOCAL_OWNER, scope="always")
                await asking
                calls = (await owner.get(f"/api/v1/conversations/{chat}/calls")).json()["data"]
                assert [call["state"] for call in calls] == ["done"]
                yeses: Any = (await owner.get("/api/v1/mcp/yeses")).json()["data"]
                assert [yes["tool"] for yes in yeses] == ["mcp-notes-write_note"]
                gone = "/api/v1/mcp/yeses/mcp-notes-write_note"
                assert (await other.delete(gone)).status_code == 403
                assert (await owner.delete(gone)).status_code == 200
                assert (await owner.delete(gone)).status_code == 404
            assert file.read_text(encoding="utf-8") == "new\n"

    run(work(), 400)


def test_a_token_that_may_chat_does_not_make_the_owners_tools_run(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home, is_served=True) as made:
            await made.server()
            chat = await made.chat(NOTES)
            made.upstream.will(Answer(("plain",)))
            scopes = ("conversations:read", "conversations:write", "gateway/chat:use")
            agent = (await made.legion.tokens.create("agent", scopes)).secret
            async with client(made, agent) as other:
                answer = await other.post(f"/api/v1/conversations/{chat}/messages", json={"text": "Do it."})
                assert answer.status_code == 201
            while (await made.legion.chat.open(chat)).messages[-1].status == "streaming":
                await asyncio.sleep(0)
            assert "tools" not in made.asked()[0]

    run(work(), 400)
