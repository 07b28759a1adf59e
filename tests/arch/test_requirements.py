"""Promises and tests agree: each kept promise has a test, each mark names a promise.

An open promise may have tests of the parts that stand already.
"""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.arch.source import ROOT, dotted
from tests.requirements import BY_ID, REQUIREMENTS, Requirement


def marks(source: str) -> list[str]:
    """The ids a test file names by `pytest.mark.requirement`; an id must be written out."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and dotted(node.func) == "pytest.mark.requirement":
            for argument in node.args:
                assert isinstance(argument, ast.Constant), (
                    f"line {node.lineno}: a requirement's id is a literal"
                )
                found.append(str(argument.value))
    return found


def disagreements(requirements: Iterable[Requirement], marked: set[str]) -> list[str]:
    """What is wrong between the list and the marks, one line for each."""
    requirements = tuple(requirements)
    known = {each.id for each in requirements}
    untested = [
        f"{each.id} is kept, but no test says so"
        for each in requirements
        if each.status == "kept" and each.id not in marked
    ]
    return untested + [f"{name} is no requirement" for name in sorted(marked - known)]


def all_marks() -> set[str]:
    files: list[Path] = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "tests").rglob("conformance*.py")]
    return {name for file in files for name in marks(file.read_text(encoding="utf-8"))}


def test_promises_and_tests_agree() -> None:
    assert disagreements(REQUIREMENTS, all_marks()) == []


def test_a_promise_without_a_test_would_be_seen() -> None:
    promised = [Requirement("a", "", "kept"), Requirement("b", ""), Requirement("c", "")]
    said = disagreements(promised, {"c", "d"})
    assert said == ["a is kept, but no test says so", "d is no requirement"]


def test_a_mark_is_found_in_a_file() -> None:
    source = "import pytest\npytestmark = pytest.mark.requirement('x')\n@pytest.mark.requirement('y')\ndef test(): ...\n"
    assert marks(source) == ["x", "y"]


def test_ids_are_unique_and_sentences_whole() -> None:
    assert len(BY_ID) == len(REQUIREMENTS)
    assert all(re.fullmatch(r"[a-z]+(\.[a-z0-9-]+)+", each.id) for each in REQUIREMENTS)
    assert all(each.sentence.endswith(".") for each in REQUIREMENTS)


@pytest.mark.requirement("whole.licence")
def test_the_licence_is_the_one_promised() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
