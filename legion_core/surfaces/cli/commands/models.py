"""`legion model …`."""

import argparse
from pathlib import Path

from legion_core.api.types import ModelFit, ModelRow, PullProgressed
from legion_core.kernel.errors import InvalidInput, Unavailable
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

_FITS = {"fits": "fits", "tight": "tight", "too_large": "too large"}


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`list`."""
    rows = setting.backend.models(args.context)
    if not rows:
        return Outcome(
            rows, words.typed("No model on this computer. `legion model import FILE` takes one in.")
        )
    head = ("Name", "Size", "Parameters", "Context", "Fits", "Speed", "")
    lines = [
        (
            row.name,
            words.size(row.size_bytes),
            words.parameters(row.parameters),
            words.count(row.context_max) if row.context_max else "",
            _FITS[row.fit.label] if row.fit else "",
            f"{row.tokens_per_s:.1f} tok/s" if row.tokens_per_s else "",
            row.problem or ("loaded" if row.is_loaded else ""),
        )
        for row in rows
    ]
    return Outcome(rows, words.table(head, lines, right=(1, 2, 3, 5)))


def pull(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`pull`: progress on standard error while it runs."""
    last: PullProgressed | None = None
    for last in setting.backend.pull(args.name, allow_private=args.private):
        if setting.err.isatty():
            setting.aside(f"\r{_progress(last)}\x1b[K", end="")
    if setting.err.isatty():
        setting.aside("")
    if last is None or last.state != "ready":
        why = last.problem if last else "nothing was heard of it"
        raise Unavailable(
            f"{args.name} was not downloaded: {why or 'it was ' + (last.state if last else 'lost')}.",
            hint="The same command goes on where it stopped.",
        )
    return Outcome(last, f"{last.name} is ready, {words.size(last.total_bytes)}.")


def _progress(event: PullProgressed) -> str:
    if not event.total_bytes:
        return f"{event.name}: {event.state}, {words.size(event.done_bytes)}"
    share = 100 * event.done_bytes // event.total_bytes
    speed = f", {words.size(event.bytes_per_s)}/s" if event.bytes_per_s else ""
    return f"{event.name}: {event.state} {share} % of {words.size(event.total_bytes)}{speed}"


def importing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`import`."""
    path = Path(args.path).expanduser().absolute()
    if not path.is_file():
        raise InvalidInput(f"There is no file {path}.", hint="Give the path of a GGUF file.")
    row = setting.backend.import_model(path)
    return Outcome(row, _told(row))


def _told(row: ModelRow) -> str:
    return f"{row.name} is here, {words.size(row.size_bytes)}." + (f" {row.problem}" if row.problem else "")


def remove(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`remove`."""
    freed = next((row.size_bytes for row in setting.backend.models() if row.name == args.name), 0)
    setting.backend.remove_model(args.name)
    return Outcome(
        {"name": args.name, "freed_bytes": freed}, f"{args.name} is removed, {words.size(freed)} are freed."
    )


def fit(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`fit`."""
    found: ModelFit = setting.backend.fit(args.name, args.context)
    verdict = {
        "fits": "It fits",
        "tight": "It fits, but tightly",
        "too_large": "It is too large for",
    }[found.label]
    place = f"{found.where} at {words.count(found.context)} tokens"
    told = f"{verdict} {place}." if found.label == "too_large" else f"{verdict} in {place}."
    return Outcome(found, "\n".join((told, *(f"  {line}" for line in found.lines))))


ACTIONS: Actions = {
    "list": listing,
    "pull": pull,
    "import": importing,
    "remove": remove,
    "fit": fit,
}
