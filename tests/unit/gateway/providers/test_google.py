"""Gemini and Vertex: keys and logins, blocked prompts, ids and signatures, counts."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from legion_core.gateway.answer import Answer as WholeAnswer
from legion_core.gateway.providers.base import Provider
from legion_core.gateway.providers.gemini import Gemini
from legion_core.gateway.providers.vertex import Vertex
from legion_core.gateway.providers.wire import Limits
from legion_core.gateway.types import (
    Chunk,
    Finished,
    Message,
    Request,
    TextBlock,
    ThinkingDelta,
    ToolCallDelta,
    ToolDefinition,
)
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import (
    BadCredentials,
    ConnectionLost,
    ContextTooLong,
    Filtered,
    Malformed,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
)
from legion_core.testing.upstreams import Answer, Call, Insert, Raw, Say, Upstream, error
from tests.support import aio
from tests.support.loopback import Asked, answering

LIMITS = Limits(connect_s=5, first_event_s=10, idle_s=10, answer_s=10)
KEY = "AIzaSyTestKey0123456789"
REQUEST = Request(id="r1", messages=(Message(role="user", content=(TextBlock(text="Hi"),)),))
PLACE = "/v1/projects/p1/locations/europe-west4"


async def ask(provider: Provider, request: Request = REQUEST, model: str = "m1") -> list[Chunk]:
    async with provider.stream(request, model) as chunks:
        return [chunk async for chunk in chunks]


def outcome(*plans: Any, request: Request = REQUEST) -> list[Chunk]:
    async def main() -> list[Chunk]:
        async with Upstream("gemini", key=KEY) as upstream:
            upstream.will(*plans)
            provider = Gemini("box", upstream.base_url, SystemClock(), api_key=KEY, limits=LIMITS)
            try:
                return await ask(provider, request)
            finally:
                await provider.aclose()

    return aio.run(main())


def test_the_key_is_in_a_header_and_in_no_address() -> None:
    async def main() -> None:
        async with Upstream("gemini", key=KEY) as upstream:
            provider = Gemini("box", upstream.base_url, SystemClock(), api_key=KEY, limits=LIMITS)
            await provider.probe()
            await ask(provider)
            await provider.embed("m1", ("a",))
            assert len(upstream.requests) == 3
            for request in upstream.requests:
                assert KEY not in request.path
                assert KEY.encode() not in request.body
                assert request.headers["x-goog-api-key"] == KEY
            assert upstream.questions[0].path == "/v1beta/models/m1:streamGenerateContent?alt=sse"
            await provider.aclose()

    aio.run(main())


def test_a_blocked_prompt_is_filtered_and_a_blocked_answer_says_so() -> None:
    blocked = b'data: {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {}}\r\n\r\n'
    with pytest.raises(Filtered, match="PROHIBITED_CONTENT"):
        outcome(Answer(("x",), fault=Say(0, blocked)))
    last = outcome(Answer(("I will", " not"), stop="SAFETY"))[-1]
    assert isinstance(last, Finished)
    assert last.stop_reason == "content_filter"
    with pytest.raises(Malformed, match="MALFORMED_FUNCTION_CALL"):
        outcome(Answer(("x",), stop="MALFORMED_FUNCTION_CALL"))


@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        (
            error("gemini", 400, "API_KEY_INVALID", "API key not valid. Please pass a valid one."),
            BadCredentials,
        ),
        (error("gemini", 400, "BAD_FIELD", "Invalid JSON payload"), Malformed),
        (error("gemini", 404, "", "models/m1 is not found"), Refused),
        (error("gemini", 429, "RATE_LIMIT_EXCEEDED", "Quota exceeded. Please retry in 41.5s."), RateLimited),
        (error("gemini", 503, "", "The model is overloaded."), Overloaded),
        (
            error(
                "gemini",
                400,
                "",
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ),
            ContextTooLong,
        ),
    ],
)
def test_a_refusal_is_told_by_its_class(plan: Raw, kind: type[ProviderError]) -> None:
    with pytest.raises(kind) as caught:
        outcome(plan)
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after_s == 41.5


def test_tokens_are_counted_once_each() -> None:
    last = outcome(Answer(("a", "b", "c"), thinking=("h", "m"), input_tokens=7, cached_tokens=40))[-1]
    assert isinstance(last, Finished)
    usage = last.usage
    assert (usage.input_tokens, usage.cache_read_tokens) == (7, 40)
    assert (usage.output_tokens, usage.thinking_tokens) == (5, 2)


def test_calls_without_ids_get_some_and_those_that_have_keep_theirs() -> None:
    named = b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"id":"up-7","name":"t","args":{"a":1}}}]}}]}\r\n\r\n'
    chunks = outcome(
        Answer((), calls=(Call("ignored", "t", "{}"), Call("too", "t", "{}")), fault=Insert(1, named))
    )
    calls = [chunk for chunk in chunks if isinstance(chunk, ToolCallDelta)]
    assert [call.index for call in calls] == [0, 1, 2]
    assert calls[1].id == "up-7"
    assert calls[1].arguments == '{"a":1}'
    assert len({call.id for call in calls}) == 3


def test_a_call_and_its_signature_go_back_together() -> None:
    """What the wire signs is told as thinking, survives being joined, and finds its part again."""

    async def main() -> None:
        async with Upstream("gemini") as upstream:
            answer = Answer(
                ("Look.",), thinking=("hm",), signature="c2ln", calls=(Call("", "files.read", '{"p":1}'),)
            )
            upstream.will(answer)
            provider = Gemini("box", upstream.base_url, SystemClock(), limits=LIMITS)
            tools = (ToolDefinition(name="files.read", parameters={"type": "object"}),)
            chunks = await ask(provider, Request(id="r1", messages=REQUEST.messages, tools=tools))
            assert [c.signature for c in chunks if isinstance(c, ThinkingDelta) and c.signature] == [
                "0=c2ln;"
            ]
            whole = WholeAnswer("r1")
            whole.instance = "box"
            for chunk in chunks:
                if not isinstance(chunk, Finished):
                    whole.take(chunk)
            turn = (*REQUEST.messages, Message(role="assistant", content=whole.content))
            await ask(provider, Request(id="r2", messages=turn, tools=tools), model="gemini-3-pro")
            sent = upstream.questions[-1].json["contents"][1]["parts"]
            assert sent[0] == {"text": "Look."}
            assert sent[1]["thoughtSignature"] == "c2ln"
            assert sent[1]["functionCall"]["args"] == {"p": 1}
            await provider.aclose()

    aio.run(main())


def test_models_that_do_not_speak_are_left_out_and_open_models_promise_less() -> None:
    rows = [
        {"name": "models/gemini-2.5-flash", "inputTokenLimit": 1048576, "thinking": True,
         "supportedGenerationMethods": ["generateContent", "countTokens"]},
        {"name": "models/gemma-3-27b-it", "inputTokenLimit": 131072, "supportedGenerationMethods": ["generateContent"]},
        {"name": "models/gemini-embedding-001", "inputTokenLimit": 2048, "supportedGenerationMethods": ["embedContent"]},
        {"name": "models/imagen-4", "supportedGenerationMethods": ["predict"]},
    ]  # fmt: skip

    with answering(lambda _: (200, json.dumps({"models": rows}).encode())) as server:

        async def main() -> None:
            provider = Gemini("box", server.origin + "/v1beta", SystemClock(), limits=LIMITS)
            offers = {offer.id: offer for offer in (await provider.probe()).models}
            assert set(offers) == {"gemini-2.5-flash", "gemma-3-27b-it", "gemini-embedding-001"}
            assert offers["gemini-2.5-flash"].capabilities >= {"thinking", "tools", "vision"}
            assert offers["gemma-3-27b-it"].capabilities == {"streaming"}
            assert offers["gemini-embedding-001"].capabilities == {"embeddings"}
            await provider.aclose()

        aio.run(main())


PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def account(token_uri: str) -> str:
    """A service account's key file."""
    pem = PRIVATE.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "p1",
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": "legion@p1.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": token_uri,
        }
    )


