"""Numbers, sizes, times and tables as a person reads them; see the look's page on words."""

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from legion_core.kernel.unseen import is_unseen

_COMMAND = re.compile(r"(?<=`)legion(?= )|(?<=: )legion(?= [a-z\[])")
_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def size(count: float) -> str:
    """`101 MB`, `13.8 GB`."""
    for unit, name in _SIZES:
        if count >= unit:
            amount = count / unit
            return f"{amount:.1f} {name}" if amount < 100 else f"{amount:,.0f} {name}"
    return f"{count:,.0f} B"


def count(number: int) -> str:
    """`11,104`."""
    return f"{number:,}"


def money(usd: float | None) -> str:
    """`$0.0041`; four places below a cent. An unknown price is never shown as nothing."""
    if usd is None:
        return "price unknown"
    return f"${usd:.4f}" if 0 < usd < 0.01 else f"${usd:,.2f}"


def model(name: str) -> str:
    """A model as it is shown: of a file named by its whole path, the file."""
    return name.rpartition("/")[2] if name.startswith("/") else name


def span(seconds: float | None) -> str:
    """`640 ms`, `1.9 s`, `3 min`, `2 h 5 min`."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def ago(moment: datetime, now: datetime) -> str:
    """Relative up to seven days, then the local date."""
    seconds = (now - moment).total_seconds()
    if seconds < 60:
        return "now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 86400:
        return f"{int(seconds // 3600)} h ago"
    if seconds < 7 * 86400:
        return f"{int(seconds // 86400)} d ago"
    return moment.astimezone().strftime("%Y-%m-%d")


def parameters(number: int) -> str:
    """`135M`, `7.2B`."""
    if number >= 1e9:
        return f"{number / 1e9:.1f}B"
    return f"{number / 1e6:.0f}M" if number >= 1e6 else (str(number) if number else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Columns two blanks apart, numbers to the right; only the last one may be long."""
    lines = [head, *rows]
    widths = [max(len(_plain(line[column])) for line in lines) for column in range(len(head))]
    shown: list[str] = []
    for line in lines:
        cells = [
            _plain(cell).rjust(width) if column in right else _plain(cell).ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        shown.append("  ".join(cells).rstrip())
    return "\n".join(shown)


def called() -> str:
    """The command to type for another one: what started this one, as short as it works from here."""
    import shutil

    path = Path(sys.argv[0])
    if path.name != "legion" or shutil.which("legion") == str(path.absolute()):
        return "legion"
    here = Path.cwd()
    return str(path.absolute().relative_to(here) if path.absolute().is_relative_to(here) else path)


def typed(text: str) -> str:
    """Our own words with the commands in them as they work from here: `make run` puts `legion` on no path."""
    return _COMMAND.sub(lambda _: called(), text) if "legion " in text else text


def clipped(text: str, most: int) -> str:
    """At most so many characters; what is cut ends in `…`."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def pairs(lines: Sequence[tuple[str, str]]) -> str:
    """`name  value` lines, those without a value left out."""
    given = [(name, value) for name, value in lines if value]
    width = max((len(name) for name, _ in given), default=0)
    return "\n".join(f"{name.ljust(width)}  {_plain(value)}" for name, value in given)


def now() -> datetime:
    """The moment to reckon `ago` from."""
    return datetime.now(UTC)


def _plain(text: str) -> str:
    """One line without control characters: names come from files and other machines, terminals obey escapes."""
    return "".join(char if char.isprintable() and not is_unseen(char) else " " for char in text)


def harmless(text: str) -> str:
    """Text for a terminal, its line breaks and tabs kept: a model's answer must not move the cursor or retitle it."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in "\n\t" or not is_unseen(char) else "\N{REPLACEMENT CHARACTER}" for char in text
    )
