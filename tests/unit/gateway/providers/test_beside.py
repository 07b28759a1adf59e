"""What llama-server and LM Studio tell of their models beside their listing; nothing is made of what is not told."""

from typing import Any, cast

import msgspec
import pytest

from legion_core.gateway.providers.beside import ASKED, told_beside
from legion_core.gateway.providers.wire import Wire
from legion_core.gateway.types import Capability, ModelOffer
from legion_core.kernel.errors import Refused
from tests.support.aio import run

PLAIN = ModelOffer(id="qwen3", context=8192, capabilities=frozenset({"streaming"}), continuation="prefill")
VECTORS = ModelOffer(id="nomic", capabilities=frozenset({"embeddings"}), continuation="none")


class Root:
    """A server's root with these answers; everything else is not there."""

    def __init__(self, **answers: object) -> None:
        self.answers = {f"/{path.replace('__', '/')}": answer for path, answer in answers.items()}
        self.asked: list[str] = []

    async def post(self, path: str, body: bytes, kind: Any) -> Any:
        """The same."""
        assert body
        return await self.get(path, kind)

    async def get(self, path: str, kind: Any) -> Any:
        """The answer to `path`."""
        self.asked.append(path)
        if path not in self.answers:
            raise Refused("404")
        return msgspec.json.decode(msgspec.json.encode(self.answers[path]), type=kind)


def told(root: Root, owner: str, *offers: ModelOffer) -> tuple[ModelOffer, ...]:
    return run(told_beside(cast("Wire", root), {owner}, offers))


@pytest.mark.parametrize(
    ("props", "more"),
    [
        ({"chat_template_caps": {"supports_tools": True}}, {"tools", "structured_output"}),
        ({"chat_template_caps": {"supports_tools": False}}, {"structured_output"}),
        ({"modalities": {"vision": True, "audio": False}}, {"vision", "structured_output"}),
        ({}, {"structured_output"}),
    ],
)
def test_llama_server_tells_tools_and_pictures_in_its_properties(
    props: dict[str, object], more: set[Capability]
) -> None:
    found, vectors = told(Root(props=props), "llamacpp", PLAIN, VECTORS)
    assert found.capabilities == {"streaming", *more}
    assert vectors == VECTORS


def test_lm_studio_tells_of_each_model() -> None:
    rows = [
        {"id": "qwen3", "type": "vlm", "capabilities": ["tool_use"], "max_context_length": 131_072},
        {"id": "small", "type": "llm", "max_context_length": 32_768, "loaded_context_length": 4096},
        {"id": "vec", "type": "embeddings"},
    ]
    small, vec, silent = (msgspec.structs.replace(PLAIN, id=name) for name in ("small", "vec", "not-listed"))
    found = told(Root(api__v0__models={"data": rows}), "organization_owner", PLAIN, small, vec, silent)
    assert [(offer.capabilities - {"streaming"}, offer.context) for offer in found] == [
        ({"tools", "vision", "structured_output"}, 131_072),
        ({"structured_output"}, 4096),
        ({"embeddings"}, 8192),
        (frozenset(), 8192),
    ]


def test_one_row_that_cannot_be_read_or_believed_takes_nothing_from_the_others() -> None:
    rows = [
        {"id": "qwen3", "type": "llm", "max_context_length": 131_072, "loaded_context_length": -5},
        {"id": "huge", "type": "llm", "capabilities": "tool_use", "max_context_length": 10**15},
        {"id": "words", "type": 3, "capabilities": ["tool_use"], "max_context_length": "131072"},
        {"id": "true", "type": "vlm", "max_context_length": True},
        {"id": 7},
        "what",
    ]
    others = [msgspec.structs.replace(PLAIN, id=name) for name in ("huge", "words", "true")]
    found = told(Root(api__v0__models={"data": rows}), "organization_owner", PLAIN, *others)
    assert [(offer.capabilities - {"streaming"}, offer.context) for offer in found] == [
        ({"structured_output"}, 131_072),
        ({"structured_output"}, 8192),
        ({"tools", "structured_output"}, 8192),
        ({"vision", "structured_output"}, 8192),
    ]