def issue(asked: Asked, expires_s: int = 3600) -> tuple[int, bytes]:
    """Google's token endpoint: believes a well-signed assertion."""
    (assertion,) = parse_qs(asked.body.decode())["assertion"]
    head, claims, signature = assertion.split(".")

    def decoded(part: str) -> bytes:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    PRIVATE.public_key().verify(
        decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    assert "cloud-platform" in json.loads(decoded(claims))["scope"]
    return 200, json.dumps(
        {"access_token": "ya29.token", "expires_in": expires_s, "token_type": "Bearer"}
    ).encode()


def test_claude_is_asked_on_its_own_wire_at_its_publishers_address() -> None:
    async def main() -> None:
        async with Upstream("anthropic", key=KEY) as upstream:
            provider = Vertex("box", upstream.origin + PLACE, SystemClock(), api_key=KEY, limits=LIMITS)
            chunks = await ask(provider, model="claude-sonnet-4@20250514")
            assert isinstance(chunks[-1], Finished)
            (asked,) = upstream.questions
            assert asked.path == (
                f"{PLACE}/publishers/anthropic/models/claude-sonnet-4@20250514:streamRawPredict"
            )
            assert asked.json["anthropic_version"] == "vertex-2023-10-16"
            assert "model" not in asked.json
            await provider.aclose()

    aio.run(main())


@pytest.mark.parametrize("as_file", [True, False])
def test_a_service_account_signs_in_once_for_many_questions(as_file: bool, tmp_path: Path) -> None:
    with answering(issue) as google:
        secret = account(google.origin + "/token")
        if as_file:
            path = tmp_path / "account.json"
            path.write_text(secret, encoding="utf-8")
            secret = str(path)

        async def main() -> None:
            async with Upstream("gemini", key="ya29.token") as upstream:
                provider = Vertex(
                    "box", upstream.origin + PLACE, SystemClock(), api_key=secret, limits=LIMITS
                )
                for _ in range(3):
                    assert isinstance((await ask(provider))[-1], Finished)
                assert (await provider.probe()).is_ok
                assert upstream.questions[0].path == (
                    f"{PLACE}/publishers/google/models/m1:streamGenerateContent?alt=sse"
                )
                assert "x-goog-api-key" not in upstream.questions[0].headers
                await provider.aclose()

        aio.run(main())
        assert len(google.asked) == 1


def test_a_token_near_its_end_is_renewed() -> None:
    with answering(lambda asked: issue(asked, expires_s=30)) as google:

        async def main() -> None:
            async with Upstream("gemini", key="ya29.token") as upstream:
                secret = account(google.origin + "/token")
                provider = Vertex(
                    "box", upstream.origin + PLACE, SystemClock(), api_key=secret, limits=LIMITS
                )
                await ask(provider)
                await ask(provider)
                await provider.aclose()

        aio.run(main())
        assert len(google.asked) == 2


def test_the_machines_own_login_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with answering(issue) as google:
        path = tmp_path / "adc.json"
        path.write_text(account(google.origin + "/token"), encoding="utf-8")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))

        async def main() -> None:
            async with Upstream("gemini", key="ya29.token") as upstream:
                provider = Vertex("box", upstream.origin + PLACE, SystemClock(), limits=LIMITS)
                assert isinstance((await ask(provider))[-1], Finished)
                await provider.aclose()

        aio.run(main())
        assert len(google.asked) == 1


