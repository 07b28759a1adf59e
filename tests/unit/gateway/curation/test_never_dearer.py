"""No stage of any session is billed more than it would be with nothing done."""

import json
from collections import defaultdict
from collections.abc import Sequence
from random import Random

import pytest

from legion_core.gateway.curation.curator import Curator
from legion_core.gateway.curation.types import CurationSettings, Prices
from legion_core.gateway.types import Message, TextBlock, ThinkingBlock, ToolResultBlock, ToolUseBlock
from tests.unit.gateway.curation.sessions import called, gave, said, user

STAGES = (1, 2, 4, 6, 10, 20, 50)  # of the published table
TURNS = 70


class Bill:
    """What requests cost, by stage: each reads the longest beginning that the one before it carried."""

    def __init__(self, prices: Prices, chars_a_token: int) -> None:
        self.by_stage = defaultdict[int, float](float)
        self._prices = prices
        self._chars = chars_a_token
        self._past: Sequence[Message] = ()
        self._fixed = 0  # tokens before the messages that were sent already

    def count(self, text: str) -> int:
        return -(-len(text) // self._chars)

    def request(self, turn: int, view: Sequence[Message], fixed: int, *, is_cold: bool) -> None:
        prices, same = self._prices, 0
        if not is_cold and fixed == self._fixed:
            while same < min(len(view), len(self._past)) and view[same] == self._past[same]:
                same += 1
        read = fixed if self._past and fixed == self._fixed and not is_cold else 0
        read += sum(map(self._weight, view[:same]))
        total = fixed + sum(map(self._weight, view))
        read = read if read >= prices.cache_least_tokens else 0
        stage = max(begin for begin in STAGES if begin <= turn)
        fresh = prices.cache_write if total >= prices.cache_least_tokens else 1.0
        self.by_stage[stage] += prices.cache_read * read + fresh * (total - read)
        self._past, self._fixed = view, fixed

    def _weight(self, message: Message) -> int:
        tokens = 4
        for block in message.content:
            match block:
                case TextBlock() | ThinkingBlock() | ToolResultBlock():
                    tokens += self.count(block.text)
                case ToolUseBlock():
                    tokens += self.count(block.name) + self.count(block.arguments) + 4
                case _:
                    pass
        return tokens


def session(rng: Random, turns: int) -> list[list[Message]]:
    """Calls with results of any size, of few files and commands; answers; one large result now and then."""
    steps, new = list[list[Message]](), [user("Go. " * rng.choice((1, 40, 2_000)))]
    size = rng.choice((20, 200, 2_000))
    for turn in range(turns):
        steps.append(new)
        if rng.random() < 0.1:
            new = [said("It is done. Decision: `limit` is 3. " * rng.choice((1, 60))), user("Now the next.")]
            continue
        name, arguments = rng.choice(
            (
                ("read_file", {"path": f"src/{rng.randint(1, 9)}.py"}),
                ("bash", {"command": f"make {rng.randint(1, 3)}"}),
                ("grep", {"pattern": f"word_{turn}"}),
            )
        )
        lines = rng.choice((0, size // 4, size, size, 9 * size if rng.random() < 0.1 else size))
        text = "\n".join(f"{turn} {row} value = {rng.random()}" for row in range(lines // 8)) or "ok"
        thinking = "I should look. " * rng.choice((0, 5, 90))
        new = [called(turn, name, arguments, thinking=thinking), gave(turn, text)]
    return steps


def play(rng: Random, turns: int) -> tuple[Bill, Bill, int]:
    prices = Prices(
        cache_read=rng.choice((0.1, 0.1, 0.25, 0.5, 1.0)),
        cache_write=rng.choice((1.0, 1.25, 2.0)),
        cache_least_tokens=rng.choice((0, 1_024, 4_096)),
    )
    chars = rng.randint(1, 8)
    ours, alone = Bill(prices, chars), Bill(prices, chars)
    curator = Curator(ours.count, CurationSettings(prices=prices, raw_rounds=0))
    fixed, definition = rng.choice((0, 500, 5_000)), rng.choice((0, 80))
    entering = fixed + definition if definition else 0
    view: tuple[Message, ...] = ()
    history: list[Message] = []
    epoch = 0
    for turn, new in enumerate(session(rng, turns), 1):
        is_cold = turn > 1 and rng.random() < 0.04
        if is_cold and rng.random() < 0.8:  # now and then nobody notices
            done = curator.idle()
            view, epoch = done.messages, done.epoch
        history += new
        sent = fixed + definition if epoch else fixed
        ours.request(turn, (*view, *new), sent, is_cold=is_cold)
        alone.request(turn, tuple(history), fixed, is_cold=is_cold)
        curator.add(new)
        done = curator.view(entering)
        view, epoch = done.messages, done.epoch
    return ours, alone, epoch


@pytest.mark.slow
@pytest.mark.requirement("curation.never-dearer")
def test_no_stage_of_a_random_session_is_billed_more_than_left_alone() -> None:
    epochs = 0
    for seed in range(60):
        rng = Random(f"never dearer {seed}")
        ours, alone, made = play(rng, rng.choice((7, 9, 12, 18, 25, TURNS)))
        epochs += made
        for stage, cost in alone.by_stage.items():
            assert ours.by_stage[stage] <= 1.01 * cost, (seed, stage, json.dumps(ours.by_stage))
    assert epochs > 100


def test_an_epoch_right_before_the_last_request_is_not_billed_more() -> None:
    """One large file at the fifth answer makes an edit tempting, and the session may end with the next request."""
    for last in range(6, 12):
        rng = Random("tempting")
        prices = Prices(cache_least_tokens=0)
        ours, alone = Bill(prices, 4), Bill(prices, 4)
        curator = Curator(ours.count, CurationSettings(prices=prices, raw_rounds=0))
        view: tuple[Message, ...] = ()
        history: list[Message] = []
        for turn, new in enumerate(session(rng, last), 1):
            history += new
            ours.request(turn, (*view, *new), 0, is_cold=False)
            alone.request(turn, tuple(history), 0, is_cold=False)
            curator.add(new)
            view = curator.view().messages
        assert all(ours.by_stage[stage] <= cost for stage, cost in alone.by_stage.items()), last
