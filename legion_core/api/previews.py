"""What a rule would do, asked before anything is saved; computed by the code that will do it."""

from legion_core.engine.conditions import GroupExplained, compiled


def explain(when: object, payload: object) -> GroupExplained:
    """Every rule of a condition with what it found in `payload`; InvalidDocument names every fault of the condition."""
    return compiled(when).explain(payload)
