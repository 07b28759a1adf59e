"""Bedrock: whose signature a request carries, which name a model is asked by, and what errors in a stream mean."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from legion_core.gateway.providers.bedrock import Bedrock
from legion_core.gateway.providers.bedrock_auth import AwsSign, region_in
from legion_core.gateway.providers.bedrock_request import canonical
from legion_core.gateway.providers.wire import Limits
from legion_core.gateway.types import (
    Chunk,
    Finished,
    Message,
    ModelOffer,
    Request,
    TextBlock,
    ThinkingBlock,
    ThinkingDelta,
)
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.contacts import CONTACTS
from legion_core.kernel.errors import (
    BadCredentials,
    ContextTooLong,
    Malformed,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    StreamBroken,
    TimedOut,
    Unavailable,
)
from legion_core.kernel.fetch.gate import GATE, Blocked
from legion_core.testing import upstream_bedrock
from legion_core.testing.upstreams import Answer, Insert, Raw, Recorded, Say, Served, Upstream, error
from tests.support import aio

LIMITS = Limits(connect_s=5, first_event_s=10, idle_s=10, answer_s=10)
KEY_ID, SECRET, SESSION, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "session-token/+=", "eu-central-1"
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
REQUEST = Request(id="r1", messages=(Message(role="user", content=(TextBlock(text="Hi ü"),)),))


def is_signed(request: Recorded) -> bool:
    """Signature Version 4 computed anew from the AWS documentation, over what came over the wire."""
    algorithm, _, rest = request.headers.get("authorization", "").partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if algorithm != "AWS4-HMAC-SHA256" or "Credential" not in fields:
        return False
    key_id, *scope = fields["Credential"].split("/")
    day, region, service, end = scope
    names = fields["SignedHeaders"].split(";")
    path, _, query = request.path.partition("?")
    # Each piece of the path is encoded once more: what came as %3A is signed as %253A.
    path = path.replace("%", "%25")
    signed = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names)
    digest = hashlib.sha256(request.body).hexdigest()
    query = "&".join(sorted(query.split("&")))
    whole = "\n".join([request.method, path, query, signed, ";".join(names), digest])
    stamp = request.headers["x-amz-date"]
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", stamp, "/".join(scope), hashlib.sha256(whole.encode()).hexdigest()]
    )
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, service, end):
        key = hmac.digest(key, part.encode(), "sha256")
    good = hmac.digest(key, to_sign.encode(), "sha256").hex()
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(names)
    assert (key_id, region, service, end) == (KEY_ID, REGION, "bedrock", "aws4_request")
    return hmac.compare_digest(good, fields["Signature"])


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine no AWS tool was ever used on."""
    import os

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture
def aws(no_aws: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A profile with a key, as `aws configure` leaves it."""
    (tmp_path / "credentials").write_text(
        f"[default]\naws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET}\naws_session_token={SESSION}\n",
        encoding="utf-8",
    )
    (tmp_path / "config").write_text(f"[default]\nregion={REGION}\n", encoding="utf-8")


async def ask(provider: Bedrock, model: str = CLAUDE, request: Request = REQUEST) -> list[Chunk]:
    async with provider.stream(request, model) as chunks:
        return [chunk async for chunk in chunks]


@pytest.mark.usefixtures("aws")
def test_each_request_carries_a_good_signature_of_its_own_bytes() -> None:
    async def main() -> None:
        async with Upstream("bedrock", check=is_signed, models=(Served(CLAUDE),)) as upstream:
            provider = Bedrock("box", upstream.base_url, SystemClock(), limits=LIMITS)
            assert (await provider.probe()).is_ok
            assert isinstance((await ask(provider))[-1], Finished)
            assert "%3A" in upstream.questions[0].path
            headers = upstream.questions[0].headers
            assert headers["x-amz-security-token"] == SESSION
            assert SECRET not in str(headers)
            await provider.aclose()

    aio.run(main())


@pytest.mark.usefixtures("aws")
def test_a_signature_that_is_not_good_is_refused_by_the_fake() -> None:
    """The check above can fail."""

    async def main() -> None:
        async with Upstream("bedrock", check=is_signed) as upstream:
            provider = Bedrock("box", upstream.base_url, SystemClock(), api_key="bearer", limits=LIMITS)
            with pytest.raises(BadCredentials):
                await ask(provider)
            await provider.aclose()

    aio.run(main())


def test_a_key_of_the_environment_goes_before_a_profile(aws: None, no_aws: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        no_aws.setenv("AWS_BEARER_TOKEN_BEDROCK", "key-of-the-environment")
        async with Upstream("bedrock", key="key-of-the-environment") as upstream:
            provider = Bedrock("box", upstream.base_url, SystemClock(), limits=LIMITS)
            assert isinstance((await ask(provider))[-1], Finished)
            await provider.aclose()

    aio.run(main())


class Roles(BaseHTTPRequestHandler):
    """The server of a container's role, as ECS and EKS have one."""

    def do_GET(self) -> None:
        told = {
            "AccessKeyId": KEY_ID, "SecretAccessKey": SECRET, "Token": SESSION, "Expiration": "2099-01-01T00:00:00Z",
        }  # fmt: skip
        content = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


def test_where_credentials_are_asked_for_is_recorded_and_blocked_like_any_host(
    no_aws: pytest.MonkeyPatch,
) -> None:
    """The library's own connections are no way around the record."""
    roles = ThreadingHTTPServer(("127.0.0.1", 0), Roles)
    thread = threading.Thread(target=roles.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    port = roles.server_address[1]
    no_aws.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{port}/role")
    no_aws.setenv("AWS_DEFAULT_REGION", REGION)

    async def main() -> None:
        async with Upstream("bedrock") as upstream:
            provider = Bedrock("signer", upstream.base_url, SystemClock(), limits=LIMITS)
            GATE.set(blocked=("127.0.0.1",))
            sign = AwsSign("signer", "bedrock-runtime.eu-central-1.amazonaws.com")
            with pytest.raises(Blocked):
                await sign("POST", "https://bedrock-runtime.eu-central-1.amazonaws.com/x", b"{}")
            (refused,) = [row for row in CONTACTS.take() if row.by == "signer" and row.port == port]
            assert (refused.count, refused.refused, refused.purpose) == (0, 1, "sign-in")
            GATE.set()
            assert isinstance((await ask(provider))[-1], Finished)
            (row,) = [row for row in CONTACTS.take() if row.by == "signer" and row.port == port]
            assert (row.host, row.purpose, row.count) == ("127.0.0.1", "sign-in", 1)
            assert row.received_bytes > 100
            await provider.aclose()

    try:
        aio.run(main())
    finally:
        GATE.set()
        roles.shutdown()
        thread.join()
        roles.server_close()


@pytest.mark.usefixtures("no_aws")
def test_no_credentials_and_no_region_are_told_before_anything_is_sent(
    no_aws: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with Upstream("bedrock") as upstream:
            provider = Bedrock("box", upstream.base_url, SystemClock(), limits=LIMITS)
            with pytest.raises(BadCredentials, match="AWS credentials"):
                await ask(provider)
            no_aws.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
            no_aws.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
            with pytest.raises(Refused, match="region"):
                await ask(provider)
            probe = await provider.probe()
            assert not probe.is_ok
            assert "amazonaws.com" in probe.why
            assert upstream.requests == []
            await provider.aclose()

    aio.run(main())


def test_where_the_library_is_missing_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "botocore.session", None)

    async def main() -> None:
        async with Upstream("bedrock") as upstream:
            provider = Bedrock("box", upstream.base_url, SystemClock(), limits=LIMITS)
            probe = await provider.probe()
            assert ".[bedrock]" in probe.why
            await provider.aclose()
            keyed = Bedrock("box", upstream.base_url, SystemClock(), api_key="k", limits=LIMITS)
            assert isinstance((await ask(keyed))[-1], Finished)
            await keyed.aclose()

    aio.run(main())


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1"),
        ("bedrock.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime-fips.us-east-2.amazonaws.com:443", "us-east-2"),
        ("vpce-0a1-b2.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com", "ap-southeast-2"),
        ("127.0.0.1:8080", ""),
        ("proxy.example", ""),
    ],
)
def test_an_address_names_its_region(host: str, region: str) -> None:
    assert region_in(host) == region


