"""Measures every promised figure and writes docs/figures.md: `python -m benchmarks.floors [--only ID]`.

Results are kept in .cache/floors.json as they come, so that a long run which was interrupted goes on where it
stopped; a floor measured at the present commit is not measured again unless it is asked for by name.
"""

import argparse
import json
import operator
import os
import platform
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = ROOT / "benchmarks" / "floors.toml"
STATE = ROOT / ".cache" / "floors.json"
PAGE = ROOT / "docs" / "figures.md"
LIMIT_S = 3600
CORPORA = (
    "- **curation**: the mix of the sessions was fixed before curation was written and is held by a test:",
    "  [curation-corpus.md](curation-corpus.md). At 50+ turns: user and system text 0.7 % of the tokens (bound 1.5 %),",
    "  tool results 86.5 % (70–90 %), thinking 10.2 % (15 %); naive is the full history resent; tokens are those of SmolLM2's",
    "  BPE; reduction is 1 − Σ sent / Σ naive over a bucket's requests; 100 seeds.",
)
COMPARE: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a floor and the bound it has to keep.

    `pattern` finds it in the printed lines of a benchmark that speaks to people; without it, it is read from the
    JSON of the last line.
    """

    name: str
    unit: str
    bound: str
    pattern: str = ""

    def is_kept(self, value: float) -> bool:
        """Whether `value` keeps the bound."""
        sign, limit = self.bound.split()
        return COMPARE[sign](value, float(limit))


@dataclass(frozen=True, slots=True)
class Floor:
    """A promise and the command that shows it."""

    id: str
    what: str
    command: tuple[str, ...]
    figures: tuple[Figure, ...]


def read_registry(path: Path = REGISTRY) -> tuple[Floor, ...]:
    """All floors, in their order."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Floor(
            each["id"],
            each["what"],
            tuple(each["command"]),
            tuple(Figure(**figure) for figure in each["figures"]),
        )
        for each in table["floor"]
    )


def read_state(path: Path) -> dict[str, dict[str, Any]]:
    """Results by floor; empty where there are none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write_state(path: Path, state: dict[str, dict[str, Any]]) -> None:
    """Replace the results in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(state, indent=1, ensure_ascii=False), encoding="utf-8")
    fresh.replace(path)


