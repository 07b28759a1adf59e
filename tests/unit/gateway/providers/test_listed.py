"""What listings tell of models: each server in its own words, OpenAI by its families, and nothing guessed."""

from typing import Any

import msgspec
import pytest

from legion_core.gateway.providers.listed import MODELS_MAX, ListedModel, is_name, offer_of, rows_of
from legion_core.gateway.types import ModelOffer, Price


def offered(row: dict[str, Any], *, host: str = "127.0.0.1", is_openai: bool = False) -> ModelOffer | None:
    model = msgspec.convert(row, ListedModel)
    return offer_of(model, host=host, is_openai=is_openai, is_believed=not is_openai)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpt-5.4", {"tools", "structured_output", "vision", "documents", "thinking"}),
        ("gpt-5-mini-2025-08-07", {"tools", "structured_output", "vision", "documents", "thinking"}),
        ("gpt-5-chat-latest", {"tools", "structured_output", "vision", "documents"}),
        ("gpt-4.1", {"tools", "structured_output", "vision", "documents"}),
        ("gpt-4o-2024-08-06", {"tools", "structured_output", "vision", "documents"}),
        ("ft:gpt-4o-mini:acme::1", {"tools", "structured_output", "vision", "documents"}),
        ("gpt-4-turbo", {"tools", "vision"}),
        ("gpt-4-0613", {"tools"}),
        ("gpt-3.5-turbo", {"tools"}),
        ("o3", {"tools", "structured_output", "vision", "documents", "thinking"}),
        ("o3-mini", {"tools", "structured_output", "thinking"}),
        ("o1-mini", {"thinking"}),
    ],
)
def test_openais_own_models_can_what_their_family_can(name: str, words: set[str]) -> None:
    offer = offered({"id": name}, host="api.openai.com", is_openai=True)

    assert offer is not None
    assert offer.capabilities == {"streaming", *words}


@pytest.mark.parametrize(
    "name",
    ["whisper-1", "dall-e-3", "gpt-image-1", "tts-1-hd", "omni-moderation-latest", "babbage-002", "sora-2",
     "gpt-4o-realtime-preview", "gpt-4o-mini-transcribe", "gpt-4o-audio-preview", "gpt-3.5-turbo-instruct",
     "o3-deep-research", "gpt-5-pro", "computer-use-preview", "codex-mini-latest"],
)  # fmt: skip
def test_what_does_not_answer_by_chat_completions_is_no_lane(name: str) -> None:
    assert offered({"id": name}, host="api.openai.com", is_openai=True) is None


def test_a_model_for_vectors_is_for_vectors_alone() -> None:
    openai = offered({"id": "text-embedding-3-small"}, host="api.openai.com", is_openai=True)
    local = offered({"id": "text-embedding-nomic-embed-text-v1.5", "owned_by": "organization_owner"})

    for offer in (openai, local):
        assert offer is not None
        assert offer.capabilities == {"embeddings"}


def test_openrouter_tells_what_a_model_can_and_what_it_costs() -> None:
    offer = offered(
        {
            "id": "maker/model",
            "context_length": 200_000,
            "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
            "supported_parameters": ["tools", "structured_outputs", "reasoning", "temperature"],
            "pricing": {"prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003"},
        },
        host="openrouter.ai",
    )

    assert offer is not None
    assert offer.context == 200_000
    assert offer.capabilities == {"streaming", "tools", "structured_output", "thinking", "vision"}
    assert offer.price == Price(input=3.0, output=15.0, cache_read=0.3, source="told by openrouter.ai")


@pytest.mark.parametrize(
    "pricing",
    [
        None,
        {},
        {"prompt": "-1", "completion": "-1"},
        {"prompt": "free", "completion": "0"},
        {"prompt": "nan", "completion": "1"},
    ],
)
def test_a_price_that_is_not_told_or_depends_is_unknown(pricing: Any) -> None:
    offer = offered({"id": "m", "pricing": pricing})

    assert offer is not None
    assert offer.price is None


def test_mistral_tells_what_a_model_can() -> None:
    able = {"completion_chat": True, "function_calling": True, "vision": False}
    chat = offered({"id": "large", "capabilities": able, "max_context_length": 131_072})
    other = offered({"id": "ocr", "capabilities": {"completion_chat": False}})

    assert chat is not None
    assert (chat.capabilities, chat.context) == ({"streaming", "tools"}, 131_072)
    assert other is None


def test_elsewhere_nothing_is_guessed_from_a_name() -> None:
    offer = offered({"id": "gpt-4o"})

    assert offer is not None
    assert offer.capabilities == {"streaming"}
    assert offer.price is None