def test_a_model_had_through_regions_only_is_asked_by_its_profile() -> None:
    async def main() -> None:
        models = (Served(CLAUDE), Served("amazon.titan-text-lite-v1"))
        async with Upstream("bedrock", models=models) as upstream:
            configured = (ModelOffer(id=CLAUDE, context=1000),)
            provider = Bedrock(
                "box", upstream.base_url, SystemClock(), api_key="k", models=configured, limits=LIMITS
            )
            offers = {offer.id: offer for offer in (await provider.probe()).models}
            assert set(offers) == {CLAUDE, f"eu.{CLAUDE}", "amazon.titan-text-lite-v1"}
            assert offers[CLAUDE].context == 1000
            assert "thinking" in offers[f"eu.{CLAUDE}"].capabilities
            await ask(provider, CLAUDE)
            assert upstream.questions[-1].path.startswith(f"/model/eu.{CLAUDE.replace(':', '%3A')}/")
            await provider.aclose()

    aio.run(main())


def test_a_group_of_regions_in_front_of_a_name_changes_nothing() -> None:
    assert canonical(f"us.{CLAUDE}") == canonical(f"global.{CLAUDE}") == canonical(CLAUDE) == CLAUDE
    assert canonical("us-gov.amazon.nova-pro-v1:0") == "amazon.nova-pro-v1:0"
    assert canonical("user.model") == "user.model"


