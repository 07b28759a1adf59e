"""What the HTTP surface does with an answer, whichever way it goes."""

import asyncio
import json

import pytest

from legion_core.kernel.errors import Overloaded, RateLimited, StreamBroken
from legion_core.surfaces.rest.limits import Limits
from tests.support.aio import run
from tests.unit.surfaces.fakes import CLOSED, OPENED, ScriptedLlm, legion, texts
from tests.unit.surfaces.raw import Answer, ask, parse, request, serving

JSON = "Content-Type: application/json"
CHAT = "/v1/chat/completions"


def body(**fields: object) -> bytes:
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **fields}).encode()


def post(llm: ScriptedLlm, *headers: str, limits: Limits | None = None, **fields: object) -> Answer:
    async def work() -> Answer:
        async with serving(legion=legion(llm), limits=limits) as here:
            return await ask(here, "POST", CHAT, JSON, *headers, body=body(**fields))

    return run(work())


def unchunked(data: bytes) -> bytes:
    parts = []
    while data:
        size, _, data = data.partition(b"\r\n")
        count = int(size, 16)
        parts.append(data[:count])
        data = data[count + 2 :]
    return b"".join(parts)


def test_a_whole_answer_names_its_route_in_the_headers() -> None:
    answer = post(ScriptedLlm(OPENED, *texts("Hel", "lo"), CLOSED))

    assert answer.status == 200
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == "Hello"
    assert answer.header("x-legion-tier") == "direct"
    assert answer.header("x-legion-instance") == "box-a"
    assert answer.header("x-legion-model") == "m1"
    assert (answer.header("x-legion-request") or "").startswith("req_")


def test_a_streamed_answer_names_the_attempt_that_sent_the_first_byte() -> None:
    answer = post(ScriptedLlm(OPENED, *texts("Hel", "lo"), CLOSED), stream=True)

    assert answer.status == 200
    assert answer.header("content-type") == "text/event-stream"
    assert answer.header("x-legion-attempts") == "2"
    assert answer.header("x-legion-model") == "m1"
    text = unchunked(answer.body).decode()
    assert text.endswith("data: [DONE]\n\n")
    assert '"Hel"' in text


@pytest.mark.parametrize("stream", [True, False])
def test_when_nothing_can_answer_the_status_and_shape_are_the_dialects(stream: bool) -> None:
    answer = post(ScriptedLlm(Overloaded("All are busy.")), stream=stream)

    assert answer.status == 503
    assert json.loads(answer.body)["error"]["message"] == "All are busy."
    assert (answer.header("x-legion-request") or "").startswith("req_")


def test_a_wished_pause_reaches_the_client() -> None:
    assert post(ScriptedLlm(RateLimited("Slow down.", retry_after_s=7.0))).header("retry-after") == "7"


def test_a_stream_that_breaks_after_its_first_byte_ends_in_the_dialects_own_error() -> None:
    answer = post(ScriptedLlm(OPENED, *texts("Hel"), StreamBroken("It broke.")), stream=True)

    assert answer.status == 200
    text = unchunked(answer.body).decode()
    assert "It broke." in text


@pytest.mark.allow_log("unforeseen")
@pytest.mark.parametrize("stream", [True, False])
def test_an_unforeseen_failure_is_an_id_in_the_dialects_shape(stream: bool) -> None:
    answer = post(ScriptedLlm(RuntimeError("secret sk-abcdefghijkl")), stream=stream)

    assert answer.status == 500
    assert "message" in json.loads(answer.body)["error"]
    assert b"sk-abc" not in answer.body
    assert b"RuntimeError" not in answer.body


@pytest.mark.parametrize(
    "header",
    [
        "x-legion-tier: nowhere",
        "x-legion-teir: local",
        "x-legion-curate: perhaps",
        "x-legion-model: ",
        "x-legion-instance: \x01",
    ],
)
def test_a_bad_routing_header_is_400_and_nothing_is_asked(header: str) -> None:
    llm = ScriptedLlm(OPENED, CLOSED)

    assert post(llm, header).status == 400
    assert llm.requests == []


