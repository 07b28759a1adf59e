"""Azure Foundry: which door an address is, what a deployment is called, and who asks."""

import json

import pytest

from legion_core.gateway.providers.azure_foundry import AzureFoundry, door
from legion_core.gateway.providers.wire import Limits
from legion_core.gateway.types import Chunk, Finished, Message, ModelOffer, Params, Request, TextBlock
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import BadCredentials, Filtered
from legion_core.testing.upstreams import Raw, Served, Upstream
from tests.support import aio
from tests.support.loopback import Asked, answering

LIMITS = Limits(connect_s=5, first_event_s=10, idle_s=10, answer_s=10)
KEY = "azure-key-0123456789abcdef"
REQUEST = Request(
    id="r1",
    messages=(Message(role="user", content=(TextBlock(text="Hi"),)),),
    params=Params(max_tokens=50, top_k=4),
)


async def ask(provider: AzureFoundry, deployment: str = "my chat/1") -> list[Chunk]:
    async with provider.stream(REQUEST, deployment) as chunks:
        return [chunk async for chunk in chunks]


@pytest.mark.parametrize(
    ("address", "base_url", "path"),
    [
        ("https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1", "/chat/completions"),
        (
            "https://r.openai.azure.com/openai/v1/",
            "https://r.openai.azure.com/openai/v1",
            "/chat/completions",
        ),
        (
            "https://r.openai.azure.com/openai/v1?api-version=preview",
            "https://r.openai.azure.com/openai/v1",
            "/chat/completions?api-version=preview",
        ),
        (
            "https://r.openai.azure.com/?api-version=2024-10-21",
            "https://r.openai.azure.com",
            "/openai/deployments/d%2F1/chat/completions?api-version=2024-10-21",
        ),
        # As the portal shows it.
        (
            "https://r.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01-preview",
            "https://r.openai.azure.com",
            "/openai/deployments/d%2F1/chat/completions?api-version=2025-01-01-preview",
        ),
        (
            "https://r.services.ai.azure.com/models",
            "https://r.services.ai.azure.com/models",
            "/chat/completions?api-version=2024-05-01-preview",
        ),
    ],
)
def test_an_address_is_one_of_three_doors(address: str, base_url: str, path: str) -> None:
    found = door(address)
    assert found.base_url == base_url
    assert found.path("d/1", "/chat/completions") == path


@pytest.mark.parametrize(
    ("behind", "path", "bound"),
    [
        ("/openai/v1", "/openai/v1/chat/completions", "max_completion_tokens"),
        (
            "?api-version=2024-10-21",
            "/openai/deployments/my%20chat%2F1/chat/completions?api-version=2024-10-21",
            "max_completion_tokens",
        ),
        ("/models", "/models/chat/completions?api-version=2024-05-01-preview", "max_tokens"),
    ],
)
def test_a_question_goes_through_its_door_with_the_key_in_azures_own_header(
    behind: str, path: str, bound: str
) -> None:
    async def main() -> None:
        async with Upstream("openai", key=KEY) as upstream:
            provider = AzureFoundry(
                "box", upstream.origin + behind, SystemClock(), api_key=KEY, limits=LIMITS
            )
            assert isinstance((await ask(provider))[-1], Finished)
            asked = upstream.questions[0]
            assert asked.path == path
            assert asked.headers["api-key"] == KEY
            assert "authorization" not in asked.headers
            assert asked.json["model"] == "my chat/1"
            assert asked.json[bound] == 50
            assert "top_k" not in asked.json
            await provider.aclose()

    aio.run(main())


def test_deployments_are_offered_by_their_own_names() -> None:
    async def main() -> None:
        async with Upstream("openai", key=KEY, models=(Served("prod"), Served("cheap"))) as upstream:
            mine = (ModelOffer(id="prod", context=5),)
            provider = AzureFoundry(
                "box", upstream.origin, SystemClock(), api_key=KEY, models=mine, limits=LIMITS
            )
            probe = await provider.probe()
            assert probe.is_ok
            assert {offer.id: offer.context for offer in probe.models} == {"prod": 5, "cheap": 128_000}
            await provider.aclose()
            wrong = AzureFoundry(
                "box", upstream.origin, SystemClock(), api_key="wrong-key-000", limits=LIMITS
            )
            probe = await wrong.probe()
            assert not probe.is_ok
            assert "key" in probe.why
            assert "wrong-key-000" not in probe.why
            await wrong.aclose()

    aio.run(main())