def commit() -> str:
    """The present commit, with a plus where files differ from it; nothing outside a repository."""
    asked = ["git", "-C", str(ROOT)]
    head = subprocess.run(
        [*asked, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False
    )
    dirty = subprocess.run(
        [*asked, "status", "--porcelain", "--", "legion_core", "app", "benchmarks"],
        capture_output=True,
        text=True,
        check=False,
    )
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def machine() -> str:
    """What the figures were measured on, in a few words."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(
            (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model
        )
    except OSError:
        pass
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{model}, {os.cpu_count()} cores, {system}, Python {platform.python_version()}"


@cache
def run_once(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """What a benchmark printed; floors that share a command share its run."""
    words = [sys.executable, "-m", *command]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=LIMIT_S, check=False)


def measure(floor: Floor) -> dict[str, Any]:
    """Run the floor's command and judge what it prints; never raises for a command that fails."""
    begun = time.perf_counter()
    load = os.getloadavg()[0]
    result: dict[str, Any] = {
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": commit(),
        "load": round(load, 2),
        "machine": machine(),
    }
    try:
        run = run_once(floor.command)
        result["figures"] = printed = read_figures(floor, run.stdout)
        if missing := [figure.name for figure in floor.figures if figure.name not in printed]:
            result["error"] = f"exit status {run.returncode}, no {', '.join(missing)}"
        elif run.returncode not in {0, 1}:  # 1 says that a bound was missed, perhaps of another floor
            result["error"] = f"exit status {run.returncode}"
    except (subprocess.TimeoutExpired, ValueError) as error:
        result["error"] = f"{type(error).__name__}: {error}"[:200]
    result["took_s"] = round(time.perf_counter() - begun, 1)
    return result


def read_figures(floor: Floor, printed: str) -> dict[str, Any]:
    """The figures in what a benchmark printed, and whatever else its JSON holds."""
    found: dict[str, Any] = {}
    lines = printed.strip().splitlines()
    if lines and lines[-1].startswith("{"):
        found = json.loads(lines[-1])
    for figure in floor.figures:
        if figure.pattern and (match := re.search(figure.pattern, printed)):
            found[figure.name] = float(match[1].replace(",", ""))
    return found


def is_kept(floor: Floor, result: dict[str, Any]) -> bool:
    """Whether every figure of the floor was measured and keeps its bound."""
    if "error" in result:
        return False
    return all(
        figure.name in result["figures"] and figure.is_kept(result["figures"][figure.name])
        for figure in floor.figures
    )


def render(floors: tuple[Floor, ...], state: dict[str, dict[str, Any]]) -> str:
    """The page of figures, as Markdown."""
    lines = [
        "# Figures",
        "",
        "Written by `make floors`; each row was measured by the command in [floors.toml](../benchmarks/floors.toml)",
        "at full count. A row says on which commit (`+`: with uncommitted changes), when, and how busy the machine was",
        "(load average over a minute, before the run). What could not be kept is shown like the rest.",
        "",
        "| floor | what | measured | bound | kept | date (UTC) | load | commit |",
        "| --- | --- | ---: | ---: | --- | --- | ---: | --- |",
    ]
    notes: list[str] = []
    machines: list[str] = []
    for floor in floors:
        result = state.get(floor.id)
        if result is None:
            lines.append(f"| {floor.id} | {floor.what} | not measured yet | | | | | |")
            continue
        if result["machine"] not in machines:
            machines.append(result["machine"])
        tail = f"{result['at']} | {result['load']} | {result['commit']} |"
        if "error" in result:
            lines.append(f"| {floor.id} | {floor.what} | failed: {result['error']} | | no | {tail}")
            continue
        for figure in floor.figures:
            value = result["figures"].get(figure.name)
            if value is None:  # promised since
                lines.append(f"| {floor.id} | {floor.what} | not measured yet | {figure.bound} | | | | |")
                continue
            kept = "yes" if figure.is_kept(value) else "**no**"
            lines.append(
                f"| {floor.id} | {floor.what} | {value:g} {figure.unit} | {figure.bound} | {kept} | {tail}"
            )
        named = {figure.name for figure in floor.figures}
        if rest := {name: value for name, value in result["figures"].items() if name not in named}:
            notes.append(f"- **{floor.id}**: " + ", ".join(f"{name} {value}" for name, value in rest.items()))
    if notes:
        lines += ["", "## Beside the figures", "", *notes]
    if machines:
        lines += ["", "## Machine", "", *(f"- {name}" for name in machines)]
    lines += ["", "## Corpora", "", *CORPORA]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if every floor that was asked for is kept, else 1."""
    parser = argparse.ArgumentParser(prog="benchmarks.floors", description=__doc__)
    parser.add_argument(
        "--only", metavar="ID[,ID]", help="measure these floors alone, even if they were measured already"
    )
    parser.add_argument("--list", action="store_true", help="list the floors and end")
    options = parser.parse_args(arguments)
    floors = read_registry()
    if options.list:
        print(*(f"{floor.id:22} {floor.what}" for floor in floors), sep="\n")
        return 0
    asked = options.only.split(",") if options.only else [floor.id for floor in floors]
    if unknown := set(asked) - {floor.id for floor in floors}:
        parser.error(f"no floor is called {', '.join(sorted(unknown))}; see --list")
    chosen = [floor for floor in floors if floor.id in asked]
    run_once.cache_clear()
    state = read_state(STATE)
    here = commit()
    for floor in chosen:
        done = state.get(floor.id)
        if (
            not options.only
            and done
            and done["commit"] == here
            and "error" not in done
            and not here.endswith("+")
        ):
            print(f"{floor.id}: measured already at this commit")
            continue
        print(f"{floor.id}: {floor.what} …", flush=True)
        result = measure(floor)
        # Read again: another floor may have been measured elsewhere meanwhile.
        state = {**read_state(STATE), floor.id: result}
        write_state(STATE, state)
        PAGE.write_text(render(floors, state), encoding="utf-8")
        shown = state[floor.id].get("error") or state[floor.id]["figures"]
        print(f"{floor.id}: {'kept' if is_kept(floor, state[floor.id]) else 'NOT KEPT'}: {shown}", flush=True)
    broken = [floor.id for floor in chosen if not is_kept(floor, state[floor.id])]
    print(
        f"{len(chosen) - len(broken)} passed, {len(broken)} failed"
        + (f": {', '.join(broken)}" if broken else "")
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
