"""The scripts that complete commands: what a shell makes of them."""

import subprocess
from pathlib import Path

import pytest

from legion_core.surfaces.cli.commands import completion
from legion_core.surfaces.cli.tree import parser

WORDS = tuple(parser().words())


def completed(tmp_path: Path, *line: str) -> list[str]:
    """What bash offers at the end of this line."""
    script = tmp_path / "legion.bash"
    script.write_text(completion.bash(WORDS), encoding="utf-8")
    words = " ".join(f"'{word}'" for word in line)
    ask = (
        f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(line) - 1}; _legion; echo ${{COMPREPLY[@]}}"
    )
    ran = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True, timeout=100)
    assert not ran.stderr
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (("legion", "cha"), ["chat", "chain"]),
        (("legion", "chain", "ren"), ["rename"]),
        (("legion", "chain", "run", "morning", "--dr"), ["--dry-run"]),
        (("legion", "chat", "--tier", ""), ["local", "direct", "fleet", "cloud", "frontier"]),
        (("legion", "mcp", "server", "ap"), ["approve"]),
        (("legion", "conversation", "export", "c1", "--format", "h"), ["html"]),
        (("legion", "completion", ""), ["bash", "zsh", "fish", "--help", "--json", "-h"]),
        (("legion", "chain", "apply", "morn"), []),
    ],
)
def test_bash_offers_what_may_follow(tmp_path: Path, line: tuple[str, ...], found: list[str]) -> None:
    assert completed(tmp_path, *line) == found


def test_every_script_knows_every_command() -> None:
    for made in (completion.bash(WORDS), completion.zsh(WORDS), completion.fish(WORDS)):
        assert all(path in made for path, _ in WORDS)
