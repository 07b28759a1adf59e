"""`legion provider …`, `legion route explain`."""

import argparse

import msgspec

from legion_core.api.types import ModelOffer, ProviderRow, ProviderSpec
from legion_core.kernel.errors import InvalidInput, Unavailable
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.commands.provider_models import model
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting
from legion_core.surfaces.cli.secrets import read_secret
from legion_core.surfaces.shapes import LaneShape, PinsShape

CONTEXT_MAX = 4_000_000


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`list`."""
    rows = setting.backend.providers()
    head = ("Name", "Tier", "Kind", "Models", "State", "Address")
    lines = [
        (
            row.name,
            row.tier,
            row.kind,
            ", ".join(words.model(offer.id) for offer in row.models[:3])
            + (" …" if len(row.models) > 3 else ""),
            "not ready, see below" if (state := state_words(row)) == row.problem else state,
            row.base_url,
        )
        for row in rows
    ]
    # Whole sentences would push the columns apart.
    below = [
        row.problem if row.problem.startswith(f"{row.name} ") else f"{row.name}: {row.problem}"
        for row in rows
        if row.problem and state_words(row) == row.problem
    ]
    return Outcome(rows, "\n".join([words.table(head, lines), *([""] if below else []), *below]))


def state_words(row: ProviderRow) -> str:
    """The words of the Routing page; what was done by hand stands above what it did itself."""
    if row.is_tripped:
        return "tripped until reset"
    if row.is_draining:
        return f"draining, {words.count(row.in_flight)} under way"
    if row.circuit == "open":
        return f"circuit open, retry in {words.span(row.retry_in_s)}"
    if row.circuit == "half_open":
        return (
            "half-open, a probe is under way" if row.is_probing else "half-open, the next request is a probe"
        )
    if row.retry_in_s:
        return f"resting as it asked, retry in {words.span(row.retry_in_s)}"
    return row.problem or ("ready" if row.models else "no model")


def add(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`add`: the key never stands on the command line, where other users could read it."""
    if args.api_key and "://" not in args.api_key:
        raise InvalidInput(
            "--api-key takes a reference, not the key itself: the command line can be read by others.",
            hint="Use --key-stdin, or env://NAME.",
        )
    if args.api_key and args.key_stdin:
        raise InvalidInput("--api-key and --key-stdin exclude each other.")
    key = None
    if args.key_stdin:
        key = read_secret(f"Key for {args.name}: ")
    elif not args.api_key and setting.is_terminal and not setting.is_json:
        key = read_secret(f"Key for {args.name} (empty for none): ", may_be_empty=True) or None
    spec = ProviderSpec(
        name=args.name,
        kind=args.kind,
        base_url=args.base_url,
        api_key=args.api_key,
        tier=args.tier,
        models=tuple(ModelOffer(id=model) for model in args.model),
    )
    row = setting.backend.add_provider(spec, key, test=not args.no_test)
    return Outcome(row, f"{row.name} is added on tier {row.tier}, {state_words(row)}.")


def remove(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`remove`."""
    setting.backend.remove_provider(args.name)
    return Outcome({"name": args.name}, f"{args.name} is removed, and its key with it.")


def test(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`test`: exit status 1 if it does not answer."""
    found = setting.backend.test_provider(args.name)
    if not found.is_ok:
        raise Unavailable(f"{args.name} does not answer: {found.why}")
    return Outcome(found, f"{found.why} ({words.span(found.latency_s)})")


def trip(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`trip`."""
    row = setting.backend.trip_provider(args.name)
    return Outcome(row, f"{row.name}: {state_words(row)}.")


def drain(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`drain`."""
    row = setting.backend.drain_provider(args.name)
    return Outcome(row, f"{row.name}: {state_words(row)}.")


def discover(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`discover`."""
    rows = setting.backend.found_providers()
    if not rows:
        return Outcome(rows, "No model server answers on this computer.")
    head = ("Server", "Version", "Address", "Models", "Add it with")
    lines = [
        (
            row.title,
            row.version,
            row.base_url,
            "needs a key"
            if row.needs_key
            else ", ".join(map(words.model, row.models[:3])) + (" …" if len(row.models) > 3 else ""),
            "added"
            if row.is_added
            else f"legion provider add {row.name} --kind {row.kind} --base-url {row.base_url}",
        )
        for row in rows
    ]
    return Outcome(rows, words.table(head, lines))


def reset(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`reset`."""
    row = setting.backend.reset_provider(args.name)
    return Outcome(row, f"{row.name}: {state_words(row)}.")


def explain(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`route explain`."""
    requires = tuple(word.strip() for word in args.requires.split(",") if word.strip())
    operation = "embed" if args.embed else "chat"
    if not 0 <= args.context <= CONTEXT_MAX:
        raise InvalidInput(f"--context must be from 0 to {CONTEXT_MAX:,} tokens.")
    route = setting.backend.explain(
        args.text,
        requires,
        msgspec.structs.replace(pins_of(args), tier_max=args.tier_max),
        is_private=args.private,
        operation=operation,
        context_tokens=args.context,
    )
    told = {each.lane: f". {each.why}: it comes after the others" for each in route.stepped_back}
    lines = [
        f"{place}. {lane.tier}: {_name(lane)}, {_price(lane)}{_speed(lane)}{told.get(lane.name, '')}"
        for place, lane in enumerate(route.candidates, 1)
    ]
    if not lines:
        lines = ["No model could answer this."]
    left_out = [f"   {left.lane.tier}: {_name(left.lane)}. {left.why}" for left in route.left_out]
    if not setting.is_json:
        left_out += [
            f"   {row.tier}: {row.name}. Its models are not known. {row.problem}"
            for row in setting.backend.providers()
            if row.problem and not row.models
        ]
    if left_out:
        lines += ["", "Left out:", *left_out]
    return Outcome(route, "\n".join(lines))


def _name(lane: LaneShape) -> str:
    return f"{lane.instance}/{words.model(lane.model)}"


def _price(lane: LaneShape) -> str:
    if lane.price is None:
        return "free" if lane.tier in ("local", "direct", "fleet") else "price unknown"
    return f"{words.money(lane.price.input)} in and {words.money(lane.price.output)} out per million tokens"


def _speed(lane: LaneShape) -> str:
    return "" if lane.tokens_per_s is None else f", {lane.tokens_per_s:.0f} tokens/s"


def pins_of(args: argparse.Namespace) -> PinsShape:
    """What the command line insists on."""
    return PinsShape(tier=args.tier, instance=args.instance, model=args.model)


PROVIDER: Actions = {
    "list": listing,
    "add": add,
    "remove": remove,
    "test": test,
    "trip": trip,
    "drain": drain,
    "reset": reset,
    "discover": discover,
    "model": model,
}
ROUTE: Actions = {"explain": explain}
