"""When an epoch pays: what is carried for nothing against what is written anew, and what a stage has cost so far.

A stage is never billed more than it would be with nothing done. An epoch breaks the cache once, in the request after it; every
later one is cheaper than alone, because the view is the shorter history and what is new costs both the same. So it is
enough that this one request is paid out of what the stage has saved so far and what it saves itself (`is_worth`),
whatever comes behind it or whether anything does.
"""

from dataclasses import dataclass

from legion_core.gateway.curation.types import CurationSettings, Stage

CONTEXT_SHARE = 0.85
GAIN_LEAST = 0.2  # an epoch that takes less than this from the view is put off
AGAIN_AFTER = 1.05  # an epoch that was put off is tried again when the view is so much longer
PATIENCE = 1  # times it is put off before files read just now have to go


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
        self._spent = _Spent()
        self._carried = 0  # tokens times turns, above what the last epoch left
        self._least = 0
        self._is_cold = False
        self._put_off = 0  # times, since the last one
        self._not_before = 0  # tokens of the view below which no epoch is tried again
        self.cached_tokens = 0  # of the view, what the last request already carried
        self._cached_naive = 0

    @property
    def stage(self) -> Stage:
        """That of the turn; before the first one begins, the first."""
        return self._settings.stages[max(self._begun, 0)]

    @property
    def is_urgent(self) -> bool:
        """Whether an epoch was put off so often that it has to come at the next chance."""
        return self._put_off >= PATIENCE

    def enter(self, turn: int) -> None:
        """What is counted and decided from here on is the request of that turn."""
        begun = sum(turn >= stage.begins for stage in self._settings.stages) - 1
        if begun != self._begun:
            self._begun, self._spent = begun, _Spent()

    def cool(self) -> None:
        """The provider's cache has run out."""
        self._is_cold = True
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

    def is_worth(self, before: int, after: int, common: int, naive: int, entering: int = 0) -> bool:
        """Whether an epoch from `before` to `after` tokens gains, and the next request is paid out of what was saved.

        `common` tokens stay in the cache. `entering`: what stands before the view and is written anew as well.
        """
        if before - after < GAIN_LEAST * before:
            return False
        if self.is_forced(before):
            return True
        prices = self._settings.prices
        least = prices.cache_least_tokens
        if after + entering < least and least > prices.cache_read * naive:
            return False  # it would be sent uncached at every turn, at the full price
        return after - self._kept(common) <= self.allowance(common, naive, entering)

    def allowance(self, common: int, naive: int, entering: int = 0) -> float:
        """Tokens that the next request may write anew, over what it would write with nothing done."""
        prices, spent, common = self._settings.prices, self._spent, self._kept(common)
        saved = spent.naive_paid - spent.paid
        alone = self._cost(self._cached_naive, naive)
        broken = (prices.cache_write - prices.cache_read) * entering if self._cached_naive else 0.0
        return (saved + alone - broken - prices.cache_read * common) / prices.cache_write

    def put_off(self, tokens: int) -> None:
        """An epoch was tried at so many tokens and did not pay."""
        self._not_before = int(tokens * AGAIN_AFTER)
        self._put_off += 1

    def edited(self, tokens: int, common: int) -> None:
        """There was an epoch: the view has so many tokens, and so many of them are still in the cache."""
        self._not_before, self._put_off, self.cached_tokens = 0, 0, common
        self._carried, self._least = 0, tokens

    def pay(self, tokens: int, naive: int) -> None:
        """Note what a request costs, and what it would have cost with nothing done."""
        spent = self._spent
        self._carried += tokens - self._least
        spent.sent += tokens
        spent.naive += naive
        spent.paid += self._cost(self._kept(self.cached_tokens), tokens)
        spent.naive_paid += self._cost(self._cached_naive, naive)
        self.cached_tokens, self._cached_naive = tokens, naive
        self._is_cold = False

    def _cost(self, cached: int, tokens: int) -> float:
        """What a request costs in fresh-token equivalents when its first `cached` tokens lie in the cache."""
        cached, prices = min(cached, tokens), self._settings.prices
        return prices.cache_read * cached + prices.cache_write * (tokens - cached)

    def _kept(self, tokens: int) -> int:
        """Of a beginning that a request carried, what of it a provider keeps, if nothing stands before it."""
        return tokens if tokens >= self._settings.prices.cache_least_tokens else 0
