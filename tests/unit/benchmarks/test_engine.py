"""The comparison of task engines: its arithmetic, its own arm, and the ground it puts all arms on."""

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmarks import engine, engine_hops, engine_peers
from legion_core.storage.sqlite import Durability

HOLDS = "import os, tempfile, time; f = tempfile.TemporaryFile(); b = time.monotonic(); {}(f.fileno()); print(time.monotonic() - b)"


def _shot(done_per_s: float, peer: str = "") -> dict[str, object]:
    return {
        "peer": peer,
        "done_per_s": done_per_s,
        "accept_per_s": 2 * done_per_s,
        "cpu_us": 7.0,
        "latencies_s": [0.001, 0.002],
    }


def test_a_ratio_is_taken_round_by_round() -> None:
    figures = engine.figures_of(
        {
            "power": [_shot(100), _shot(300), _shot(50)],
            "huey": [_shot(10, "huey 3"), _shot(10, "huey 3"), _shot(10, "huey 3")],
        }
    )
    assert figures["over_huey"] == 10.0
    assert figures["over_huey_least"] == 5.0
    assert figures["power_jobs_per_s"] == 100
    assert figures["huey_is"] == "huey 3"
    assert figures["power_p99_ms"] == 2.0


def test_what_is_slower_than_ours_is_all_there_is_to_compare_with() -> None:
    assert not any(name.startswith("over_") for name in engine.figures_of({"power_one": [_shot(1)]}))


@pytest.mark.parametrize("name", engine.OURS)
def test_an_arm_counts_every_effect(tmp_path: Path, name: str) -> None:
    found = asyncio.run(engine.measure(name, tmp_path, jobs=30, probes=2))
    assert (tmp_path / "effects").stat().st_size == 33
    assert found["done_per_s"] > 0
    assert len(found["latencies_s"]) == 2


@pytest.mark.skipif(
    shutil.which("cc") is None or sys.platform != "linux", reason="needs a C compiler and Linux"
)
@pytest.mark.parametrize("call", ["os.fsync", "os.fdatasync"])
def test_the_shim_holds_every_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr(engine_peers, "CACHE", tmp_path)
    ground = engine_peers.prepare(with_peers=False)
    assert ground.missing == []
    command = [sys.executable, "-c", HOLDS.format(call)]
    took = subprocess.run(
        command, env=engine_peers.held(ground.shim, 30_000), capture_output=True, text=True, check=True
    )
    assert float(took.stdout) >= 0.03


def test_what_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_peers, "CACHE", tmp_path)
    monkeypatch.setattr(engine_peers, "SERVERS", ())
    monkeypatch.setenv("PATH", "")
    ground = engine_peers.prepare()
    assert (ground.shim, ground.python, ground.server) == (None, None, None)
    assert [sentence.partition(",")[0] for sentence in ground.missing] == [
        "No C compiler",
        "No uv",
        "No RabbitMQ: install rabbitmq-server (apt-get install rabbitmq-server).",
    ]
    assert engine_peers.held(ground.shim, 4000) == dict(os.environ)


@pytest.mark.parametrize("durability", engine_hops.CLASSES)
def test_every_hop_of_a_chain_is_timed(tmp_path: Path, durability: Durability) -> None:
    found = asyncio.run(engine_hops.measure(tmp_path, durability, hops=4, runs=2))
    assert len(found["delays_s"]) == 8
    assert min(found["delays_s"]) > 0


def test_a_hop_is_set_against_the_fsync_of_its_own_round() -> None:
    shots = {
        "power": [
            {"delays_s": [0.005, 0.006, 0.007], "cpu_us": 1.0, "fsync_ms": 4.0},
            {"delays_s": [0.012, 0.012, 0.012], "cpu_us": 3.0, "fsync_ms": 10.0},
            {"delays_s": [0.020, 0.020, 0.020], "cpu_us": 2.0, "fsync_ms": 4.0},
        ]
    }
    figures = engine_hops.figures_of(shots)
    assert figures["power_hop_over_fsync"] == 1.5
    assert figures["power_hop_p50_ms"] == 12.0
    assert figures["power_cpu_us"] == 2


def test_no_thread_is_left_by_an_arm(tmp_path: Path) -> None:
    before = threading.active_count()
    asyncio.run(engine.measure("process", tmp_path, jobs=1, probes=0))
    assert threading.active_count() == before