def test_who_made_a_model_is_believed_of_servers_and_not_of_the_labs_own_host() -> None:
    served = offered({"id": "m", "owned_by": "vllm", "max_model_len": 4_096})
    labs = offered({"id": "gpt-4o", "owned_by": "vllm"}, host="api.openai.com", is_openai=True)

    assert served is not None
    assert labs is not None
    assert (served.continuation, served.context, labs.continuation) == ("prefill", 4_096, "instruct")


@pytest.mark.parametrize(
    ("row", "words", "context"),
    [
        ({"id": "m", "type": "chat", "context_length": 131_072}, set[str](), 131_072),  # Together
        ({"id": "m", "supports_chat": True, "supports_tools": True, "supports_image_input": False,
          "context_length": 4_096}, {"tools"}, 4_096),  # Fireworks
        ({"id": "m", "supports_image_in": True, "supports_reasoning": True, "context_length": 9}, {"vision", "thinking"}, 9),
        ({"id": "m", "type": "language", "context_window": 200_000, "tags": ["tool-use", "vision", "reasoning"]},
         {"tools", "vision", "thinking"}, 200_000),  # Vercel
        ({"id": "m", "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]}, "providers": [
            {"provider": "a", "context_length": 64_000, "supports_tools": True, "supports_structured_output": True},
            {"provider": "b", "context_length": 32_000, "supports_tools": True, "supports_structured_output": False},
         ]}, {"tools"}, 32_000),  # Hugging Face
        # What another server puts into these fields makes nothing of the model, and its listing stays readable.
        ({"id": "m", "type": {"a": 1}, "tags": "tool-use", "providers": [7, {"context_length": "x"}], "supports_tools": "?"},
         set[str](), 8192),
    ],
)  # fmt: skip
def test_each_router_tells_it_in_words_of_its_own(row: dict[str, Any], words: set[str], context: int) -> None:
    offer = offered(row, host="router.example")

    assert offer is not None
    assert (offer.capabilities, offer.context) == ({"streaming", *words}, context)


@pytest.mark.parametrize(
    ("row", "is_vectors"),
    [
        ({"id": "m", "type": "embedding"}, True),
        ({"id": "m", "type": "image"}, False),
        ({"id": "m", "supports_chat": False}, False),
    ],
)
def test_what_a_router_says_is_no_chat_is_none(row: dict[str, Any], is_vectors: bool) -> None:
    offer = offered(row, host="router.example")
    assert (offer is not None) is is_vectors


def listed(*rows: object) -> list[ListedModel]:
    return rows_of([msgspec.Raw(msgspec.json.encode(row)) for row in rows])


@pytest.mark.parametrize(
    "wrong",
    [
        {"pricing": [1]}, {"architecture": "x"}, {"supported_parameters": "tools"}, {"meta": []}, {"owned_by": 7},
        {"max_model_len": {"a": 1}}, {"context_window": "many"}, {"capabilities": 3},
    ],
)  # fmt: skip
def test_a_field_of_another_form_says_nothing_and_the_rest_of_its_row_is_read(wrong: dict[str, Any]) -> None:
    (model,) = listed({"id": "m", "context_length": 4096, **wrong})
    offer = offer_of(model, host="router.example")
    assert offer is not None
    assert (offer.context, offer.capabilities, offer.price) == (4096, {"streaming"}, None)


def test_a_row_that_names_no_model_is_passed_over_and_a_model_named_twice_counts_once() -> None:
    rows = listed(
        {"id": "a"}, {"id": 7}, {"name": "x"}, None, [], "m", {"id": "a", "owned_by": "vllm"}, {"id": "b"}
    )
    assert [(row.id, row.owned_by) for row in rows] == [("a", None), ("b", None)]
    assert len(listed(*({"id": f"m{number}"} for number in range(MODELS_MAX + 5)))) == MODELS_MAX


@pytest.mark.parametrize("context", [-5, 0, 10**30, 10**9])
def test_a_context_that_cannot_be_is_unknown(context: int) -> None:
    (model,) = listed({"id": "m", "context_length": context})
    offer = offer_of(model, host="router.example")
    assert offer is not None
    assert offer.context == 8192


@pytest.mark.parametrize(
    "name", ["", " ", "m\r\nset-cookie: x", "a\0b", "\x1b[31mred", "a\u202eb", "x" * 257, "a\tb"]
)
def test_a_name_that_could_not_be_shown_or_sent_is_none(name: str) -> None:
    assert not is_name(name)
    assert listed({"id": name}) == []


@pytest.mark.parametrize("name", ["gpt-5.4", "Qwen/Qwen3-32B", "/models/a b.gguf", "modèle:latest", "🦙"])
def test_names_people_give_are_names(name: str) -> None:
    assert is_name(name)
