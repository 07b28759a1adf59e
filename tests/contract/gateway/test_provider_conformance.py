"""Every provider passes the one conformance suite. Self-imposed: the failover relies on each of these."""

from pathlib import Path

import pytest

from legion_core.kernel.errors import Refused, Unsupported
from legion_core.testing.engines import bench as engine_bench
from legion_core.testing.engines import fake_command, starter_model
from legion_core.testing.fake_engine import Script, write_script
from legion_core.testing.provider_conformance import (
    CHECKS,
    Check,
    Power,
    ask,
    checks_for,
    collect,
    stops_at_the_bound,
    text_of,
)
from tests.contract.gateway.benches import BENCHES, POWERS, mlx, native
from tests.support import aio

CASES = [
    pytest.param(name, check, id=f"{name}-{check.__name__}")
    for name, bench in BENCHES.items()
    for check in checks_for(POWERS[bench])
]


@pytest.mark.requirement("provider.contract")
@pytest.mark.requirement("provider.openai")
@pytest.mark.requirement("provider.anthropic")
@pytest.mark.requirement("provider.ollama")
@pytest.mark.requirement("provider.vllm")
@pytest.mark.requirement("provider.gemini")
@pytest.mark.requirement("provider.vertex")
@pytest.mark.requirement("provider.bedrock")
@pytest.mark.requirement("provider.azure-foundry")
@pytest.mark.parametrize(("name", "check"), CASES)
def test_a_provider_keeps_the_contract(name: str, check: Check) -> None:
    async def main() -> None:
        async with BENCHES[name]() as bench:
            assert bench.powers == POWERS[BENCHES[name]]
            await check(bench)

    aio.run(main())


def test_every_check_of_the_suite_is_run_by_some_bench() -> None:
    run = {check for bench in BENCHES.values() for check in checks_for(POWERS[bench])} | set(
        checks_for(NATIVE_POWERS)
    )
    assert run == {check for check, _ in CHECKS} | {stops_at_the_bound}


NATIVE_POWERS = frozenset({"break", "context", "prefix", "embed", "completions"})


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.parametrize("check", checks_for(NATIVE_POWERS), ids=lambda check: check.__name__)
@pytest.mark.allow_log("ended unexpectedly|was killed")
def test_the_native_engine_keeps_the_contract(check: Check) -> None:
    path = starter_model()
    if path is None:
        pytest.skip("the starter model is not installed")

    async def main() -> None:
        async with native(path) as bench:
            assert bench.powers == NATIVE_POWERS
            await check(bench)

    aio.run(main(), bound_s=800)


# A real death needs an answer that takes its time; the scripted child's are over at once.
SCRIPTED_CHILD = frozenset[Power]({"context", "prefix", "embed"})
MLX_POWERS = SCRIPTED_CHILD | {"break"}


@pytest.mark.requirement("provider.mlx")
@pytest.mark.parametrize("check", checks_for(SCRIPTED_CHILD), ids=lambda check: check.__name__)
def test_mlx_keeps_the_contract_over_a_scripted_child(check: Check, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    script = write_script(tmp_path / "script.json", Script())

    async def main() -> None:
        async with mlx(tmp_path, fake_command(script), 4096) as bench:
            bench.powers = SCRIPTED_CHILD
            assert bench.provider.kind == "mlx"
            await check(bench)

    aio.run(main())


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.parametrize("check", checks_for(MLX_POWERS), ids=lambda check: check.__name__)
@pytest.mark.allow_log("ended unexpectedly|was killed")
def test_mlx_keeps_the_contract_with_its_library(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = engine_bench("mlx", tmp_path)
    if isinstance(found, str):
        pytest.skip(found)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)

    async def main() -> None:
        async with mlx(Path(found.load.model_path), found.command, 1024) as bench:
            bench.powers = MLX_POWERS
            await check(bench)

    aio.run(main(), bound_s=800)


@pytest.mark.model
@pytest.mark.slow
def test_a_native_embedding_model_makes_vectors_and_refuses_to_chat() -> None:
    path = starter_model()
    if path is None:
        pytest.skip("the starter model is not installed")

    async def main() -> None:
        async with native(path) as bench:
            embedded = await bench.provider.embed("vectors", ("a cat", "a dog", "a cat"))
            assert len(embedded.vectors) == 3
            assert embedded.vectors[0] == pytest.approx(embedded.vectors[2], abs=1e-5)
            assert embedded.vectors[0] != pytest.approx(embedded.vectors[1], abs=1e-3)
            with pytest.raises(Unsupported):
                async with bench.provider.stream(ask(), "vectors"):
                    pass
            with pytest.raises(Refused):
                await bench.provider.load("nothing")

    aio.run(main(), bound_s=800)


@pytest.mark.model
@pytest.mark.slow
def test_a_native_answer_goes_on_exactly_behind_its_prefix() -> None:
    """At temperature 0 an answer cut anywhere and continued is the same answer."""
    path = starter_model()
    if path is None:
        pytest.skip("the starter model is not installed")

    async def main() -> None:
        async with native(path) as bench:
            question = ask("Write one sentence about the sea.", tokens=24)
            whole = text_of(await collect(bench, question))
            rest = text_of(await collect(bench, question, prefix=whole[: len(whole) // 2]))
            assert rest
            assert not rest.startswith(whole[: len(whole) // 2])
            assert await bench.provider.unload("starter")
            assert bench.provider.loaded == ()

    aio.run(main(), bound_s=800)