def test_a_login_that_fails_is_told_without_its_key() -> None:
    def refuse(_: Asked) -> tuple[int, bytes]:
        return 400, b'{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}'

    async def fails(secret: str, kind: type[ProviderError]) -> None:
        async with Upstream("gemini") as upstream:
            provider = Vertex("box", upstream.origin + PLACE, SystemClock(), api_key=secret, limits=LIMITS)
            with pytest.raises(kind) as caught:
                await ask(provider)
            assert "PRIVATE KEY" not in caught.value.sentence()
            assert upstream.requests == []
            await provider.aclose()

    with answering(refuse) as google:
        aio.run(fails(account(google.origin + "/token"), BadCredentials))
        gone = google.origin
    aio.run(fails(account(gone + "/token"), ConnectionLost))
    aio.run(fails("/nowhere/account.json", BadCredentials))
    aio.run(fails("{broken", BadCredentials))
    aio.run(fails('{"type": "service_account"}', BadCredentials))


def test_where_the_library_is_missing_an_api_key_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("google.auth", "google.auth.exceptions", "google.oauth2.service_account"):
        monkeypatch.setitem(sys.modules, name, None)

    async def main() -> None:
        async with Upstream("gemini") as upstream:
            provider = Vertex("box", upstream.origin + PLACE, SystemClock(), limits=LIMITS)
            assert ".[vertex]" in (await provider.probe()).why
            await provider.aclose()
            keyed = Vertex("box", upstream.origin + PLACE, SystemClock(), api_key=KEY, limits=LIMITS)
            assert isinstance((await ask(keyed))[-1], Finished)
            assert upstream.questions[0].headers["x-goog-api-key"] == KEY
            await keyed.aclose()

    aio.run(main())
