"""Pure: why a task did not run, or not yet, as data: every code there is, its sentence, and what to do."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from legion_core.engine.types import FactValue, Reason, TaskStatus

_SHOWN_MAX = 200  # characters of one fact in a sentence; the fact itself is kept whole


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the catalogue; `sentence` has a `{name}` for each fact it needs."""

    code: str
    status: TaskStatus
    sentence: str
    hint: str = ""


def because(code: str, **facts: FactValue) -> Reason:
    """The reason of that code with these facts; KeyError for a code or a fact the catalogue does not expect."""
    kind = REASONS[code]
    shown = {name: _short(value) for name, value in facts.items()}
    sentence = kind.sentence.format_map(shown)
    return Reason(code=code, sentence=f"{sentence} {kind.hint}".strip(), facts=facts)


def _short(value: FactValue) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"


def _k(status: TaskStatus, code: str, sentence: str, hint: str = "") -> Kind:
    return Kind(code=code, status=status, sentence=sentence, hint=hint)


_KINDS: tuple[Kind, ...] = (
    # Refused at the door
    _k("blocked", "task.name_malformed", "{task} is not the name of a task.", "Write EXTENSION.RUNNER.FUNCTION."),
    _k("blocked", "task.function_unknown", "No extension has the function {task}.", "`legion extension list` shows what there is."),
    _k("blocked", "task.args_invalid", "The arguments do not fit {task}: {what}."),
    _k("blocked", "task.payload_too_large", "The arguments take {size_bytes} bytes; at most {limit_bytes} are taken.", "Pass a path or an address instead."),
    _k("blocked", "task.extension_not_ready", "The extension {extension} is {state}."),
    _k("blocked", "task.denied", "{who} may not run {task}: {rule}."),
    _k("blocked", "task.duplicate", "The same idempotency key belongs to task {other}."),
    _k("blocked", "task.queue_full", "The queue {queue} holds {count} tasks, its bound.", "Try again when it has drained."),
    _k("blocked", "task.disk_full", "The journal could not be written: {what}.", "Free some space; nothing was accepted."),
    _k("blocked", "task.engine_stopping", "The engine is stopping and takes nothing new."),
    _k("blocked", "task.too_deep", "Task {parent} stands {depth} tasks deep, the bound."),
    _k("blocked", "task.address_refused", "The address {address} is private.", 'Allow it with [engine.http] allow = ["HOST:PORT"].'),
    # Not yet
    _k("delayed", "task.delayed", "It waits until {until}."),
    _k("queued", "task.queued", "{ahead} tasks stand before it in the queue {queue}."),
    _k("queued", "task.no_worker", "No worker serves the queue {queue}.", "Start one with `legion worker`."),
    _k("queued", "task.workers_busy", "All {count} places of the queue {queue} are taken."),
    _k("queued", "task.order_key_busy", "Task {other} with the same order key {key} has not ended."),
    _k("queued", "task.queue_paused", "The queue {queue} is paused."),
    _k("queued", "task.broker_away", "The broker cannot be reached; the task is kept on disk until it can."),
    _k("queued", "task.lease_lost", "The worker {owner} went away; the task goes to another."),
    _k("leased", "task.leased", "The worker {owner} has taken it and not begun."),
    _k("retry_wait", "task.retry_wait", "Attempt {attempt} failed ({what}); the next is at {until}."),
    _k("waiting_join", "join.waiting", "{have} of {need} have arrived; missing: {missing}."),
    # Ended without success
    _k("failed", "task.raised", "{what}"),
    _k("failed", "task.timed_out", "It did not end within {timeout_s} seconds."),
    _k("failed", "task.result_too_large", "The result takes {size_bytes} bytes; at most {limit_bytes} are kept."),
    _k("failed", "task.result_not_json", "The result is not JSON: {what}."),
    _k("dead", "task.retries_used_up", "All {attempts} attempts failed, the last with: {what}"),
    _k("dead", "task.poison", "It ended its worker {attempts} times and is parked.", "Look at the last exit before trying again."),
    _k("unknown", "task.outcome_unknown", "The worker went away after the task had begun, and it must not run twice.", "Say whether it happened."),
    _k("cancelled", "task.cancelled", "{who} cancelled it."),
    _k("expired", "task.expired", "It was not begun within {ttl_s} seconds."),
    # Conditions
    _k("skipped", "condition.false", "The condition asks for {wish}, and {fact} is {actual}."),
    _k("blocked", "condition.fact_missing", "The condition asks for {fact}, which is not there."),
    _k("blocked", "condition.types_differ", "The condition compares {fact} by {operator} with {value}, but it is {actual}."),
    _k("blocked", "condition.text_too_long", "The condition matches {fact} against a pattern, but it has {length} characters; at most {limit} are searched."),
    _k("blocked", "condition.invalid", "The condition cannot be used: {what}"),
    # Transforms
    _k("failed", "transform.failed", "The transform could not be rendered: {what}"),
    _k("failed", "transform.invalid", "The transform cannot be used: {what}"),
    _k("failed", "transform.too_large", "The transform gives more than {limit_bytes} bytes."),
    _k("failed", "transform.too_long", "The transform takes more than {limit_steps} steps."),
    _k("failed", "transform.not_json", "The transform gives a value that is not JSON: {what}."),
    _k("failed", "transform.nothing_found", "The path {path} finds nothing in the result."),
    _k("failed", "transform.schema", "The transformed arguments do not fit: {what}"),
    _k("failed", "transform.model_failed", "The model's answer could not be used: {what}"),
    # Edges and joins
    _k("skipped", "edge.other_outcome", "The edge from {source} is for {on}, and {source} {outcome}."),
    _k("skipped", "edge.parent_failed", "{source} failed ({status}), and no edge takes that up."),
    _k("skipped", "edge.parent_skipped", "{source} did not run."),
    _k("skipped", "edge.nothing_to_fan_out", "{path} finds nothing in the result of {source}."),
    _k("blocked", "edge.each_failed", "{path} cannot be read from the result of {source}: {what}"),
    _k("blocked", "edge.too_many_elements", "{path} gives {count} elements; at most {limit} fan out."),
    _k("skipped", "join.nothing_arrived", "None of its parents led here."),
    _k("skipped", "join.not_enough", "Only {have} of the {need} it waits for arrived; missing: {missing}."),
    _k("skipped", "join.parent_failed", "It joins {source}, which failed."),
    _k("skipped", "join.already_ran", "It ran already with the first {need} that arrived."),
    _k("skipped", "budget.loops_spent", "The edge from {source} leads round again, and all {limit} rounds are spent."),
    # Runs
    _k("skipped", "run.cancelled", "{who} cancelled the run."),
    _k("blocked", "run.too_many_tasks", "The run has {count} tasks, the bound."),
    _k("blocked", "run.too_deep", "The chain {chain} would be started {depth} chains deep, the bound."),
    _k("blocked", "run.chain_unknown", "There is no chain {chain}."),
    _k("accepted", "run.not_reached", "{source} leads here and has not ended yet."),
    _k("failed", "run.node_failed", "{node} {status}: {what}"),
    _k("failed", "run.broken", "The run cannot be carried on: {what}", "Replay it from the node that ended last."),
    _k("failed", "run.chain_failed", "The run {run} of the chain {chain} failed: {what}"),
    _k("skipped", "run.dry", "This is a dry run: {task} has effects and was not called."),
    _k("succeeded", "run.reused", "The result of run {run} was taken over."),
    _k("succeeded", "run.pinned", "The result was given with the order."),
    # Schedules and actors
    _k("skipped", "schedule.overlap", "The run of {before} has not ended, and the policy is to skip."),
    _k("skipped", "schedule.missed", "It was due while the engine was not running, and the policy is to skip."),
    _k("skipped", "schedule.merged", "{count} missed moments became one run."),
    _k("skipped", "schedule.paused", "The schedule {schedule} is paused."),
    _k("skipped", "schedule.taken", "Another process enqueued this moment."),
    _k("skipped", "schedule.removed", "The schedule {schedule} was removed."),
    _k("blocked", "schedule.zone_unknown", "The zone {zone} is not known on this computer."),
    _k("blocked", "schedule.refused", "What it should start could not be: {what}"),
    _k("blocked", "schedule.never", "{cron} never comes."),
    _k("skipped", "actor.not_holder", "{owner} holds {actor}."),
    _k("skipped", "actor.still_running", "The tick before has not ended."),
)  # fmt: skip

REASONS: Mapping[str, Kind] = MappingProxyType({kind.code: kind for kind in _KINDS})
