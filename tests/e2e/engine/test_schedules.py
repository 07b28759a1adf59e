"""Schedules over several processes that are killed, and the command line that keeps them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.surfaces.nodes import running_node
from tests.e2e.cli.command import ROOT, legion


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.requirement("engine.interval-lock")
def test_nodes_killed_at_random_decide_each_moment_of_their_days_once(count_factor: int) -> None:
    days, kills = 4 * count_factor, 2 * count_factor
    ran = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.schedules_year", "--days", str(days), "--kills", str(kills),
            "--seed", "7", "--json",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)
    assert found["kills"] >= 1
    assert found["moments"] > 100 * days
    assert found["lost"] == found["doubled"] == found["strange"] == 0


@pytest.fixture(params=["alone", "node"])
def home(request: pytest.FixtureRequest, legion_home: Path) -> Iterator[Path]:
    """A home with a running node, and one without: commands cannot tell."""
    if request.param == "alone":
        yield legion_home
        return
    with running_node(legion_home, {"HOOK_SECRET": "s3cret"}):
        yield legion_home


@pytest.mark.slow
def test_the_command_line_keeps_schedules(home: Path) -> None:
    added = legion(
        home, "schedule", "add", "morning", "--cron", "0 9 * * MON-FRI", "--zone", "Europe/Berlin",
        "log.message.write", "message:Good morning.", "--json",
    )  # fmt: skip
    assert added.status == 0
    assert (added.data["state"], added.data["args"]) == ("active", {"message": "Good morning."})
    assert added.data["words"] == "every weekday at 09:00, Europe/Berlin"
    assert len(added.data["next"]) == 5
    assert legion(home, "schedule", "list", "--json").data[0]["name"] == "morning"
    assert legion(home, "schedule", "pause", "morning", "--json").data["state"] == "paused"
    assert legion(home, "schedule", "resume", "morning", "--json").data["state"] == "active"
    ran = legion(home, "schedule", "run", "morning", "--json")
    assert ran.data["status"] == "started"
    (row,) = legion(home, "schedule", "runs", "morning", "--json").data
    assert row["task"] == ran.data["task"]
    shown = legion(home, "schedule", "show", "morning")
    assert "every weekday at 09:00" in shown.out
    assert legion(home, "schedule", "remove", "morning", "--json").data == {"removed": "morning"}
    gone = legion(home, "schedule", "show", "morning", "--json")
    assert (gone.status, gone.error["code"]) == (1, "not_found")
    wrong = legion(home, "schedule", "add", "x", "--every", "60", "no.such.task", "--json")
    assert (wrong.status, wrong.error["code"]) == (1, "not_found")
    usage = legion(home, "schedule", "add", "x", "log.message.write", "--json")
    assert usage.status == 2


@pytest.mark.slow
def test_the_command_line_keeps_webhooks(home: Path) -> None:
    added = legion(
        home, "hook", "add", "deploy", "log.message.write", "message:{{ body.event }}", "--secret", "env://HOOK_SECRET",
        "--json", HOOK_SECRET="s3cret",
    )  # fmt: skip
    assert added.status == 0, added.out
    assert (added.data["path"], added.data["signing_secret"]) == ("/hooks/deploy", "")
    assert legion(home, "hook", "list", "--json").data[0]["target"] == "log.message.write"
    assert legion(home, "hook", "pause", "deploy", "--json").data["state"] == "paused"
    assert legion(home, "hook", "resume", "deploy", "--json").data["state"] == "active"
    assert legion(home, "hook", "deliveries", "deploy", "--json").data == []
    assert "/hooks/deploy" in legion(home, "hook", "show", "deploy").out
    assert legion(home, "hook", "remove", "deploy", "--json").data == {"removed": "deploy"}
    assert legion(home, "hook", "remove", "deploy", "--json").status == 1
