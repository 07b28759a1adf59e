"""The scripted engine and the native ones keep the same promises."""

from pathlib import Path

import pytest

from legion_core.testing.engines import ENGINE_NAMES, EngineName, bench
from legion_core.testing.worker_conformance import CHECKS, Check
from tests.support import aio

MARKS = {
    "fake": (),
    "xllamacpp": (pytest.mark.model,),
    "llama-cpp-python": (pytest.mark.model,),
    "mlx": (pytest.mark.model,),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS[name]) for name in ENGINE_NAMES])
def test_engine_keeps_the_promise(name: EngineName, check: Check, tmp_path: Path) -> None:
    found = bench(name, tmp_path)
    if isinstance(found, str):
        pytest.skip(found)
    aio.run(_run(check, found), bound_s=800)


async def _run(check: Check, found: object) -> None:
    await check(found)  # type: ignore[arg-type]
