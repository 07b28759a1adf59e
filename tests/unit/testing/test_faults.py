"""Arming fault sites: by plan, visit by visit, and by chance from a seed."""

import pytest

from legion_core.kernel.faults import SITES, fault
from legion_core.testing.faults import armed, chance, every_visit, failing

SITE, OTHER = sorted(SITES)[:2]


def test_an_unarmed_site_does_nothing() -> None:
    fault(SITE)


def test_only_the_planned_visit_of_the_planned_site_fails() -> None:
    with armed(failing(SITE, visit=2)) as plan:
        fault(SITE)
        fault(OTHER)
        with pytest.raises(OSError, match="injected"):
            fault(SITE)
        fault(SITE)
    assert plan.visits == {SITE: 3, OTHER: 1}
    assert plan.fired == {SITE: 1}


def test_sites_are_silent_again_after_a_failure() -> None:
    with pytest.raises(LookupError), armed(failing(SITE, error=LookupError)):
        fault(SITE)
    fault(SITE)


def test_an_anomaly_loop_fails_each_visit_once_and_then_none() -> None:
    reached: list[int] = []
    for plan in every_visit(SITE):
        done = 0
        with armed(plan):
            try:
                for _ in range(3):
                    fault(SITE)
                    done += 1
            except OSError:
                pass
        reached.append(done)
    assert reached == [0, 1, 2, 3]


def test_an_unregistered_site_is_a_mistake_of_ours() -> None:
    with armed(failing(SITE)), pytest.raises(AssertionError, match="unregistered"):
        fault("no.such")
    with pytest.raises(AssertionError, match="unregistered"):
        failing("no.such")


def _story(seed: int) -> str:
    told = ""
    with armed(chance(seed)):
        for site in sorted(SITES) * 20:
            try:
                fault(site)
                told += "."
            except OSError:
                told += "x"
    return told


def test_chance_repeats_with_its_seed_and_varies_between_seeds() -> None:
    stories = [_story(seed) for seed in range(40)]
    assert stories == [_story(seed) for seed in range(40)]
    assert len(set(stories)) > 30


def test_every_site_fires_under_some_seed() -> None:
    fired: set[str] = set()
    for seed in range(40):
        with armed(chance(seed)) as plan:
            for site in sorted(SITES) * 20:
                try:
                    fault(site)
                except OSError:
                    fired.add(site)
        assert plan.visits.total() == len(SITES) * 20
    assert fired == SITES