@pytest.mark.parametrize("size", [True, 10**15, -5, "200000", None])
def test_a_proxys_row_that_makes_no_sense_tells_nothing_and_takes_nothing_from_the_others(
    size: object,
) -> None:
    rows = [
        {"model_name": "qwen3", "model_info": {"supports_vision": True, "max_input_tokens": size}},
        {"model_name": "other", "model_info": {"supports_vision": True, "max_input_tokens": 100_000}},
        {"model_name": "null", "model_info": None},
        {"model_name": ["null"]},
    ]
    other, null = (msgspec.structs.replace(PLAIN, id=name) for name in ("other", "null"))
    found = told(Root(model__info={"data": rows}), "openai", PLAIN, other, null)
    assert [(offer.capabilities - {"streaming"}, offer.context) for offer in found] == [
        ({"vision"}, 8192),
        ({"vision"}, 100_000),
        (frozenset(), 8192),
    ]


def test_sglang_tells_how_it_was_started() -> None:
    server, model = (
        {"tool_call_parser": "qwen25", "reasoning_parser": None},
        {"has_image_understanding": True},
    )
    found, vectors = told(Root(get_server_info=server, get_model_info=model), "sglang", PLAIN, VECTORS)
    assert found.capabilities == {"streaming", "tools", "vision"}
    assert vectors == VECTORS
    old = told(Root(get_server_info={"reasoning_parser": "deepseek-r1"}), "sglang", PLAIN)
    assert old[0].capabilities == {"streaming", "thinking"}


def test_ollama_behind_its_openai_door_tells_what_each_model_can_and_no_context() -> None:
    root = Root(
        api__show={"capabilities": ["completion", "tools", "insert"], "model_info": {"x.context_length": 9}}
    )
    found, other = told(root, "library", PLAIN, msgspec.structs.replace(PLAIN, id="other"))
    assert found.capabilities == {"streaming", "structured_output", "tools"}
    assert (found.context, other.capabilities) == (PLAIN.context, found.capabilities)
    (vectors,) = told(Root(api__show={"capabilities": ["embedding"]}), "library", PLAIN)
    assert vectors.capabilities == {"embeddings"}


def test_a_proxy_tells_what_every_deployment_behind_a_name_can() -> None:
    def row(name: str, **info: object) -> dict[str, object]:
        return {"model_name": name, "litellm_params": {"model": "x"}, "model_info": {"id": "1", **info}}

    rows = [
        row(
            "qwen3",
            max_input_tokens=200_000,
            supports_function_calling=True,
            supports_vision=True,
            mode="chat",
        ),
        row("qwen3", max_input_tokens=100_000, supports_function_calling=True, supports_vision=None),
        row("half", max_input_tokens=None, supports_reasoning=True, supports_response_schema=True),
        row("vec", mode="embedding", max_input_tokens=512),
    ]
    half, vec, silent = (msgspec.structs.replace(PLAIN, id=name) for name in ("half", "vec", "not-there"))
    found = told(Root(model__info={"data": rows}), "openai", PLAIN, half, vec, silent)
    assert [(offer.capabilities - {"streaming"}, offer.context) for offer in found] == [
        ({"tools"}, 100_000),
        ({"thinking", "structured_output"}, 8192),
        ({"embeddings"}, 8192),
        (frozenset(), 8192),
    ]


@pytest.mark.parametrize("owner", [*sorted(ASKED), "deepseek", ""])
def test_where_nothing_is_told_nothing_is_made_of_it(owner: str) -> None:
    root = Root()
    assert told(root, owner, PLAIN) == (PLAIN,)
    assert bool(root.asked) == (owner in ASKED)
