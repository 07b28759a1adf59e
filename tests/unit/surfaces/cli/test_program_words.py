"""What a person writes behind `--` is the program, whatever options stand before it."""

import pytest

from legion_core.surfaces.cli.main import _split_program


@pytest.mark.parametrize(
    ("written", "head", "program"),
    [
        (
            "mcp server add files --env A=b -- npx -y x --port 1",
            "mcp server add files --env A=b",
            "npx -y x --port 1",
        ),
        ("mcp server add files -- npx", "mcp server add files", "npx"),
        ("mcp server add files --url https://a.example", "mcp server add files --url https://a.example", ""),
        ("chat prompt -- --help", "chat prompt -- --help", ""),
    ],
)
def test_the_words_of_a_program_are_its_own(written: str, head: str, program: str) -> None:
    assert _split_program(written.split()) == (head.split(), program.split())
