"""`/metrics` in Prometheus' text format."""

from collections.abc import Callable, Iterable, Sequence

from legion_core.api.types import ProviderRow, SummaryRow
from legion_core.gateway.ledger_types import BudgetRow
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Raw
from legion_core.surfaces.rest.operations.health import resident_bytes

Sample = tuple[dict[str, str], float]
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


INSTANCES_MAX = 200  # that have metrics of their own; whoever configures more has other problems
_CIRCUITS = ("closed", "half_open", "open")
_MONEY: tuple[tuple[str, str, Callable[[BudgetRow], float]], ...] = (
    ("limit", "What a day may cost.", lambda row: row.limit_usd),
    ("spent", "What this day has cost.", lambda row: row.spent_usd),
    ("held", "What is held for requests under way.", lambda row: row.held_usd),
)


async def metrics(desk: Desk, call: Call) -> Raw:
    """Counters of this run, and the ledger's sums, which survive it.

    Labels are names of the configuration and words of this program, never of a request: no client can make more.
    """
    status = await desk.legion.ops.status()
    tiers = await desk.legion.llm.ledger_summary("tier")
    outcomes = await desk.legion.llm.ledger_summary("outcome")
    providers = desk.legion.providers.known()[:INSTANCES_MAX]
    text = "".join(
        (
            *_of_http(desk),
            *_of_the_ledger(tiers, outcomes),
            *_of_providers(providers),
            *_of_money(await desk.legion.llm.budgets()),
            family("legion_uptime_seconds", "gauge", "Since this run began.", (({}, status.uptime_s),)),
            family(
                "process_resident_memory_bytes", "gauge", "Resident memory.", (({}, float(resident_bytes())),)
            ),
            family(
                "legion_info", "gauge", "What runs.", (({"version": status.version, "mode": status.mode}, 1),)
            ),
        )
    )
    return Raw(text.encode(), media_type=MEDIA_TYPE)


def _of_http(desk: Desk) -> tuple[str, ...]:
    tally = desk.tally
    return (
        family(
            "legion_http_requests_total",
            "counter",
            "Requests answered.",
            (
                ({"operation": operation, "status": str(code)}, count)
                for (operation, code), count in sorted(tally.answered.items())
            ),
        ),
        family(
            "legion_http_refused_total",
            "counter",
            "Requests turned away before any handler.",
            (({"status": str(code)}, count) for code, count in sorted(tally.refused.items())),
        ),
    )


def _of_the_ledger(tiers: Sequence[SummaryRow], outcomes: Sequence[SummaryRow]) -> tuple[str, ...]:
    return (
        family(
            "legion_attempts_total",
            "counter",
            "Attempts at a model, by tier.",
            (({"tier": row.key}, row.attempts) for row in tiers),
        ),
        family(
            "legion_attempt_outcomes_total",
            "counter",
            "Attempts at a model, by how they ended.",
            (({"outcome": row.key}, row.attempts) for row in outcomes),
        ),
        family(
            "legion_tokens_total",
            "counter",
            "Tokens, by tier.",
            (
                sample
                for row in tiers
                for sample in (
                    ({"tier": row.key, "direction": "input"}, row.input_tokens),
                    ({"tier": row.key, "direction": "output"}, row.output_tokens),
                    ({"tier": row.key, "direction": "cache_read"}, row.cache_read_tokens),
                    ({"tier": row.key, "direction": "cache_write"}, row.cache_write_tokens),
                )
            ),
        ),
        family(
            "legion_cost_usd_total",
            "counter",
            "Known cost, by tier.",
            (({"tier": row.key}, row.cost_usd) for row in tiers),
        ),
        family(
            "legion_unpriced_attempts_total",
            "counter",
            "Attempts whose price is unknown, by tier.",
            (({"tier": row.key}, row.unpriced) for row in tiers),
        ),
    )


def _of_providers(providers: Sequence[ProviderRow]) -> tuple[str, ...]:
    return (
        family(
            "legion_circuit_state",
            "gauge",
            "1 for the state each instance's circuit is in.",
            (
                ({"instance": row.name, "state": state}, float(row.circuit == state))
                for row in providers
                for state in _CIRCUITS
            ),
        ),
        family(
            "legion_circuit_failures",
            "gauge",
            "Counted failures of the last 300 s, by instance.",
            (({"instance": row.name}, row.failures) for row in providers),
        ),
        family(
            "legion_attempts_in_flight",
            "gauge",
            "Attempts under way, by instance.",
            (({"instance": row.name}, row.in_flight) for row in providers),
        ),
    )


def _of_money(budgets: Sequence[BudgetRow]) -> tuple[str, ...]:
    """Of the whole day only: clients and conversations are as many as there are."""
    day = [row for row in budgets if row.scope == "day"]
    return tuple(
        family(f"legion_budget_{word}_usd", "gauge", words, (({"scope": "day"}, value(row)) for row in day))
        for word, words, value in _MONEY
    )


def family(name: str, kind: str, words: str, samples: Iterable[Sample]) -> str:
    """One metric with its samples, as text."""
    lines = [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{shown}}} {value:g}" if shown else f"{name} {value:g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


OPERATIONS = (
    Operation(
        method="GET",
        path="/metrics",
        name="metrics",
        summary="Counters for Prometheus",
        handler=metrics,
        right=("nodes", "read"),
        example='legion_attempts_total{tier="local"} 7\n',
        media_type="text/plain",
        is_enveloped=False,
    ),
)
