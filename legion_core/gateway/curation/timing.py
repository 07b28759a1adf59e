"""When an epoch pays: what is carried for nothing against what is written anew, and what a stage has cost so far."""

from dataclasses import dataclass

from legion_core.gateway.curation.types import CurationSettings, Stage

CONTEXT_SHARE = 0.85
GAIN_LEAST = 0.2  # an epoch that takes less than this from the view is put off
AGAIN_AFTER = 1.05  # an epoch that was put off is tried again when the view is so much longer


@dataclass(slots=True)
class _Spent:
    """What a stage has cost so far, sent and with nothing done, in tokens and in money."""

    sent: int = 0
    naive: int = 0
    paid: float = 0.0
    naive_paid: float = 0.0


class Timing:
    """Counts what requests cost and decides by it; tokens in, yes or no out."""

    def __init__(self, settings: CurationSettings) -> None:
        self._settings = settings
        self._begun = -1  # the stage the turn is in; before the first one: -1
        self._turns_left = float("inf")
        self._spent = _Spent()
        self._carried = 0  # tokens times turns, above what the last epoch left
        self._least = 0
        self._is_cold = False
        self._not_before = 0  # tokens of the view below which no epoch is tried again
        self.cached_tokens = 0  # of the view, what the last request already carried
        self._cached_naive = 0

    @property
    def stage(self) -> Stage:
        """That of the turn; before the first one begins, the first."""
        return self._settings.stages[max(self._begun, 0)]

    def enter(self, turn: int, *, is_cold: bool) -> None:
        """A turn begins; `is_cold`: the provider's cache has run out."""
        begun, self._turns_left = -1, float("inf")
        for place, stage in enumerate(self._settings.stages):
            if turn < stage.begins:
                self._turns_left = stage.begins - turn
                break
            begun = place
        if begun != self._begun:
            self._begun, self._spent = begun, _Spent()
        self._is_cold = is_cold
        if is_cold:
            self.cached_tokens = self._cached_naive = 0

    def is_forced(self, tokens: int) -> bool:
        """Whether the model's window is nearly full."""
        window = self._settings.context_tokens
        return window is not None and tokens > CONTEXT_SHARE * window

    def is_due(self, tokens: int, naive: int, rewrite: int) -> bool:
        """Whether an epoch that writes about `rewrite` tokens anew should be tried. `naive`: the whole history's."""
        if tokens <= self._settings.least_tokens:
            return False
        if self.is_forced(tokens):
            return True
        if tokens <= self._not_before:
            return False
        if self._is_cold:
            return True
        if self._begun < 0:
            return False
        spent, stage = self._spent, self.stage
        return stage.carry * self._carried >= rewrite or spent.sent + tokens > stage.share * (
            spent.naive + naive
        )

    def is_worth(self, before: int, after: int, common: int, naive: int) -> bool:
        """Whether an epoch from `before` to `after` tokens, of which `common` stay in the cache, gains and is repaid.

        That is: the stage stays cheaper than leaving all alone, or is again before it ends.
        """
        if before - after < GAIN_LEAST * before:
            return False
        if self.is_forced(before):
            return True
        read, spent = self._settings.prices.cache_read, self._spent
        edited = self._cost(common, after)
        alone = self._cost(self._cached_naive, naive)
        if self._begun >= 0 and spent.paid + edited <= spent.naive_paid + alone:
            return True
        extra = edited - self._cost(self.cached_tokens, before)
        return payback_turns(extra, read * (before - after)) <= self._turns_left

    def put_off(self, tokens: int) -> None:
        """An epoch was tried at so many tokens and did not pay."""
        self._not_before = int(tokens * AGAIN_AFTER)

    def edited(self, tokens: int, common: int) -> None:
        """There was an epoch: the view has so many tokens, and so many of them are still in the cache."""
        self._not_before, self.cached_tokens = 0, common
        self._carried, self._least = 0, tokens

    def pay(self, tokens: int, naive: int) -> None:
        """Note what a request costs, and what it would have cost with nothing done."""
        spent = self._spent
        self._carried += tokens - self._least
        spent.sent += tokens
        spent.naive += naive
        spent.paid += self._cost(self.cached_tokens, tokens)
        spent.naive_paid += self._cost(self._cached_naive, naive)
        self.cached_tokens, self._cached_naive = tokens, naive

    def _cost(self, cached: int, tokens: int) -> float:
        """What a request costs in fresh-token equivalents when its first `cached` tokens lie in the cache."""
        cached, prices = min(cached, tokens), self._settings.prices
        return prices.cache_read * cached + prices.cache_write * (tokens - cached)


def payback_turns(now_extra: float, saved_a_turn: float) -> float:
    """After how many turns an edit has earned what breaking the cached prefix costs."""
    if now_extra <= 0:
        return 0.0
    return now_extra / saved_a_turn if saved_a_turn > 0 else float("inf")