def test_a_resource_that_hides_its_deployments_is_still_tested() -> None:
    def answer(asked: Asked) -> tuple[int, bytes]:
        if asked.path.startswith("/openai/deployments"):
            return 404, b'{"error": {"code": "404", "message": "Resource not found"}}'
        if asked.headers.get("api-key") != KEY:
            return 401, b'{"error": {"code": "401", "message": "Access denied"}}'
        return 200, b'{"object": "list", "data": []}'

    with answering(answer) as server:

        async def main() -> None:
            mine = (ModelOffer(id="prod"),)
            for key, models, is_ok, word in (
                (KEY, mine, True, "does not tell"),
                (KEY, (), True, "add their names"),
                ("other-key-0", mine, False, "key"),
            ):
                provider = AzureFoundry(
                    "box", server.origin, SystemClock(), api_key=key, models=models, limits=LIMITS
                )
                probe = await provider.probe()
                assert (probe.is_ok, probe.models) == (is_ok, models if is_ok else ())
                assert word in probe.why
                await provider.aclose()

        aio.run(main())


def test_a_filtered_prompt_is_told_as_such() -> None:
    body = {
        "error": {
            "message": "The response was filtered due to the prompt triggering Azure's content policy.",
            "code": "content_filter",
            "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation"},
        }
    }

    async def main() -> None:
        async with Upstream("openai") as upstream:
            upstream.will(Raw(400, json.dumps(body).encode()))
            provider = AzureFoundry("box", upstream.origin, SystemClock(), api_key=KEY, limits=LIMITS)
            with pytest.raises(Filtered):
                await ask(provider)
            await provider.aclose()

    aio.run(main())


@pytest.fixture
def no_azure(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Only a managed identity may answer: neither the environment nor anyone's login."""
    import os

    for name in [name for name in os.environ if name.startswith(("AZURE_", "IDENTITY_", "MSI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    return monkeypatch


def test_without_a_key_the_machines_identity_asks_and_keeps_its_token(
    no_azure: pytest.MonkeyPatch,
) -> None:
    def issue(asked: Asked) -> tuple[int, bytes]:
        assert asked.headers["x-identity-header"] == "proof"
        assert "cognitiveservices.azure.com" in asked.path
        return 200, json.dumps(
            {
                "access_token": "entra.token",
                "expires_on": "4102444800",
                "resource": "https://cognitiveservices.azure.com",
                "token_type": "Bearer",
            }
        ).encode()

    with answering(issue) as identity:
        no_azure.setenv("IDENTITY_ENDPOINT", identity.origin + "/msi/token")
        no_azure.setenv("IDENTITY_HEADER", "proof")

        async def main() -> None:
            async with Upstream("openai", key="entra.token") as upstream:
                provider = AzureFoundry("box", upstream.origin, SystemClock(), limits=LIMITS)
                for _ in range(3):
                    assert isinstance((await ask(provider))[-1], Finished)
                assert "api-key" not in upstream.questions[0].headers
                await provider.aclose()
                await provider.aclose()

        aio.run(main())
        assert len(identity.asked) == 1


@pytest.mark.allow_log("azure")
def test_an_identity_that_is_refused_is_told_before_anything_is_sent(no_azure: pytest.MonkeyPatch) -> None:
    with answering(lambda _: (400, b'{"error": "invalid_request"}')) as identity:
        no_azure.setenv("IDENTITY_ENDPOINT", identity.origin + "/msi/token")
        no_azure.setenv("IDENTITY_HEADER", "proof")

        async def main() -> None:
            async with Upstream("openai") as upstream:
                provider = AzureFoundry("box", upstream.origin, SystemClock(), limits=LIMITS)
                with pytest.raises(BadCredentials) as caught:
                    await ask(provider)
                assert "az login" in caught.value.sentence()
                assert upstream.requests == []
                await provider.aclose()

        aio.run(main())


def test_where_the_library_is_missing_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "azure.identity", None)

    async def main() -> None:
        async with Upstream("openai") as upstream:
            provider = AzureFoundry("box", upstream.origin, SystemClock(), limits=LIMITS)
            assert ".[azure]" in (await provider.probe()).why
            await provider.aclose()

    aio.run(main())
