"""Where an instance belongs, and how one is made. Tier rules: seed."""

import sys
from typing import get_args

import pytest

from legion_core.gateway.providers.registry import infer_tier, kinds, make
from legion_core.gateway.types import Tier
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import ConfigError
from legion_core.kernel.settings_schema import KindWord


@pytest.mark.parametrize(
    ("kind", "base_url", "explicit", "tier"),
    [
        ("ollama", "http://127.0.0.1:11434", "", Tier.LOCAL),
        ("ollama", "http://localhost:11434", "", Tier.LOCAL),
        ("ollama", "http://[::1]:11434", "", Tier.LOCAL),
        ("ollama", "http://127.8.9.1:11434", "", Tier.LOCAL),
        ("ollama", "http://10.0.0.7:11434", "", Tier.DIRECT),
        ("ollama", "http://127.0.0.1.evil.example:1", "", Tier.DIRECT),
        ("ollama", "", "", Tier.LOCAL),
        ("vllm", "http://gpu-box:8000/v1", "", Tier.DIRECT),
        ("vllm", "", "", Tier.FLEET),
        ("openai", "", "", Tier.FRONTIER),
        ("openai", "https://api.openai.com/v1", "", Tier.FRONTIER),
        ("openai", "http://127.0.0.1:9001/v1", "", Tier.LOCAL),
        ("openai", "http://gpu-box:9001/v1", "", Tier.DIRECT),
        ("anthropic", "https://api.anthropic.com", "", Tier.FRONTIER),
        ("anthropic", "https://proxy.example/claude", "", Tier.CLOUD),
        ("openai", "https://models.example/v1", "", Tier.CLOUD),
        ("openai", "http://192.168.1.9:1234/v1", "", Tier.DIRECT),
        ("openai", "http://[fd00::7]:1234/v1", "", Tier.DIRECT),
        ("openai", "http://mac.local:1234/v1", "", Tier.DIRECT),
        ("openai", "http://8.8.8.8/v1", "", Tier.CLOUD),
        ("openai", "http://127.0.0.1:9001/v1", "cloud", Tier.CLOUD),
        ("llamacpp", "", "", Tier.LOCAL),
        ("unheard-of", "", "", Tier.FRONTIER),
        ("openai", "http://[broken", "", Tier.DIRECT),
        ("gemini", "", "", Tier.CLOUD),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta", "", Tier.CLOUD),
        ("vertex", "https://aiplatform.googleapis.com/v1/projects/p/locations/global", "", Tier.CLOUD),
        ("bedrock", "https://bedrock-runtime.eu-central-1.amazonaws.com", "", Tier.CLOUD),
        ("bedrock", "http://127.0.0.1:9/", "", Tier.LOCAL),
        ("azure_foundry", "https://r.openai.azure.com/openai/v1", "", Tier.CLOUD),
        ("mlx", "", "", Tier.LOCAL),
        ("mlx", "http://mac.local:8080/v1", "", Tier.DIRECT),
    ],
)
def test_a_tier_is_what_was_said_else_the_address_else_the_family(
    kind: str, base_url: str, explicit: str, tier: Tier
) -> None:
    assert infer_tier(kind, base_url, explicit) is tier


ADDRESSES = {
    "vertex": "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4",
    "azure_foundry": "https://resource.openai.azure.com",
}


def test_every_family_can_be_made_at_its_own_address() -> None:
    for kind in kinds():
        base_url = ADDRESSES.get(kind.kind, "")
        provider = make("box", kind.kind, SystemClock(), base_url=base_url, api_key="sk-0123456789")
        assert (provider.name, provider.kind) == ("box", kind.kind)
        assert kind.title
        assert Tier.parse(kind.tier) is infer_tier(kind.kind, "")


def test_a_family_without_an_address_of_its_own_shows_how_one_looks() -> None:
    for kind in kinds():
        if not kind.default_base_url:
            assert kind.address_hint
            if kind.kind != "mlx":  # which then runs in a process of ours
                with pytest.raises(ConfigError, match="base_url"):
                    make("box", kind.kind, SystemClock(), api_key="sk-0123456789")


def test_the_settings_know_every_family_of_the_table_and_the_built_in_one() -> None:
    assert set(get_args(KindWord)) == {kind.kind for kind in kinds()} | {"llamacpp"}


def test_an_unknown_family_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="smoke"):
        make("box", "smoke", SystemClock())


def test_the_table_of_families_imports_no_adapter_and_no_client() -> None:
    """Read in a fresh interpreter: this one has imported everything already."""
    import subprocess

    code = (
        "import sys, legion_core.gateway.providers.registry\n"
        "late = [name for name in sys.modules if name == 'httpx' or name.startswith('legion_core.gateway.providers.')]\n"
        "print(*sorted(late))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "httpx" not in found
    assert not [
        name
        for name in found
        if name.rpartition(".")[2]
        in {"openai", "anthropic", "ollama", "llamacpp", *(kind.kind for kind in kinds())}
    ]
