"""What a rule or a cron expression would do, asked before anything is saved; computed by the code that will do it."""

from datetime import datetime

from legion_core.api.schedule_types import Fires
from legion_core.engine.conditions import GroupExplained, compiled
from legion_core.engine.cron import next_fires, parsed
from legion_core.engine.cron_words import in_words

FIRES_MAX = 1000


def explain(when: object, payload: object) -> GroupExplained:
    """Every rule of a condition with what it found in `payload`; InvalidDocument names every fault of the condition."""
    return compiled(when).explain(payload)


def fires(cron: str, zone: str, after: datetime, count: int) -> Fires:
    """The next `count` (at most 1,000) moments after `after`; InvalidDocument for a text or zone that cannot be used."""
    moments = next_fires(cron, zone, after, min(count, FIRES_MAX))
    return Fires(fires=moments, words=in_words(parsed(cron)))