def test_the_routing_headers_pin_the_request() -> None:
    llm = ScriptedLlm(OPENED, *texts("x"), CLOSED)

    post(llm, "x-legion-tier: direct", "x-legion-instance: box-a", "x-legion-conversation: conv_1")

    assert llm.requests[0].pins.instance == "box-a"
    assert llm.requests[0].conversation_id == "conv_1"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b'{"messages": []}',
        b'{"messages": [{"role": "alien", "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"messages": [{"role": "user", "content": "x"}], "stream": "yes"}',
        b'{"messages": [{"role": "user", "content": "x"}]} trailing',
        b"\xff\xfe{\x00}\x00",
        b'{"messages":' + b"[" * 50_000,
    ],
)
def test_a_body_that_cannot_be_understood_is_400_in_the_dialects_shape(data: bytes) -> None:
    async def work() -> Answer:
        async with serving(legion=legion(ScriptedLlm(OPENED, CLOSED))) as here:
            return await ask(here, "POST", CHAT, JSON, body=data)

    answer = run(work())

    assert answer.status == 400
    assert json.loads(answer.body)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("stream", [True, False])
def test_when_the_client_goes_the_answer_is_cancelled(stream: bool) -> None:
    async def work() -> None:
        llm = ScriptedLlm(OPENED, *texts("Hel"), lambda: asyncio.Event().wait())
        async with serving(legion=legion(llm)) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(request("POST", CHAT, JSON, body=body(stream=stream), port=here.port))
            if stream:
                await reader.readuntil(b"Hel")
            else:
                while not llm.requests:
                    await asyncio.sleep(0)
            writer.close()
            async with asyncio.timeout(60):
                await llm.cancelled.wait()
            while here.supervisor.census:
                await asyncio.sleep(0)
            assert llm.left == 1

    run(work())


def test_a_hundred_clients_that_go_leave_nothing_behind() -> None:
    async def work() -> None:
        llm = ScriptedLlm(OPENED, *texts("Hel"), lambda: asyncio.Event().wait())
        async with serving(legion=legion(llm)) as here:
            for _ in range(100):
                reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
                writer.write(request("POST", CHAT, JSON, body=body(stream=True), port=here.port))
                await reader.readuntil(b"Hel")
                writer.close()
            async with asyncio.timeout(60.0):
                while llm.left < 100 or here.supervisor.census:
                    await asyncio.sleep(0)
            door = here.server._door
            assert door is not None
            async with asyncio.timeout(60.0):
                while door.state.connections or door.state.tasks or door.waiting:
                    await asyncio.sleep(0)

    run(work())


def test_a_quiet_stream_says_that_it_lives_and_the_client_ignores_it() -> None:
    async def work() -> bytes:
        go_on = asyncio.Event()
        llm = ScriptedLlm(OPENED, *texts("Hel"), go_on.wait, *texts("lo"), CLOSED)
        async with serving(legion=legion(llm), limits=Limits(quiet_s=0.02)) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(request("POST", CHAT, JSON, body=body(stream=True), port=here.port))
            seen = await reader.readuntil(b"Hel")
            seen += await reader.readuntil(b"\r\n:")
            go_on.set()
            seen += await reader.read()
            writer.close()
            return seen

    text = unchunked(parse(run(work())).body).decode()
    data = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]
    said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in data if chunk["choices"])

    assert "\n:" in text
    assert said == "Hello"


def test_a_client_that_does_not_read_is_dropped_and_its_answer_cancelled() -> None:
    async def work() -> None:
        flood = texts(*(["x" * 65536] * 400))
        llm = ScriptedLlm(OPENED, *flood, CLOSED)
        async with serving(legion=legion(llm), limits=Limits(write_s=0.1)) as here:
            _, writer = await asyncio.open_connection("127.0.0.1", here.port, limit=1024)
            writer.write(request("POST", CHAT, JSON, body=body(stream=True), port=here.port))
            async with asyncio.timeout(60.0):
                while llm.left == 0:
                    await asyncio.sleep(0.01)
                door = here.server._door
                assert door is not None
                while door.state.connections:
                    await asyncio.sleep(0.01)
            writer.close()

    run(work())


def test_the_models_are_listed_for_both_families_of_clients() -> None:
    async def work() -> Answer:
        async with serving(legion=legion(ScriptedLlm())) as here:
            return await ask(here, "GET", "/v1/models")

    listed = json.loads(run(work()).body)

    assert [entry["id"] for entry in listed["data"]] == ["auto", "m1"]
    assert listed["object"] == "list"
    assert listed["has_more"] is False
