"""What a condition says and when a cron expression fires, asked over HTTP of a real node."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from legion_core.node import open_node
from tests.support.aio import run


def ask(url: str, token: str, path: str, body: object) -> tuple[int, Any]:
    request = urllib.request.Request(
        url + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=100) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_previews_answer_in_the_promised_shapes_and_refuse_what_cannot_be_read(legion_home: Path) -> None:
    import asyncio

    async def scenario() -> None:
        async with open_node(legion_home, env={}, port=0) as node:
            token = (legion_home / "token").read_text(encoding="utf-8").strip()

            async def post(path: str, body: object) -> tuple[int, Any]:
                return await asyncio.to_thread(ask, node.url, token, path, body)

            when = {"all": [{"fact": "result.status", "operator": "equal", "value": 200}]}
            status, told = await post(
                "/api/v1/conditions/explain", {"when": when, "payload": {"result": {"status": 404}}}
            )
            assert status == 200
            assert (told["data"]["valid"], told["data"]["group"]) == (False, "all")
            rule = told["data"]["rules"][0]
            assert {name: rule[name] for name in ("fact", "operator", "value", "actual", "result")} == {
                "fact": "result.status", "operator": "equal", "value": 200, "actual": 404, "result": False,
            }  # fmt: skip

            wrong = {"all": [{"fact": "a", "operator": "eqal", "value": 1}]}
            status, told = await post("/api/v1/conditions/explain", {"when": wrong, "payload": {}})
            assert status in (400, 422)
            assert "eqal" in json.dumps(told)

            body = {
                "cron": "30 2 * * *",
                "zone": "Europe/Berlin",
                "after": "2026-03-28T00:00:00Z",
                "count": 3,
            }
            status, told = await post("/api/v1/schedules/preview", body)
            assert status == 200
            # On 29 March 2026 the clocks go from 02:00 to 03:00: the moment in the gap comes at its first valid instant.
            assert [fire[:16] for fire in told["data"]["fires"]] == [
                "2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30",
            ]  # fmt: skip
            status, told = await post("/api/v1/schedules/preview", {"cron": "99 * * * *"})
            assert status in (400, 422)

    run(scenario())
