"""vLLM and its relatives: who goes on behind a beginning, and words of the template that are not the answer's."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.providers.openai import OpenAICompatible
from legion_core.gateway.providers.vllm import Vllm
from legion_core.gateway.providers.vllm_text import CLOSERS, OPENERS, TemplateWords
from legion_core.gateway.providers.wire import Limits
from legion_core.gateway.types import Message, Request, TextBlock, TextDelta
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import StreamBroken, Unsupported
from legion_core.testing.upstreams import Answer, Die, Served, Upstream
from tests.support import aio

LIMITS = Limits(connect_s=5, first_event_s=10, idle_s=10, answer_s=10)
REQUEST = Request(
    id="r1", system=("One.", "Two."), messages=(Message(role="user", content=(TextBlock(text="Hi"),)),)
)


async def said(provider: OpenAICompatible, prefix: str = "", into: list[str] | None = None) -> str:
    got = list[str]() if into is None else into
    async with provider.stream(REQUEST, "m1", prefix=prefix) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, TextDelta):
                got.append(chunk.text)
    return "".join(got)


def through(text: str, sizes: list[int]) -> str:
    words, out, at = TemplateWords(), "", 0
    while at < len(text):
        size = sizes[at % len(sizes)]
        out += words.feed(text[at : at + size])
        at += size
    return out + words.close()


pieces = st.sampled_from(
    [*CLOSERS, *OPENERS, "a", "b ", "<", "|", "<|", "\n", "im_end|>", "</s", "😀", "<|im"]
)
texts = st.lists(pieces, max_size=12).map("".join)
cuts = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@given(texts, cuts)
def test_what_is_taken_does_not_depend_on_how_the_text_was_cut(text: str, sizes: list[int]) -> None:
    assert through(text, sizes) == through(text, [max(1, len(text))])


@given(texts, cuts)
def test_only_the_ends_are_touched_and_only_by_whole_words(text: str, sizes: list[int]) -> None:
    kept = through(text, sizes)
    opened = next((text.removeprefix(word) for word in OPENERS if text.startswith(word)), text)
    assert opened.startswith(kept)
    rest = opened[len(kept) :]
    for word in CLOSERS:
        rest = rest.replace(word, "")
    assert rest.strip() == ""


@given(st.text(alphabet="ab <|>/s\n", max_size=60), cuts)
def test_a_text_without_such_words_passes_whole(text: str, sizes: list[int]) -> None:
    if not any(word in text for word in CLOSERS):
        assert through(text, sizes) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Four.<|im_end|>", "Four."),
        ("Four.\n<|im_end|>\n</s> ", "Four.\n"),
        ("<|im_start|>assistant\nFour.", "Four."),
        ("`<|im_end|>` ends a turn.", "`<|im_end|>` ends a turn."),
        ("a < b", "a < b"),
        ("ends in <", "ends in <"),
        ("ends in <|im_en", "ends in <|im_en"),
        ("<|im_end|>", ""),
        ("<|channel|>final<|message|>Yes<|return|>", "Yes"),
    ],
)
def test_words_of_a_template_are_taken_off_the_ends(text: str, kept: str) -> None:
    assert through(text, [1]) == kept
    assert through(text, [len(text)]) == kept


def test_a_leak_is_cleaned_on_its_way_and_a_break_gives_nothing_twice() -> None:
    async def main() -> None:
        async with Upstream("openai") as upstream:
            provider = Vllm("box", upstream.base_url, SystemClock(), limits=LIMITS)
            upstream.will(Answer(("Fo", "ur", ".<|im", "_end|>")))
            assert await said(provider) == "Four."
            upstream.will(Answer(("Less: ", "a ", "<")))
            assert await said(provider) == "Less: a <"
            upstream.will(Answer(("Fo", "ur<|im", "x"), fault=Die(3)))
            got = list[str]()
            with pytest.raises(StreamBroken):
                await said(provider, into=got)
            assert got == ["Fo", "ur"]
            await provider.aclose()

    aio.run(main())


@pytest.mark.parametrize(
    ("kind", "owner", "context", "sent"),
    [
        (Vllm, "vllm", 4096, {"continue_final_message": True, "add_generation_prompt": False}),
        (OpenAICompatible, "llamacpp", 4096, {"chat_template_kwargs": {"enable_thinking": False}}),
        (OpenAICompatible, "organization_owner", 8192, {}),
    ],
)
def test_a_server_that_continues_is_known_by_a_probe(
    kind: Any, owner: str, context: int, sent: dict[str, Any]
) -> None:
    async def main() -> None:
        async with Upstream("openai", models=(Served("m1", owner=owner),)) as upstream:
            provider = kind("box", upstream.base_url, SystemClock(), limits=LIMITS)
            with pytest.raises(Unsupported):
                await said(provider, prefix="Once ")
            (offer,) = (await provider.probe()).models
            assert (offer.context, offer.continuation) == (context, "prefill")
            upstream.will(Answer(("upon",)))
            assert await said(provider, prefix="Once ") == "upon"
            body = upstream.questions[-1].json
            assert body["messages"][-1] == {"role": "assistant", "content": "Once "}
            for name, value in sent.items():
                assert body[name] == value
            systems = [m["content"] for m in body["messages"] if m["role"] == "system"]
            assert systems == (["One.", "Two."] if owner == "organization_owner" else ["One.\n\nTwo."])
            await provider.aclose()

    aio.run(main())


def test_a_server_of_another_make_is_not_believed_to_continue() -> None:
    async def main() -> None:
        async with Upstream("openai", models=(Served("m1", owner="openai"),)) as upstream:
            provider = OpenAICompatible("box", upstream.base_url, SystemClock(), limits=LIMITS)
            (offer,) = (await provider.probe()).models
            assert offer.continuation == "instruct"  # asked in words, not given the beginning
            with pytest.raises(Unsupported):
                await said(provider, prefix="Once ")
            await provider.aclose()

    aio.run(main())
