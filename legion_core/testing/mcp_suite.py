"""Runs the official MCP conformance suite against a node of its own: both requirement sets, server and client.

    python -m legion_core.testing.mcp_suite [--only server|client] [--revision R] [--scenario NAME] [--verbose] [--json]

Exits 0 if every scored scenario is green, 1 if one is red, 2 if the suite cannot be had (no Node.js, no registry).
"""

import argparse
import asyncio
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from legion_core.node import open_node
from legion_core.testing.mcp_bearer import with_bearer
from legion_core.testing.npm import ROOT, NotToBeHad, install, node_and_npm

REVISIONS = ("2025-11-25", "2026-07-28")
ROLES = ("server", "client")
PINNED = "conformance"
SUITE_S = 1_200.0
SCENARIO_MS = 180_000  # the clients of a set are started all at once, and this machine may be small


@dataclass(frozen=True, slots=True)
class Scenario:
    """How one scenario went. `why` names its red checks."""

    revision: str
    role: str
    name: str
    is_scored: bool
    passed: int
    failed: int
    why: str = ""

    @property
    def is_green(self) -> bool:
        """Whether something was checked and nothing failed."""
        return self.failed == 0 and self.passed > 0


async def run_all(
    roles: Sequence[str], revisions: Sequence[str], scenario: str, *, is_verbose: bool
) -> list[Scenario]:
    """Every scenario of the sets, one after the other."""
    folder = install(PINNED)
    node, _ = node_and_npm()
    suite = [node, str(folder / "node_modules/@modelcontextprotocol/conformance/dist/index.js")]
    found: list[Scenario] = []
    with tempfile.TemporaryDirectory(prefix="legion-conformance-") as place:
        home = Path(place) / "home"
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(open_node(home, env={}, serve=True, port=0))
            token = (home / "token").read_text(encoding="utf-8").strip()
            door = await stack.enter_async_context(with_bearer(opened.url, token))
            if "server" in roles:
                # Late: it loads the SDK, and a suite that cannot be had should say so at once.
                from legion_core.testing.mcp_fixture import ConformanceFixture

                opened.legion.mcp.service().extras.append(ConformanceFixture())
            patience = ["--timeout", str(SCENARIO_MS)]
            for role in roles:
                for revision in revisions:
                    target = (
                        ["--url", f"{door}/mcp"]
                        if role == "server"
                        else ["--command", f"{sys.executable} -m legion_core.testing.mcp_suite_client"]
                    )
                    out = Path(place) / f"{role}-{revision}"
                    which = (
                        ["--scenario", scenario, "--spec-version", revision]
                        if scenario
                        else ["--requirements", revision]
                    )
                    words = [*suite, role, *target, *which, "-o", str(out), *patience]
                    await _run(words, is_verbose)
                    some = _read(out, role, revision, _not_scored(folder, revision, role))
                    for number, each in enumerate(some):
                        if each.is_scored and not each.is_green and not scenario:
                            # Its own time-outs are short, and it starts a whole set at once: once more, alone.
                            again = Path(place) / f"{role}-{revision}-{number}"
                            bare = each.name.removeprefix("server-") if role == "server" else each.name
                            alone = ["--scenario", bare, "--spec-version", revision]
                            await _run(
                                [*suite, role, *target, *alone, "-o", str(again), *patience], is_verbose
                            )
                            some[number] = next(iter(_read(again, role, revision, {})), each)
                    found += some
    return found


async def _run(words: Sequence[str], is_verbose: bool) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("LEGION_")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), env.get("PYTHONPATH", ""))))
    sink = None if is_verbose else asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*words, stdout=sink, stderr=sink, env=env)
    try:
        async with asyncio.timeout(SUITE_S):
            await process.wait()
    except TimeoutError as error:
        raise NotToBeHad(f"The suite did not end within {SUITE_S:.0f} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _read(out: Path, role: str, revision: str, not_scored: Mapping[str, str]) -> list[Scenario]:
    """What the suite wrote: one folder of checks for each scenario."""
    found: list[Scenario] = []
    for path in sorted(out.rglob("checks.json")):
        name = re.sub(r"-\d{4}-\d{2}-\d{2}T.*$", "", str(path.parent.relative_to(out)))
        name = (
            name.removeprefix("server-") if role == "server" and name.startswith("server-server-") else name
        )
        checks = json.loads(path.read_text(encoding="utf-8"))
        passed = [each for each in checks if each.get("status") in ("SUCCESS", "INFO", "SKIPPED")]
        failed = [each for each in checks if each.get("status") in ("FAILURE", "WARNING")]
        why = "; ".join(f"{each.get('id')}: {each.get('errorMessage', '')}" for each in failed)[:400]
        bare = name.removeprefix("server-") if role == "server" else name
        is_scored = name not in not_scored and bare not in not_scored
        found.append(Scenario(revision, role, name, is_scored, len(passed), len(failed), why))
    return found


def _not_scored(folder: Path, revision: str, role: str) -> dict[str, str]:
    import yaml

    path = folder / f"node_modules/@modelcontextprotocol/conformance/requirements/{revision}.yaml"
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {each["scenario"]: each["reason"] for each in told["not_scored"] if each["leg"] == role}


def required(folder: Path, revision: str, role: str) -> list[str]:
    """The scenarios a revision requires of a role."""
    import yaml

    path = folder / f"node_modules/@modelcontextprotocol/conformance/requirements/{revision}.yaml"
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))[role])


def main(argv: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m legion_core.testing.mcp_suite", description=__doc__)
    parser.add_argument("--only", choices=ROLES)
    parser.add_argument("--revision", choices=REVISIONS)
    parser.add_argument("--scenario", default="")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--json", action="store_true", help="one line of figures instead of the table")
    args = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)  # the scenarios provoke errors by the dozen
    roles = (args.only,) if args.only else ROLES
    revisions = (args.revision,) if args.revision else REVISIONS
    try:
        found = asyncio.run(run_all(roles, revisions, args.scenario, is_verbose=args.verbose))
    except NotToBeHad as error:
        sys.stderr.write(f"conformance: {error}\n")
        return 2
    wanted = 0
    if not args.scenario:
        folder = install(PINNED)
        wanted = sum(len(required(folder, revision, role)) for role in roles for revision in revisions)
    return _told(found, wanted, is_json=args.json)


def _told(found: Sequence[Scenario], wanted: int, *, is_json: bool) -> int:
    """The table, and the exit status: red if one is red, or if fewer ran than are required."""
    say = sys.stdout.write
    scored = [each for each in found if each.is_scored]
    green = [each for each in scored if each.is_green]
    status = 0 if len(green) == len(scored) and len(scored) >= wanted and scored else 1
    if is_json:
        say(json.dumps({"green": len(green), "red": max(len(scored), wanted) - len(green)}) + "\n")
        return status
    for each in found:
        mark = "ok  " if each.is_green else ("RED " if each.is_scored else "note")
        checks = f"{each.passed}/{each.passed + each.failed}"
        say(
            f"{mark} {each.role:6} {each.revision} {each.name:52} {checks:>7}{'' if each.is_scored else '  not scored'}\n"
        )
        if not each.is_green:
            say(f"       {each.why}\n")
    say(f"\n{len(green)} of {max(len(scored), wanted)} scored scenarios are green.\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
