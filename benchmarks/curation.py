"""Curation against the usual ways, judged on the same sessions: `python -m benchmarks.curation --seeds 100 --json`.

What is measured and how is fixed in docs/curation-corpus.md. Sessions are shared out over processes; each is played
once for each policy. The baselines are played for the first `--baselines` seeds only.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import curation_corpus as corpus
from benchmarks.curation_billing import Bill, Meter
from benchmarks.curation_policies import BASELINES, Naive, OursLive, Policy, block_tokens
from benchmarks.curation_probes import Asked, Reading, ask, falsehoods, originals_of
from benchmarks.curation_rules import faults
from benchmarks.curation_tokens import NAME, pinned
from benchmarks.curation_truth import RECALL_KINDS, VIEW_KINDS, Session
from legion_core.gateway.types import Message, TextBlock, ToolUseBlock

FLOORS = {"10-19": 54.0, "20-49": 73.0, "50+": 97.0}
CHECKS = 6  # requests of a conversation at which everything is asked
SPARSE_CHECKS = 12  # requests at which a slow policy is asked for its view
OURS = "legion curation"


@dataclass(slots=True)
class Score:
    """One policy on some conversations."""

    naive: int = 0
    bill: Bill = field(default_factory=Bill)
    asked: Asked = field(default_factory=Asked)
    refused: int = 0  # views a provider would refuse
    fault: str = ""
    false: list[str] = field(default_factory=list[str])
    leaks: int = 0  # secrets in text that was written by the policy
    unverbatim: int = 0  # user texts that are not whole in a view
    lost: int = 0  # original texts that are neither in the view nor in the archive
    unlike: int = 0  # views that differ when the same history is played again
    cpu_ms: list[float] = field(default_factory=list[float])
    edits: int = 0
    requests: int = 0

    def merge(self, other: "Score") -> None:
        """Add another's counts."""
        self.naive += other.naive
        self.bill += other.bill
        self.asked.merge(other.asked)
        for name in (
            "refused",
            "leaks",
            "unverbatim",
            "lost",
            "unlike",
            "edits",
            "requests",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.fault = self.fault or other.fault
        self.false = (self.false + other.false)[:50]
        self.cpu_ms += other.cpu_ms

    @property
    def reduction(self) -> float:
        """Percent."""
        return 100.0 * (1 - self.bill.sent / self.naive) if self.naive else 0.0


def play(session: Session, policy: Policy, *, is_ours: bool = False, is_asked: bool = True) -> Score:
    """Play a conversation for one policy; with `is_asked` off only what it costs is counted."""
    score = Score()
    system_tokens = sum(map(pinned().count, session.system))
    meter = Meter(system_tokens)
    results, said, order = originals_of(session)
    turns = len(session.steps)
    checks = {max(1, round(turns * (at + 1) / CHECKS)) for at in range(CHECKS)} if turns >= 10 else {turns}
    checks = checks if is_asked else set[int]()
    views = {max(1, round(turns * (at + 1) / SPARSE_CHECKS)) for at in range(SPARSE_CHECKS)}
    naive = system_tokens
    user_texts: list[str] = []
    weight_of_last = 0
    for turn, step in enumerate(session.steps, 1):
        naive += _tokens(step.added)
        score.naive += naive
        user_texts += [
            block.text
            for message in step.added
            if message.role == "user"
            for block in message.content
            if isinstance(block, TextBlock)
        ]
        begun = time.thread_time()
        policy.add(step.added)
        if policy.sparse and turn not in views and turn not in checks:
            score.bill.sent += weight_of_last  # a step function between the requests that are looked at
            score.bill.anthropic += 1.25 * weight_of_last
            score.bill.automatic += weight_of_last
            continue
        view = policy.view(step.at_s)
        score.cpu_ms.append((time.thread_time() - begun) * 1000)
        weight_of_last = meter.request(view, step.at_s)
        if (is_ours or turn in checks) and (wrong := faults(view)):
            score.refused += 1
            score.fault = score.fault or f"{session.name} turn {turn}: {wrong[0]}"
        if turn in checks:
            reading = Reading.of(view, session.system, results, said)
            score.asked.merge(ask(session, turn, policy, reading))
            score.false += falsehoods(session, reading, order)
            written = "\n".join(text for _, text in reading.written)
            score.leaks += sum(secret in written for secret in session.secrets)
            score.unverbatim += sum(text not in reading.whole for text in user_texts)
    score.bill += meter.bill
    score.requests = turns
    if is_ours:
        assert isinstance(policy, OursLive)
        score.edits = policy.edits
        _keeping(score, session, policy)
    return score


def _tokens(messages: Sequence[Message]) -> int:
    return sum(4 + sum(map(block_tokens, message.content)) for message in messages)


def _keeping(score: Score, session: Session, policy: OursLive) -> None:
    """Whether everything that left the view comes back."""
    shown = {id(block) for message in policy.view(session.steps[-1].at_s) for block in message.content}
    archive = policy.curator.archive
    kept = set(archive.values())
    joined: str | None = None
    for step in session.steps:
        for message in step.added:
            for block in message.content:
                text = block.arguments if isinstance(block, ToolUseBlock) else getattr(block, "text", "")
                if id(block) in shown or not text or text in kept:
                    continue
                if joined is None:
                    joined = "\x00".join(kept)
                score.lost += text not in joined


def replay_differs(session: Session) -> int:
    """Play a conversation twice and a third time stopped and fed anew at a third of it; how many views differ."""
    views: list[list[int]] = []
    for _ in range(2):
        policy = OursLive(session.system)
        seen: list[int] = []
        for step in session.steps:
            policy.add(step.added)
            seen.append(
                hash(str(policy.view(step.at_s))) if len(session.steps) < 120 else len(policy.view(step.at_s))
            )
        views.append(seen)
    return sum(one != two for one, two in zip(*views, strict=True))


def one_seed(task: tuple[int, bool, tuple[str, ...]]) -> dict[str, dict[str, Score]]:
    """All conversations of a seed, for ours and perhaps for the baselines."""
    seed, has_baselines, buckets = task
    scores: dict[str, dict[str, Score]] = defaultdict(dict)
    for bucket, session in corpus.sessions(seed, buckets):
        policies: list[Policy] = []
        if has_ours():
            policies.append(OursLive(session.system))
        policies += [kind(session.system) for kind in (BASELINES if has_baselines else (Naive,))]
        for policy in policies:
            is_ours = policy.name == OURS
            score = play(session, policy, is_ours=is_ours, is_asked=is_ours or has_baselines)
            if policy.name == OURS and len(session.steps) <= 120 and seed % 10 == 0:
                score.unlike = replay_differs(session)
            scores[policy.name].setdefault(bucket, Score()).merge(score)
    return dict(scores)


def has_ours() -> bool:
    """Whether the curator can be imported."""
    try:
        OursLive(())
    except ImportError:
        return False
    return True


def run(
    seeds: int, baselines: int, buckets: tuple[str, ...], processes: int, first: int = 0
) -> dict[str, Any]:
    """Everything, as figures."""
    tasks = [(seed, seed - first < baselines, buckets) for seed in range(first, first + seeds)]
    by_seed: list[dict[str, dict[str, Score]]] = []
    begun = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for done in pool.imap_unordered(one_seed, tasks):
            by_seed.append(done)
            print(
                f"\r{len(by_seed)}/{seeds} seeds, {time.perf_counter() - begun:.0f} s",
                end="",
                file=sys.stderr,
                flush=True,
            )
    print(file=sys.stderr)
    total: dict[str, dict[str, Score]] = {}
    for scores in by_seed:
        for policy, table in scores.items():
            for bucket, score in table.items():
                total.setdefault(policy, {}).setdefault(bucket, Score()).merge(score)
    return {"tokenizer": NAME, "seeds": seeds, "policies": _figures(total, by_seed, buckets)}


def _figures(
    total: dict[str, dict[str, Score]], by_seed: list[dict[str, dict[str, Score]]], buckets: tuple[str, ...]
) -> dict[str, Any]:
    page: dict[str, Any] = {}
    for policy, table in total.items():
        rows: dict[str, Any] = {}
        for bucket in buckets:
            score = table[bucket]
            with_naive = [scores for scores in by_seed if policy in scores]
            alone = Bill()
            for scores in with_naive:
                alone += scores["naive"][bucket].bill
            worst = min(scores[policy][bucket].reduction for scores in with_naive)
            asked = score.asked
            rows[bucket] = {
                "requests": score.requests,
                "naive_per_turn": round(score.naive / score.requests),
                "sent_per_turn": round(score.bill.sent / score.requests),
                "reduction": round(score.reduction, 2),
                "worst_seed": round(worst, 2),
                "view_percent": round(asked.share(asked.in_view, VIEW_KINDS), 2),
                "recall_percent": round(asked.share(asked.recalled, (*VIEW_KINDS, *RECALL_KINDS)), 2),
                "rules_percent": round(asked.share(asked.in_view, ("rule",)), 2),
                "billed_over_alone": round(100 * (score.bill.anthropic / alone.anthropic - 1), 2),
                "billed_automatic": round(100 * (score.bill.automatic / alone.automatic - 1), 2),
                "billed_worst_seed": round(
                    max(
                        100 * (s[policy][bucket].bill.anthropic / s["naive"][bucket].bill.anthropic - 1)
                        for s in with_naive
                    ),
                    2,
                ),
                "billed_strict": round(100 * (score.bill.strict / max(1.0, alone.strict) - 1), 2),
                "hit_share": round(100 * score.bill.read / max(1, score.bill.sent), 2),
                "hit_share_strict": round(100 * score.bill.strict_read / max(1, score.bill.sent), 2),
                "refused_views": score.refused,
                "false": len(score.false),
                "leaks": score.leaks,
                "unverbatim": score.unverbatim,
            }
            if policy == OURS:
                rows[bucket] |= {
                    "lost": score.lost,
                    "unlike": score.unlike,
                    "edits": score.edits,
                    "kinds": {
                        k: [asked.asked[k], asked.in_view[k], asked.recalled[k]] for k in sorted(asked.asked)
                    },
                }
                rows[bucket] |= {
                    "first_fault": score.fault,
                    "false_examples": score.false[:8],
                    "lost_examples": asked.lost[:30],
                }
            cpu = sorted(score.cpu_ms)
            if cpu:
                rows[bucket] |= {
                    "cpu_p50_ms": round(cpu[len(cpu) // 2], 3),
                    "cpu_p95_ms": round(cpu[int(len(cpu) * 0.95)], 3),
                    "cpu_max_ms": round(cpu[-1], 3),
                }
        page[policy] = rows
    return page


def floors_of(result: dict[str, Any]) -> dict[str, Any]:
    """The promised figures, flat."""
    ours = result["policies"].get(OURS, {})
    flat: dict[str, Any] = {"seeds": result["seeds"], "tokenizer": result["tokenizer"]}
    for bucket, floor in FLOORS.items():
        if bucket in ours:
            name = bucket.replace("-", "_").replace("+", "_up")
            flat[f"reduction_{name}"] = ours[bucket]["reduction"]
            flat[f"worst_under_floor_{name}"] = round(max(0.0, floor - ours[bucket]["worst_seed"]), 2)
    if not ours:
        return flat
    flat["worst_under_floor"] = max(
        (value for name, value in flat.items() if name.startswith("worst_under_floor_")), default=0.0
    )
    rows = list(ours.values())
    kinds: dict[str, list[int]] = {}
    for row in rows:
        for kind, counts in row["kinds"].items():
            kinds[kind] = [a + b for a, b in zip(kinds.get(kind, [0, 0, 0]), counts, strict=True)]

    def share(wanted: Sequence[str], column: int) -> float:
        asked = sum(kinds.get(kind, [0])[0] for kind in wanted)
        return (
            round(100 * sum(kinds.get(kind, [0, 0, 0])[column] for kind in wanted) / asked, 3)
            if asked
            else 100.0
        )

    flat |= {
        "probes_view_percent": share(VIEW_KINDS, 1),
        "probes_recall_percent": share((*VIEW_KINDS, *RECALL_KINDS), 2),
        "rules_percent": share(("rule",), 1),
        "probes_by_kind": {kind: f"{share((kind,), 1)}/{share((kind,), 2)}" for kind in sorted(kinds)},
        "billed_worst_percent": max(row["billed_over_alone"] for row in rows),
        "billed_by_bucket": {bucket: row["billed_over_alone"] for bucket, row in ours.items()},
        "billed_automatic_by_bucket": {bucket: row["billed_automatic"] for bucket, row in ours.items()},
        "billed_strict_by_bucket": {bucket: row["billed_strict"] for bucket, row in ours.items()},
        "billed_strict_worst_percent": max(row["billed_strict"] for row in rows),
        "hit_share_percent": ours.get("50+", rows[-1])["hit_share"],
        "hit_share_strict_percent": ours.get("50+", rows[-1])["hit_share_strict"],
        "false": sum(row["false"] for row in rows),
        "refused": sum(row["refused_views"] for row in rows),
        "leaks": sum(row["leaks"] for row in rows),
        "unverbatim": sum(row["unverbatim"] for row in rows),
        "lost": sum(row["lost"] for row in rows),
        "unlike": sum(row["unlike"] for row in rows),
        "sparse": "the six Legion rules are asked at 12 requests of a conversation; billed without hits",
        "others": {
            policy: {
                bucket: [
                    row["reduction"],
                    row["view_percent"],
                    row["refused_views"],
                    row["false"],
                    row["billed_over_alone"],
                ]
                for bucket, row in table.items()
            }
            for policy, table in result["policies"].items()
            if policy != OURS
        },
    }
    return flat


def main(arguments: list[str] | None = None) -> int:
    """Print the table, or the figures as one JSON line."""
    parser = argparse.ArgumentParser(prog="benchmarks.curation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument(
        "--baselines", type=int, default=1, help="seeds for which the baselines are played too"
    )
    parser.add_argument("--bucket", action="append", choices=[row[0] for row in corpus.BUCKETS])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--full", action="store_true", help="all figures of all policies, not only the promised ones"
    )
    options = parser.parse_args(arguments)
    buckets = tuple(options.bucket or [row[0] for row in corpus.BUCKETS])
    result = run(options.seeds, options.baselines, buckets, options.processes, options.first)
    if options.json:
        print(json.dumps(result if options.full else floors_of(result), ensure_ascii=False))
        return 0
    for policy, table in result["policies"].items():
        print(f"\n{policy}")
        names = [
            name
            for name in next(iter(table.values()))
            if name not in {"kinds", "first_fault", "false_examples", "lost_examples"}
        ]
        for name in names:
            print(f"  {name:18}" + "".join(f"{row.get(name, ''):>13}" for row in table.values()))
        if options.full:
            for bucket, row in table.items():
                for name in ("kinds", "first_fault", "false_examples", "lost_examples"):
                    if row.get(name):
                        print(
                            f"  {bucket} {name}: ",
                            json.dumps(row[name], indent=1, ensure_ascii=False)
                            if name.endswith("examples")
                            else row[name],
                        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
