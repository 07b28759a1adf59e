"""`/metrics` in Prometheus' text format."""

from collections.abc import Iterable

from legion_core.surfaces.rest.calls import Call, Desk, Operation, Raw
from legion_core.surfaces.rest.operations.health import resident_bytes

Sample = tuple[dict[str, str], float]
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def metrics(desk: Desk, call: Call) -> Raw:
    """Counters of this run, and the ledger's sums, which survive it."""
    status = await desk.legion.ops.status()
    tiers = await desk.legion.llm.ledger_summary("tier")
    tally = desk.tally
    text = "".join(
        (
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
            family(
                "legion_attempts_total",
                "counter",
                "Attempts at a model, by tier.",
                (({"tier": row.key}, row.attempts) for row in tiers),
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
                    )
                ),
            ),
            family(
                "legion_cost_usd_total",
                "counter",
                "Known cost, by tier.",
                (({"tier": row.key}, row.cost_usd) for row in tiers),
            ),
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
