"""Arms the fault sites of `legion_core.kernel.faults`, by plan or by chance from a seed.

Two ways: `failing(site, visit=3)` makes exactly that visit fail, and `every_visit(site)` does so for the first,
second, third… until one run meets no failure (SQLite's anomaly loops). `chance(seed)` follows FoundationDB: a site
is active in a run with one probability and then fires with another, so that each seed explores its own mix.
"""

import errno
import random
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from legion_core.kernel.faults import SITES, arm

MakeError = Callable[[str], BaseException]
VISITS_MAX = 10_000


def disk_error(site: str) -> BaseException:
    """What a failing disk raises; the default of every plan."""
    return OSError(errno.EIO, f"injected at {site}")


class Plan:
    """Which visits fail, and what happened: `visits` and `fired` count by site. Safe to visit from any thread."""

    def __init__(self, is_failing: Callable[[str, int], bool], error: MakeError) -> None:
        self.visits: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self._is_failing = is_failing
        self._error = error
        self._lock = threading.Lock()

    def __call__(self, site: str) -> None:
        """Count a visit and raise if it is to fail; for `kernel.faults` alone."""
        with self._lock:
            self.visits[site] += 1
            if not self._is_failing(site, self.visits[site]):
                return
            self.fired[site] += 1
        raise self._error(site)


@contextmanager
def armed(plan: Plan) -> Generator[Plan]:
    """Put a plan in force; the sites are silent again afterwards, whatever happens."""
    arm(plan)
    try:
        yield plan
    finally:
        arm(None)


def failing(site: str, *, visit: int = 1, error: MakeError = disk_error) -> Plan:
    """A plan in which the `visit`-th visit (from 1) of `site` fails, and only that."""
    assert site in SITES, f"unregistered fault site {site!r}"
    assert visit >= 1
    return Plan(lambda name, number: name == site and number == visit, error)


def every_visit(site: str, *, error: MakeError = disk_error) -> Iterator[Plan]:
    """Plans that fail visit 1, 2, 3…; ends after the first plan that was armed and never fired.

    Use: `for plan in every_visit("storage.write"): with armed(plan): …` and check the invariants after each.
    """
    for visit in range(1, VISITS_MAX + 1):
        plan = failing(site, visit=visit, error=error)
        yield plan
        if not plan.fired:
            return
    raise AssertionError(f"{site} was visited more than {VISITS_MAX} times; make the scenario smaller")


def chance(
    seed: int,
    *,
    sites: frozenset[str] = SITES,
    active: float = 0.25,
    fires: float = 0.25,
    error: MakeError = disk_error,
) -> Plan:
    """A plan drawn from `seed`: each site takes part with probability `active`, each visit then fails with `fires`."""
    rng = random.Random(seed)
    chosen = frozenset(site for site in sorted(sites) if rng.random() < active)
    return Plan(lambda name, _: name in chosen and rng.random() < fires, error)
