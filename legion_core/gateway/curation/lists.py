"""The lists of what was moved, one for each epoch, and from which one on it pays to make them one."""

from collections.abc import Sequence
from dataclasses import dataclass

from legion_core.gateway.curation.rounds import Exchange, Round, Said

VAIN_TURNS = 4.0  # what a list says in vain for so many turns weighs as much as writing it anew
FRAME_TOKENS = 40  # of a list: the call in whose result it stands
ANSWER_TOKENS = 60  # that stand with what the user said between two lists


@dataclass(frozen=True, slots=True)
class List:
    """A list of what was moved, and the call in whose result it stands."""

    anchor: Round
    exchange: Exchange
    text: str
    tokens: int


def told_tokens(round_: Round) -> int:
    """What a list says of a round now: nothing of a call that a later one shows better."""
    return round_.said_tokens + (0 if round_.is_covered else round_.line_tokens)


def only_named(text: str, rounds: Sequence[Round]) -> set[int]:
    """Of rounds that do nothing but read, those whose every path stands in `text`; recall takes the path too."""
    return {
        round_.index
        for round_ in rounds
        if round_.exchanges
        and all(e.call.kind == "read" and e.call.thing and e.call.thing in text for e in round_.exchanges)
    }


def first_stale(lists: Sequence[List], live: Sequence[Round], segments: Sequence[Said], turns: int) -> int:
    """The place of the list from which on all are best made one; `len(lists)` if none is.

    What the lists from there on say in vain is weighed against writing the view from there on anew. `live` are the rounds
    of which something stands in the view.
    """
    wanted = dict[int, int]()  # by a list's anchor, what it would say now
    for round_ in live:
        if round_.list_at >= 0:
            is_asked = turns - round_.index <= round_.horizon
            tokens = told_tokens(round_) if is_asked else round_.said_tokens
            wanted[round_.list_at] = wanted.get(round_.list_at, 0) + tokens
    rewritten = vain = 0
    best, start = 0.0, len(lists)
    between = [segment for segment in segments if segment.rounds]
    for place in range(len(lists) - 1, -1, -1):
        vain += lists[place].tokens - wanted.get(lists[place].anchor.index, 0)
        rewritten += lists[place].tokens + FRAME_TOKENS
        before = lists[place - 1].anchor.index if place else -1
        while between and between[-1].rounds[-1].index > before:
            rewritten += between.pop().tokens + ANSWER_TOKENS
        if (gain := VAIN_TURNS * vain - rewritten) > best:
            best, start = gain, place
    return start
