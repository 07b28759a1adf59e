"""`legion provider model …`: what the models of an instance can, as it is known, said and shown."""

import argparse
from typing import Final

from legion_core.api.types import ModelFacts, ModelOffer, ModelTrial, ProviderRow
from legion_core.gateway.abilities import ABILITIES, flag_of
from legion_core.kernel.errors import InvalidInput, NotFound
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

_SWITCH: Final = {"yes": True, "no": False, None: None}


def model(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`provider model`: one of its own actions."""
    actions: Actions = {"list": _list, "set": _set, "reset": _reset, "try": _try}
    return actions[args.verb](setting, args)


def able_words(offer: ModelOffer) -> str:
    """What a model can, in words."""
    if "embeddings" in offer.capabilities and "streaming" not in offer.capabilities:
        return "vectors only"
    return ", ".join(word for each, word in ABILITIES.items() if each in offer.capabilities) or "text only"


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
        documents=_SWITCH[args.documents],
        thinking=_SWITCH[args.thinking],
        structured_output=_SWITCH[args.structured_output],
        completions=_SWITCH[args.completions],
        fim=_SWITCH[args.fim],
        continuation=args.continuation,
    )
    if facts == ModelFacts(model=args.model):
        raise InvalidInput(
            "Nothing is said of it.", hint="Such as --tools yes, --images no, or --context 32768."
        )
    row = setting.backend.describe_model(args.name, facts)
    told = _told(row, args.model)
    said = [getattr(facts, word) is not None for word in ABILITIES]
    if row.problem and any(said) and not all(said):
        again = f"legion provider model reset {args.name} {args.model}"
        told += (
            f"\n{args.name} does not answer: what else {args.model} can is not known, and stays as shown until you say"
            f" it. Or reset it once {args.name} answers (`{again}`) and say this again."
        )
    return Outcome(row, told)


def _reset(setting: Setting, args: argparse.Namespace) -> Outcome:
    row = setting.backend.forget_model(args.name, args.model)
    return Outcome(row, _told(row, args.model))


def _try(setting: Setting, args: argparse.Namespace) -> Outcome:
    is_fixed = _row(setting, args.name).is_builtin  # what this computer's own models can is known
    if args.save and is_fixed:
        raise InvalidInput(f"What the models of {args.name!r} can is known and is not kept.")
    if setting.err.isatty():
        setting.aside("Asking it; this takes some seconds, and longer where it has to be loaded first.")
    found: ModelTrial = setting.backend.try_model(args.name, args.model)
    lines = [
        f"{ABILITIES[finding.capability]}: {_VERDICT[finding.is_able]}. {finding.why}"
        for finding in found.findings
    ]
    if args.save:
        row = setting.backend.describe_model(args.name, found.suggested)
        return Outcome(found, "\n".join([*lines, "", f"Kept. {_told(row, args.model)}"]))
    kept = " ".join(
        f"--{flag_of(word)} {'yes' if able else 'no'}"
        for word in ABILITIES
        if (able := getattr(found.suggested, word)) is not None
    )
    if kept and not is_fixed:
        lines += ["", words.typed(f"To keep it: legion provider model set {args.name} {args.model} {kept}")]
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
