"""The scripts that complete commands: what a shell makes of them, by the same table for each."""

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from legion_core.surfaces.cli.commands import completion
from legion_core.surfaces.cli.tree import parser

WORDS = tuple(parser().words())
LINES: dict[tuple[str, ...], set[str]] = {
    ("legion", "cha"): {"chat", "chain"},
    ("legion", "--ver"): {"--version"},
    ("legion", "chain", "ren"): {"rename"},
    ("legion", "chain", "run", "morning", "--dr"): {"--dry-run"},
    ("legion", "chat", "--tier", ""): {"local", "direct", "fleet", "cloud", "frontier"},
    ("legion", "chat", "--tier", "l"): {"local"},
    ("legion", "mcp", "server", "ap"): {"approve"},
    ("legion", "conversation", "export", "c1", "--format", "h"): {"html"},
    ("legion", "completion", ""): {"bash", "zsh", "fish", "--help", "--json", "-h"},
    ("legion", "chain", "apply", "morn"): {"morning.yaml"},
}


def _bash(script: str, line: tuple[str, ...]) -> str:
    words = " ".join(map(shlex.quote, line))
    return f"""{script}
COMP_WORDS=({words}); COMP_CWORD={len(line) - 1}; _legion
if [ ${{#COMPREPLY[@]}} = 0 ]; then compgen -f -- {shlex.quote(line[-1])}; else printf '%s\\n' "${{COMPREPLY[@]}}"; fi"""


def _zsh(script: str, line: tuple[str, ...]) -> str:
    """What its completion system does with the words, in three lines; that system wants a terminal."""
    words = " ".join(map(shlex.quote, line))
    return f"""PREFIX={shlex.quote(line[-1])}
compdef() {{ :; }}
compadd() {{ shift; local fit=(${{(M)@:#${{PREFIX}}*}}); print -l -- $fit; (( $#fit )); }}
_files() {{ print -l -- ${{PREFIX}}*(N); }}
{script}
words=({words}); CURRENT={len(line)}; _legion"""


def _fish(script: str, line: tuple[str, ...]) -> str:
    return f"{script}\ncomplete -C {shlex.quote(' '.join(line))} | string replace -r '\\t.*' ''"


SHELLS: dict[
    str, tuple[Callable[[completion.Words], str], list[str], Callable[[str, tuple[str, ...]], str]]
] = {
    "bash": (completion.bash, ["bash", "--norc", "-c"], _bash),
    "zsh": (completion.zsh, ["zsh", "-f", "-c"], _zsh),
    "fish": (completion.fish, ["fish", "--no-config", "-c"], _fish),
}


@pytest.mark.parametrize("line", LINES, ids=" ".join)
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_offers_what_may_follow_and_files_where_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, line: tuple[str, ...]
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    make, command, ask = SHELLS[shell]
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / "here"
    place.mkdir()
    (place / "morning.yaml").touch()

    ran = subprocess.run(
        [*command, ask(make(WORDS), line)],
        capture_output=True,
        text=True,
        cwd=place,
        check=False,
        timeout=100,
    )

    assert not ran.stderr
    assert set(ran.stdout.split()) == LINES[line]


def test_every_script_knows_every_command() -> None:
    for made in (completion.bash(WORDS), completion.zsh(WORDS), completion.fish(WORDS)):
        assert all(path in made for path, _ in WORDS)
