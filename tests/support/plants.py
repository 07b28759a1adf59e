"""Runs tests that offend on purpose in a pytest of their own, and reads what is said of each."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def honest(plants: Path) -> list[str]:
    """The planted tests that must pass, found in the text: importing the file may need what is missing here."""
    return re.findall(r"^def test_(honest_\w+)", plants.read_text(encoding="utf-8"), re.MULTILINE)


def reports(plants: Path, folder: Path) -> dict[str, str]:
    """By planted test, what its report says; nothing where it passed."""
    out = folder / "out.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--junit-xml={out}",
        str(plants),
    ]
    environment = {**os.environ, "LEGION_TOKEN": "lgn_of_the_user", "LEGION_TEST_GRACE_S": "0.3"}
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=100, check=False, env=environment
    )
    assert out.exists(), run.stdout + run.stderr
    found: dict[str, str] = {}
    for case in ET.parse(out).iter("testcase"):
        name = case.get("name", "").removeprefix("test_")
        said = "\n".join((part.get("message") or "") + (part.text or "") for part in case)
        found[name] = found.get(name, "") + said
    return found