@pytest.mark.parametrize(
    ("name", "message", "kind"),
    [
        ("throttlingException", "Too many requests, wait 3 seconds", RateLimited),
        ("serviceUnavailableException", "later", Overloaded),
        ("internalServerException", "oops", Unavailable),
        ("modelStreamErrorException", "the model stopped", StreamBroken),
        ("modelTimeoutException", "too slow", TimedOut),
        ("validationException", "wrong field", Malformed),
        ("validationException", "Input is too long for requested model.", ContextTooLong),
        ("somethingNewException", "what", StreamBroken),
    ],
)
def test_an_exception_in_a_stream_is_told_by_its_class(
    name: str, message: str, kind: type[ProviderError]
) -> None:
    async def main() -> None:
        async with Upstream("bedrock") as upstream:
            said = upstream_bedrock.exception(name, message)
            upstream.will(Answer(("a", "b", "c"), fault=Say(3, said)))
            provider = Bedrock("box", upstream.base_url, SystemClock(), api_key="k", limits=LIMITS)
            with pytest.raises(kind) as caught:
                await ask(provider)
            assert message[:8] in caught.value.message
            await provider.aclose()

    aio.run(main())


@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        (error("bedrock", 429, "", "Too many tokens, please wait before trying again."), RateLimited),
        (error("bedrock", 403, "", "The security token included in the request is invalid."), BadCredentials),
        (error("bedrock", 424, "", "the model failed"), Unavailable),
        (error("bedrock", 404, "", "no such model"), Refused),
        (error("bedrock", 400, "", "prompt is too long: 250000 tokens > 200000 maximum"), ContextTooLong),
        (error("bedrock", 503, "", "busy"), Overloaded),
        (Raw(400, b'{"message": "Content filtered"}'), Malformed),
    ],
)
def test_a_refusal_is_told_by_its_status_and_words(plan: Any, kind: type[ProviderError]) -> None:
    async def main() -> None:
        async with Upstream("bedrock") as upstream:
            upstream.will(plan)
            provider = Bedrock("box", upstream.base_url, SystemClock(), api_key="k", limits=LIMITS)
            with pytest.raises(kind):
                await ask(provider)
            await provider.aclose()

    aio.run(main())


def test_thinking_comes_signed_or_encrypted_and_goes_back_as_it_came() -> None:
    async def main() -> None:
        hidden = upstream_bedrock.event(
            "contentBlockDelta", {"contentBlockIndex": 9, "delta": upstream_bedrock.redacted(b"\x00secret")}
        )
        async with Upstream("bedrock") as upstream:
            upstream.will(Answer(("Four.",), thinking=("2+", "2"), cached_tokens=11, fault=Insert(1, hidden)))
            provider = Bedrock("box", upstream.base_url, SystemClock(), api_key="k", limits=LIMITS)
            chunks = await ask(provider)
            thoughts = [chunk for chunk in chunks if isinstance(chunk, ThinkingDelta)]
            assert [thought.signature for thought in thoughts if thought.signature] == [
                "redacted:AHNlY3JldA==",
                "sig-1",
            ]
            last = chunks[-1]
            assert isinstance(last, Finished)
            assert (last.usage.input_tokens, last.usage.cache_read_tokens) == (7, 11)
            blocks = (
                ThinkingBlock(text="", signature="redacted:AHNlY3JldA==", origin="box"),
                ThinkingBlock(text="2+2", signature="sig-1", origin="box"),
                TextBlock(text="Four."),
            )
            turn = (*REQUEST.messages, Message(role="assistant", content=blocks), *REQUEST.messages)
            await ask(provider, request=Request(id="r2", messages=turn))
            sent = upstream.questions[-1].json["messages"][1]["content"]
            assert sent[0] == {"reasoningContent": {"redactedContent": "AHNlY3JldA=="}}
            assert sent[1]["reasoningContent"]["reasoningText"] == {"text": "2+2", "signature": "sig-1"}
            await provider.aclose()

    aio.run(main())


def test_a_guardrail_ends_an_answer_as_filtered_content() -> None:
    async def main() -> None:
        async with Upstream("bedrock") as upstream:
            upstream.will(Answer(("I may not.",), stop="guardrail_intervened"))
            provider = Bedrock("box", upstream.base_url, SystemClock(), api_key="k", limits=LIMITS)
            last = (await ask(provider))[-1]
            assert isinstance(last, Finished)
            assert last.stop_reason == "content_filter"
            upstream.will(Answer(("x",), stop="malformed_tool_use"))
            with pytest.raises(Malformed):
                await ask(provider)
            await provider.aclose()

    aio.run(main())
