"""Places where a test may make the world fail: no-ops in production.

A site is a name in `SITES`; code calls `fault("site")` where the failure would strike. Tests arm sites through
`legion_core.testing.faults`; nothing else sets the hook. Idea: FoundationDB's Buggify.
"""

from collections.abc import Callable

SITES: frozenset[str] = frozenset(
    {
        "engine.run",
        "engine.end",
        "engine.hop",
        "engine.insert",
        "engine.settle",
        "storage.begin",
        "storage.write",
        "storage.commit",
        "secrets.write",
        "config.write",
        "workers.spawn",
        "workers.frame",
        "models.import",
        "providers.connect",
        "providers.stream",
        "ledger.keep",
        "ledger.write",
        "curation.archive",
        "curation.view",
    }
)

_hook: Callable[[str], None] | None = None


def fault(site: str) -> None:
    """Raise here if a test armed `site`; otherwise nothing."""
    if _hook is not None:
        assert site in SITES, f"unregistered fault site {site!r}"
        _hook(site)


def arm(hook: Callable[[str], None] | None) -> None:
    """Install (or with None remove) the hook; for `legion_core.testing` alone."""
    # One process, one hook: the alternative is to thread it through every call.
    global _hook
    _hook = hook
