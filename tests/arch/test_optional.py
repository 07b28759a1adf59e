"""What is not used can be left out: other layers from disk, adapters from memory."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.arch.source import ROOT

# A whole gateway over a real journal answers one question from a scripted model.
PROGRAM = """
import asyncio, sys
from contextlib import aclosing
from pathlib import Path
from legion_core.gateway.types import Message, Request, TextBlock, TextDelta
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import open_gateway
from legion_core.testing.scripted import ScriptedProvider, say

async def main():
    async with open_gateway(Path(sys.argv[1])) as under_test:
        under_test.put(ScriptedProvider("one", say("hello there")))
        request = Request(id="r1", messages=(Message(role="user", content=(TextBlock(text="hi"),)),))
        async with under_test.gateway.stream(request, LOCAL_OWNER) as events:
            print("".join([event.text async for event in events if isinstance(event, TextDelta)]))
    print(*sorted(name for name in sys.modules if name.startswith("legion_core.")))

asyncio.run(main())
"""
GATEWAY_NEEDS = ("__init__.py", "kernel", "storage", "workers", "gateway", "testing")


def _run(program: str, folder: Path, *words: str) -> list[str]:
    # Isolated from the checkout, which an editable install puts on the path.
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    run = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.mark.requirement("whole.layers-optional")
def test_the_gateway_answers_where_no_other_layer_is_on_the_disk(tmp_path: Path) -> None:
    copy = tmp_path / "legion_core"
    copy.mkdir()
    for name in GATEWAY_NEEDS:
        source = ROOT / "legion_core" / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    answer, modules = _run(PROGRAM, tmp_path, str(tmp_path / "journal.db"))
    assert answer == "hello there"
    assert {name.split(".")[1] for name in modules.split()} <= {*GATEWAY_NEEDS}


@pytest.mark.requirement("provider.install-only-used")
def test_an_adapter_is_imported_when_it_is_first_used() -> None:
    program = "import sys, legion_core.gateway.providers.registry; print(*sys.modules)"
    (modules,) = _run(program, ROOT)
    wires = {path.stem for path in (ROOT / "legion_core" / "gateway" / "providers").glob("*_wire.py")}
    assert wires, "the adapters' files are called otherwise now"
    imported = {
        name.rpartition(".")[2]
        for name in modules.split()
        if name.startswith("legion_core.gateway.providers")
    }
    assert imported & wires == set()
    assert "httpx" not in modules.split()
