"""Arguments that are made when a task begins: by a model's answer, or by a template that may take long.

The payload is read on a snapshot and rendered in a thread; the question is asked outside of any transaction.
"""

from typing import cast

import msgspec

from legion_core.engine import chain_store as store
from legion_core.engine.chain_inputs import Inputs, kept, read_json
from legion_core.engine.chain_views import plan_of
from legion_core.engine.journal import Lease
from legion_core.engine.plan import Plan
from legion_core.engine.reasons import because
from legion_core.engine.transforms import ModelAsk, Rendered
from legion_core.engine.types import Json, Reason
from legion_core.kernel.errors import LegionError
from legion_core.kernel.ports import ACTING, Asker
from legion_core.storage.calls import in_thread
from legion_core.storage.sqlite import Connection, Database


async def made_late(database: Database, asker: Asker, lease: Lease) -> bytes | Reason:
    """The arguments of a task of a run as JSON, or why there are none."""

    def look(connection: Connection) -> tuple[Plan, dict[str, Json]] | None:
        state = store.state_of(connection, lease.run)
        found = kept(connection, lease.run, lease.key)
        if state is None or found is None:
            return None
        plan = plan_of(connection, state)
        inputs = Inputs(connection, lease.run, plan, read_json(state.input))
        return plan, inputs.payload(inputs.arrived(found))

    read = await database.read(look)
    if read is None:
        return because("transform.failed", what="the run it belongs to is gone.")
    plan, payload = read
    rendered = await in_thread("render", lambda: plan.prepare(lease.node, payload))
    if rendered.ask is not None:
        rendered = await _asked(asker, lease, plan, payload, rendered.ask)
    if rendered.reason is not None:
        return rendered.reason
    return msgspec.json.encode(rendered.args)


async def _asked(asker: Asker, lease: Lease, plan: Plan, payload: dict[str, Json], ask: ModelAsk) -> Rendered:
    """A model's answer made into arguments; one that does not fit is asked for again, so often as the transform says."""
    who = ACTING.get()  # whoever ordered the task, with what they may do now
    question = ask
    for left in range(ask.retries, -1, -1):
        try:
            answer = await asker.ask(
                who,
                question.prompt,
                system=question.system,
                model=question.model,
                tier=question.tier,
                instance=question.instance,
                temperature=question.temperature,
            )
        except LegionError as error:
            return Rendered(reason=because("transform.model_failed", what=error.sentence()))
        made = await in_thread("answer", lambda text=answer: plan.answered(lease.node, payload, text))
        if made.reason is None or made.reason.code != "transform.model_failed" or not left:
            return made
        question = ask.again(cast("str", made.reason.facts["what"]))
    raise AssertionError("the last round returns")
