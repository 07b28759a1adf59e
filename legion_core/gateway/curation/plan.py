"""What stays: how much of each round the view keeps when so many tokens are left for them. Decides, does nothing.

Newest first, and what no later call shows better. What an agent comes back for is kept as long as it fits: which calls
were made to which things, how they ended, what was decided and what did not work; then the newest results themselves,
as extracts or whole.
"""

from collections.abc import Container, Sequence

from legion_core.gateway.curation.rounds import Level, Round
from legion_core.gateway.curation.types import Strategy

SAID_SHARE = 0.7  # of what is left, at most for telling sentences
LIST_SHARE = 0.85  # of what is left, at most for these and a line for each call
ASIDE_SHARE = 0.05  # of what is then left, at most for other sentences
WHOLE_SHARE = 0.6  # of what is then left, at most for one result as it is


class Plan:
    """Levels by round index; `lines`, `quotes` and `asides` are the rounds of which the list has a line, words, more words."""

    __slots__ = ("asides", "hot", "levels", "lines", "quotes")

    def __init__(self) -> None:
        self.levels = dict[int, Level]()
        self.lines = set[int]()
        self.quotes = set[int]()
        self.asides = set[int]()
        self.hot = set[int]()


def plan(
    rounds: Sequence[Round],
    tokens_left: int,
    answers_least: int,
    *,
    hot_turns: int = 2,
    hot_tokens: int = 0,
    named: Container[int] = (),
) -> Plan:
    """How much of each of `rounds` (in order, none of them of the untouched end) fits into `tokens_left`.

    `answers_least`: the tokens that the answers among them take at least. `hot_tokens` are, of those left, at most for
    files that were read in the last `hot_turns`. Of the rounds in `named` a list says already what they read. A level is never above the one it has.
    """
    made = Plan()
    left = tokens_left - answers_least
    for round_ in rounds:
        made.levels[round_.index] = min(round_.level, Level.BARE) if round_.is_kept else Level.GONE
        left -= round_.bare_tokens if round_.is_kept else 0
    newest_first = [round_ for round_ in reversed(rounds) if not round_.is_kept]
    newest = rounds[-1].index + 1
    left -= _keep_hot(newest_first, made, newest - hot_turns, hot_tokens)
    newest_first = [round_ for round_ in newest_first if round_.index not in made.hot]
    room = max(left, 0)
    said = _quote(newest_first, made, room * SAID_SHARE)
    unnamed = [round_ for round_ in newest_first if round_.index not in named]
    lines = _list(unnamed, made, newest, room * LIST_SHARE - said)
    left -= said + lines
    left -= _quote_asides(newest_first, made, max(0.0, left) * ASIDE_SHARE)
    _grow(newest_first, made, left)
    return made


def _keep_hot(newest_first: Sequence[Round], made: Plan, oldest: int, most: float) -> int:
    """Files that were read just now stay whole; gives the tokens spent, as all of these do."""
    spent = 0
    for round_ in newest_first:
        if round_.index < oldest:
            break
        if round_.level < Level.FILES or round_.is_covered:
            continue
        if round_.has_reads and spent + round_.files_tokens <= most:
            made.levels[round_.index] = Level.FILES
            made.hot.add(round_.index)
            spent += round_.files_tokens
    return spent


def _quote(newest_first: Sequence[Round], made: Plan, most: float) -> int:
    """Telling sentences."""
    spent = 0
    for round_ in newest_first:
        if round_.said and not round_.is_answer and spent + round_.said_tokens <= most:
            made.quotes.add(round_.index)
            made.levels[round_.index] = Level.LISTED
            spent += round_.said_tokens
    return spent


def _list(newest_first: Sequence[Round], made: Plan, newest: int, most: float) -> int:
    """A line for each call that may still be asked for, first for those whose outcome still holds."""
    spent = 0
    for round_ in sorted(newest_first, key=lambda round_: (newest - round_.index) / round_.horizon):
        if newest - round_.index > round_.horizon:
            break
        if round_.is_answer or round_.is_covered or not round_.has_line:
            continue
        if spent + round_.line_tokens <= most:
            made.lines.add(round_.index)
            made.levels[round_.index] = Level.LISTED
            spent += round_.line_tokens
    return spent


def _quote_asides(newest_first: Sequence[Round], made: Plan, most: float) -> int:
    """Sentences that tell less."""
    spent = 0
    for round_ in newest_first:
        if round_.aside and not round_.is_answer and spent + round_.aside_tokens <= most:
            made.asides.add(round_.index)
            made.levels[round_.index] = Level.LISTED
            spent += round_.aside_tokens
    return spent


def _grow(newest_first: Sequence[Round], made: Plan, left: float) -> None:
    """Spend what is left on the newest rounds: whole where that leaves something for others, else as extracts."""
    for round_ in newest_first:
        if left <= 0:
            return
        if round_.is_covered and not round_.is_answer:
            continue
        index = round_.index
        held = (
            (round_.line_tokens if index in made.lines else 0)
            + (round_.said_tokens if index in made.quotes else 0)
            + (round_.aside_tokens if index in made.asides else 0)
        )
        if round_.level >= Level.BARE and round_.bare_tokens - held <= left * WHOLE_SHARE:
            level, tokens = Level.BARE, round_.bare_tokens
        elif round_.level >= Level.DISTILLED and round_.distilled_tokens - held <= left * WHOLE_SHARE:
            level, tokens = Level.DISTILLED, round_.distilled_tokens
        else:
            continue
        made.levels[index] = level
        made.lines.discard(index)
        made.quotes.discard(index)
        made.asides.discard(index)
        left -= tokens - held


def strategy_of(round_: Round, level: Level, is_resolved: bool) -> Strategy:
    """By which of the six a round comes to `level`."""
    if level is Level.BARE:
        return "strip_thinking"
    if level in (Level.DISTILLED, Level.FILES):
        return "distill_tool_result"
    if round_.covered and not round_.repeated:
        return "evict_superseded"
    if round_.repeated:
        return "dedup_similar"
    return "fold_resolved_exchanges" if is_resolved else "drop_and_archive"
