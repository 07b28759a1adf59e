"""What a selection gives to the clipboard: the source of whole blocks, the marked or plain words of parts."""

from collections.abc import Callable

from app.widgets.transcript.laid import Laid
from app.widgets.transcript.model import TranscriptModel
from app.widgets.transcript.rows import MessageRows, Row
from app.widgets.transcript.selection import Caret


def copied_text(
    model: TranscriptModel,
    open_rows: Callable[[int], MessageRows],
    laid_of: Callable[[int, Row], Laid],
    first: Caret,
    last: Caret,
    *,
    as_plain: bool,
) -> str:
    """The text between two carets. Whole messages in between are never laid out for markdown."""
    parts: list[str] = []
    for item in range(first.item, last.item + 1):
        whole = first.item < item < last.item
        if whole and not as_plain:
            parts.append(model.at(item).whole_text().strip("\n"))
            continue
        rows = open_rows(item)
        start = first if item == first.item else Caret(item, 0, 0)
        stop = last if item == last.item else Caret(item, len(rows.rows) - 1, 1 << 30)
        parts.append(_of_message(model.at(item).whole_text(), rows, laid_of, start, stop, as_plain=as_plain))
    return "\n\n".join(part for part in parts if part)


def _of_message(
    source: str,
    rows: MessageRows,
    laid_of: Callable[[int, Row], Laid],
    first: Caret,
    last: Caret,
    *,
    as_plain: bool,
) -> str:
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    parts: list[tuple[str, str]] = []  # (glue before it, words)
    whole: tuple[int, int] | None = None
    for index in range(first.row, min(last.row, len(rows.rows) - 1) + 1):
        row = rows.rows[index]
        laid = laid_of(first.item, row)
        if not laid.letters:
            continue
        start = first.letter if index == first.row else 0
        stop = min(last.letter, laid.letters) if index == last.row else laid.letters
        if start >= stop:
            continue
        block, complete = row.block, start == 0 and stop == laid.letters
        if block is not None and complete and not as_plain and not row.part:
            if whole is not None and parts:
                # Neighbouring whole blocks keep what stands between them in the source.
                whole = (whole[0], block.last_line)
                parts[-1] = (parts[-1][0], _source(lines, *whole))
            else:
                whole = (block.first_line, block.last_line)
                parts.append((_glue(row), _source(lines, *whole)))
            continue
        whole = None
        words = laid.copied(start, stop, as_plain=as_plain).replace("\u2028", "\n")
        if as_plain and block is not None and block.marker and start == 0:
            words = f"{block.marker} {words}"
        parts.append((_glue(row), words))
    return "".join((glue if index else "") + words for index, (glue, words) in enumerate(parts))


def _glue(row: Row) -> str:
    if row.kind == "own":
        return "\n"
    if row.part:
        return ""
    return "\n" if row.block is not None and row.block.indent and row.block.marker else "\n\n"


def _source(lines: list[str], first: int, last: int) -> str:
    return "\n".join(lines[first:last]).strip("\n")
