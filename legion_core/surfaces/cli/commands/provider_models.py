"""`legion provider model …`: what the models of an instance can, as it is known, said and shown."""

import argparse
from typing import Final

from legion_core.api.types import ModelFacts, ModelOffer, ModelTrial, ProviderRow
from legion_core.kernel.errors import InvalidInput, NotFound
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

ABLE: Final = {
    "tools": "tools",
    "vision": "images",
    "thinking": "thinking",
    "structured_output": "structured output",
}
_SWITCH: Final = {"yes": True, "no": False, None: None}


def model(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`provider model`: one of its own actions."""
    actions: Actions = {"list": _list, "set": _set, "reset": _reset, "try": _try}
    return actions[args.verb](setting, args)


def able_words(offer: ModelOffer) -> str:
    """What a model can, in words."""
    if "embeddings" in offer.capabilities and "streaming" not in offer.capabilities:
        return "vectors only"
    return ", ".join(word for each, word in ABLE.items() if each in offer.capabilities) or "text only"


def _list(setting: Setting, args: argparse.Namespace) -> Outcome:
    row = _row(setting, args.name)
    if not row.models:
        return Outcome(row, f"{row.name} offers no model. {row.problem}".rstrip())
    lines = [
        (offer.id, words.count(offer.context), able_words(offer), "yes" if offer.id in row.described else "")
        for offer in row.models
    ]
    return Outcome(row, words.table(("Model", "Context", "Can", "Said by you"), lines))


def _set(setting: Setting, args: argparse.Namespace) -> Outcome:
    facts = ModelFacts(
        model=args.model,
        context=args.context,
        tools=_SWITCH[args.tools],
        vision=_SWITCH[args.images],
        thinking=_SWITCH[args.thinking],
        structured_output=_SWITCH[args.structured_output],
        continuation=args.continuation,
    )
    if facts == ModelFacts(model=args.model):
        raise InvalidInput(
            "Nothing is said of it.", hint="Such as --tools yes, --images no, or --context 32768."
        )
    row = setting.backend.describe_model(args.name, facts)
    return Outcome(row, _told(row, args.model))


def _reset(setting: Setting, args: argparse.Namespace) -> Outcome:
    row = setting.backend.forget_model(args.name, args.model)
    return Outcome(row, _told(row, args.model))


def _try(setting: Setting, args: argparse.Namespace) -> Outcome:
    is_fixed = _row(setting, args.name).is_builtin  # what this computer's own models can is known
    if args.save and is_fixed:
        raise InvalidInput(f"What the models of {args.name!r} can is known and is not kept.")
    found: ModelTrial = setting.backend.try_model(args.name, args.model)
    lines = [
        f"{ABLE[finding.capability]}: {_VERDICT[finding.is_able]}. {finding.why}"
        for finding in found.findings
    ]
    if args.save:
        row = setting.backend.describe_model(args.name, found.suggested)
        return Outcome(found, "\n".join([*lines, "", f"Kept. {_told(row, args.model)}"]))
    kept = " ".join(
        f"--{flag} {'yes' if able else 'no'}"
        for flag, able in (
            ("tools", found.suggested.tools),
            ("images", found.suggested.vision),
            ("thinking", found.suggested.thinking),
            ("structured-output", found.suggested.structured_output),
        )
        if able is not None
    )
    if kept and not is_fixed:
        lines += ["", f"To keep it: legion provider model set {args.name} {args.model} {kept}"]
    return Outcome(found, "\n".join(lines))


_VERDICT: Final = {True: "yes", False: "no", None: "not known"}


def _told(row: ProviderRow, model: str) -> str:
    offer = next((offer for offer in row.models if offer.id == model), None)
    if offer is None:
        return f"{row.name} does not offer {model} now. {row.problem}".rstrip()
    return f"{row.name}/{words.model(model)}: {able_words(offer)}; a context of {words.count(offer.context)} tokens."


def _row(setting: Setting, name: str) -> ProviderRow:
    rows = {row.name: row for row in setting.backend.providers()}
    if name not in rows:
        raise NotFound(f"There is no provider {name!r}.", hint=f"Known: {', '.join(rows) or 'none'}.")
    return rows[name]
