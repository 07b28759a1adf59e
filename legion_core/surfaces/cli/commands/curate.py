"""`legion curate FILE.jsonl`: what curation would do to a recorded conversation, turn by turn."""

import argparse
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legion_core.kernel.errors import InvalidInput, NotFound
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

if TYPE_CHECKING:
    from legion_core.gateway.transcript_curation import Report, TurnView
    from legion_core.gateway.transcripts import Transcript


def curate(setting: Setting, args: argparse.Namespace) -> Outcome:
    """The table by turns; with `--out` a line for each request, the file written whole or not at all."""
    from legion_core.gateway.transcript_curation import Report, curate_transcript
    from legion_core.gateway.transcripts import read_transcript

    if args.context is not None and args.context < 1:
        raise InvalidInput("--context takes a number of tokens above 0.")
    path = Path(args.file)
    targets = [Path(name) for name in (args.out, args.archive) if name]
    if path in targets or len(set(targets)) < len(targets):
        raise InvalidInput("The transcript, --out and --archive are three different files.")
    transcript = read_transcript(_bytes_of(path), path.name)
    report = Report()
    turns = curate_transcript(transcript, args.context, report)
    if args.out:
        _replace(Path(args.out), (_line(turn) for turn in turns))
    else:
        for _ in turns:
            pass
    if args.archive:
        _replace(Path(args.archive), ({"key": key, "text": text} for key, text in report.archive().items()))
    return Outcome(_data(transcript, report), _text(transcript, report, targets))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", hint="Give the path of a JSONL transcript.") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.") from error


def _line(turn: "TurnView") -> dict[str, Any]:
    return {
        "turn": turn.turn,
        "naive_tokens": turn.naive_tokens,
        "curated_tokens": turn.curated_tokens,
        "messages": turn.messages(),
        "edits": turn.edits,
    }


def _replace(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """All lines or none: what stood there stays until the new file is complete."""
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("w", encoding="ascii") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")
        os.replace(fresh, path)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        fresh.unlink(missing_ok=True)


def _data(transcript: "Transcript", report: "Report") -> dict[str, Any]:
    return {
        "shape": transcript.shape,
        "turns": transcript.turns,
        "passed_over": transcript.passed_over,
        "tokens": "estimated, four characters each",
        "buckets": [
            {
                "turns": row.bucket,
                "requests": row.turns,
                "naive_tokens": row.naive,
                "curated_tokens": row.curated,
                "reduction_percent": row.reduction_percent,
                "billed_percent": row.billed_percent,
            }
            for row in report.rows
        ],
        "strategies": [
            {"strategy": name, "edits": edits, "tokens": tokens}
            for name, (edits, tokens) in report.strategies.items()
        ],
    }


def _text(transcript: "Transcript", report: "Report", targets: list[Path]) -> str:
    if not report.rows:
        return "No answer of an assistant is in it, so nothing would be sent."
    head = ("Turns", "Requests", "Naive a turn", "Curated a turn", "Reduction", "Billed, with caching")
    lines = [
        (
            row.bucket,
            words.count(row.turns),
            words.count(round(row.naive / row.turns)),
            words.count(round(row.curated / row.turns)),
            f"{row.reduction_percent:.1f} %",
            f"{row.billed_percent:+.1f} %",
        )
        for row in report.rows
    ]
    parts = [words.table(head, lines, right=(1, 2, 3, 4, 5)), *_strategies(report)]
    parts.append("Tokens are estimated, four characters each. Billed: cached input at 0.1, written at 1.25.")
    if transcript.passed_over:
        parts.append(f"{words.count(transcript.passed_over)} lines of bookkeeping were passed over.")
    parts += [f"Written: {path}" for path in targets]
    return "\n".join(parts)


def _strategies(report: "Report") -> Iterator[str]:
    if report.strategies:
        rows = [
            (name, words.count(edits), words.count(tokens))
            for name, (edits, tokens) in report.strategies.items()
        ]
        yield "\n" + words.table(("Strategy", "Edits", "Tokens removed"), rows, right=(1, 2)) + "\n"


ACTIONS: Actions = {None: curate}
