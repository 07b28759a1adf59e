"""Idempotency-Key."""

import asyncio
import json

from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply
from legion_core.surfaces.rest.limits import Limits
from tests.support.aio import run
from tests.unit.surfaces.raw import Answer, Serving, ask, serving

JSON = "Content-Type: application/json"
made: list[bytes] = []


async def _make(desk: Desk, call: Call) -> Reply:
    made.append(call.body)
    await asyncio.sleep(0)
    return Reply({"number": len(made)}, status=201)


MAKE = Operation(
    method="POST", path="/api/v1/things", name="make", summary="-", handler=_make, right=("x", "use")
)


async def post(here: Serving, key: str | None, body: bytes = b"{}") -> Answer:
    headers = [JSON] if key is None else [JSON, f"Idempotency-Key: {key}"]
    return await ask(here, "POST", "/api/v1/things", *headers, body=body)


def number(answer: Answer) -> int:
    return int(json.loads(answer.body)["data"]["number"])


def test_the_same_key_is_done_once_and_answered_the_same() -> None:
    async def work() -> list[Answer]:
        made.clear()
        async with serving(MAKE) as here:
            return [await post(here, key) for key in ("a", "a", "b", None, None)]

    answers = run(work())

    assert [number(answer) for answer in answers] == [1, 1, 2, 3, 4]
    assert answers[0].body == answers[1].body
    assert answers[1].status == 201


def test_two_at_once_under_one_key_are_done_once() -> None:
    async def work() -> list[Answer]:
        made.clear()
        async with serving(MAKE) as here:
            return list(await asyncio.gather(*(post(here, "a") for _ in range(20))))

    answers = run(work())

    assert {number(answer) for answer in answers} == {1}
    assert len(made) == 1


def test_another_body_under_the_same_key_is_a_conflict() -> None:
    async def work() -> list[int]:
        made.clear()
        async with serving(MAKE) as here:
            return [(await post(here, "a", body)).status for body in (b"{}", b'{"other": 1}')]

    assert run(work()) == [201, 409]


def test_a_key_that_is_no_key_is_refused() -> None:
    async def work() -> list[int]:
        async with serving(MAKE) as here:
            return [(await post(here, key)).status for key in ("k" * 201, "\xe9")]

    assert run(work()) == [400, 400]


def test_the_store_is_bounded_and_forgets_the_oldest() -> None:
    async def work() -> list[int]:
        made.clear()
        async with serving(MAKE, limits=Limits(idempotency_kept=2)) as here:
            return [number(await post(here, key)) for key in ("a", "b", "c", "c", "b", "a")]

    assert run(work()) == [1, 2, 3, 3, 2, 4]


def test_keys_are_forgotten_after_their_time() -> None:
    async def work() -> list[int]:
        made.clear()
        async with serving(MAKE, limits=Limits(idempotency_s=0.0)) as here:
            return [number(await post(here, "a")) for _ in range(2)]

    assert run(work()) == [1, 2]
