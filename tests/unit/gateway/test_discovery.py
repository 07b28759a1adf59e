"""Model servers on this computer: each is told by what only it says, and nothing else is taken for one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from legion_core.gateway.discovery import Found, look_around
from legion_core.gateway.providers.base import ProbeResult
from legion_core.gateway.providers.registry import make
from legion_core.kernel.clock import SystemClock
from tests.support.aio import run
from tests.support.loopback import Asked, Loopback, answering

Pages = dict[str, Any]


def serving(pages: Pages, status: int = 404) -> Callable[[Asked], tuple[int, bytes]]:
    def answer(asked: Asked) -> tuple[int, bytes]:
        assert asked.method == "GET"
        assert "authorization" not in asked.headers
        if asked.path in pages:
            return 200, json.dumps(pages[asked.path]).encode()
        return status, b'{"error": {"message": "not here"}}'

    return answer


def port_of(server: Loopback) -> int:
    return int(server.origin.rpartition(":")[2])


def found_at(pages: Pages, status: int = 404) -> Found | None:
    with answering(serving(pages, status)) as server:
        found = run(look_around(SystemClock(), {}, ports=[port_of(server)]))
        assert all(each.base_url.startswith(server.origin) for each in found)
    return found[0] if found else None


def models(*ids: str, owner: str) -> Pages:
    return {"/v1/models": {"object": "list", "data": [{"id": each, "owned_by": owner} for each in ids]}}


def test_ollama_is_told_by_its_version_and_tags() -> None:
    found = found_at(
        {
            "/api/version": {"version": "0.9.1"},
            "/api/tags": {"models": [{"name": "llama3.2:3b"}]},
            **models("llama3.2:3b", owner="library"),
        }
    )

    assert found is not None
    assert (found.kind, found.title, found.version, found.models) == (
        "ollama",
        "Ollama",
        "0.9.1",
        ("llama3.2:3b",),
    )
    assert not found.base_url.endswith("/v1")


@pytest.mark.parametrize(
    ("pages", "kind", "title", "version"),
    [
        ({**models("m", owner="vllm"), "/version": {"version": "0.11.0"}}, "vllm", "vLLM", "0.11.0"),
        (
            {**models("m", owner="llamacpp"), "/props": {"build_info": "b6500"}},
            "openai",
            "llama-server",
            "b6500",
        ),
        ({**models("m", owner="llamacpp")}, "openai", "llama-server", ""),
        ({**models("m", owner="sglang")}, "openai", "SGLang", ""),
        (
            {
                **models("m", owner="organization_owner"),
                "/api/v0/models": {"data": [{"id": "m", "compatibility_type": "gguf", "state": "loaded"}]},
            },
            "openai",
            "LM Studio",
            "",
        ),
        ({**models("m", owner="someone")}, "openai", "A model server", ""),
    ],
)
def test_each_server_that_speaks_openai_is_told_by_its_own_words(
    pages: Pages, kind: str, title: str, version: str
) -> None:
    found = found_at(pages)

    assert found is not None
    assert (found.kind, found.title, found.version, found.models) == (kind, title, version, ("m",))
    assert found.base_url.endswith("/v1")


def test_a_server_that_wants_a_key_is_found_without_its_models() -> None:
    found = found_at({}, status=401)

    assert found is not None
    assert found.needs_key
    assert found.models == ()


@pytest.mark.parametrize(
    "pages",
    [
        {},
        {"/v1/models": "hello"},
        {"/v1/models": []},
        {"/api/version": {"version": "3"}},
        {"/v1/models": {"data": [{}]}},
    ],
)
def test_another_program_on_that_port_is_nobody(pages: Pages) -> None:
    assert found_at(pages) is None


def test_a_port_where_nobody_listens_and_our_own_are_not_there() -> None:
    with answering(serving(models("m", owner="vllm"))) as server:
        own = port_of(server)
        found = run(look_around(SystemClock(), {}, own_port=own, ports=[own, 9]))
        asked = len(server.asked)

    assert found == ()
    assert asked == 0


def test_ollama_is_looked_for_where_its_variable_points_if_that_is_this_computer() -> None:
    pages = {"/api/version": {"version": "1"}, "/api/tags": {"models": []}}
    with answering(serving(pages)) as server:
        place = server.origin.removeprefix("http://")
        here = run(look_around(SystemClock(), {"OLLAMA_HOST": place}, ports=[]))
        elsewhere = run(look_around(SystemClock(), {"OLLAMA_HOST": "192.0.2.1:11434"}, ports=[]))

    assert [each.kind for each in here] == ["ollama"]
    assert elsewhere == ()


@pytest.mark.parametrize(
    ("pages", "able"),
    [
        ({"/v1/models": [{"id": "m", "type": "chat", "supports_tools": True}]}, {"tools"}),  # the rows alone
        (
            {**models("m", owner="openai"), "/model/info": {"data": [
                {"model_name": "m", "model_info": {"supports_vision": True}},
            ]}},
            {"vision"},
        ),
        (
            {**models("m", owner="sglang"), "/get_server_info": {"tool_call_parser": "qwen"}},
            {"tools", "structured_output", "completions"},
        ),
    ],
)  # fmt: skip
def test_an_instance_is_asked_where_its_kind_of_server_tells_more(pages: Pages, able: set[str]) -> None:
    async def look(origin: str) -> ProbeResult:
        provider = make("box", "openai", SystemClock(), base_url=f"{origin}/v1")
        try:
            return await provider.probe()
        finally:
            await provider.aclose()

    with answering(serving(pages)) as server:
        found = run(look(server.origin))
    assert found.is_ok, found.why
    assert [offer.capabilities - {"streaming"} for offer in found.models] == [able]
