"""Publish and subscribe: a message becomes a task for each subscription that hears it, in one transaction.

So a message is as durable as a task, is tried again as its subscription says, waits on disk while subscribers are slow,
and goes to whichever process is free. Nobody hears it: it is dropped, and the publisher can see that.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, cast

from legion_core.engine.actor_host import ActorHost
from legion_core.engine.actors import Actor
from legion_core.engine.orders import Order
from legion_core.engine.registry import Function
from legion_core.engine.service import Engine
from legion_core.engine.topics import checked, hears
from legion_core.engine.types import Retry, Task
from legion_core.kernel.errors import InvalidInput, LimitReached, NotFound
from legion_core.kernel.ports import Principal

DEPTH_MAX = 5  # seed: how deep an absorber's finds are absorbed in turn
INPUT_CHARS_MAX = 8_000
FINDS_MAX = 100


class Messages:
    """Sends messages to subscriptions, and inputs to absorbers."""

    def __init__(self, engine: Engine, host: ActorHost) -> None:
        self._engine = engine
        self._host = host

    async def publish(self, who: Principal, topic: str, message: object) -> Sequence[str]:
        """The ids of the tasks the message became, none if nobody hears the topic. Durable when this returns.

        Raises InvalidInput (the topic), LimitReached.
        """
        checked(topic)
        given: Mapping[str, Any] = {"topic": topic, "message": message}
        orders = [
            Order(
                task=function.name,
                args=_named(function, given),
                timeout_s=actor.timeout_s,
                retry=Retry(max=actor.retries) if actor.retries else None,
            )
            for function, actor in await self._host.of_kind("subscription")
            if hears(actor.topic, topic)
        ]
        if not orders:
            return ()
        return [accepted.id for accepted in await self._engine.submit_many(who, orders)]

    async def absorb(
        self,
        who: Principal,
        what: str,
        metadata: Mapping[str, Any],
        parent: str,
        ancestors: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Hand an input to the absorber that takes it, wait for its end, and absorb in turn what it found.

        Gives `{input, absorber, task, status, result, absorbed}`. Raises NotFound where no absorber matches, InvalidInput
        for an input of no use, LimitReached where finds lead too deep or round again.
        """
        if not what.strip() or len(what) > INPUT_CHARS_MAX:
            raise InvalidInput(f"`input` holds 1 to {INPUT_CHARS_MAX:,} characters.")
        if what in ancestors:
            raise LimitReached(f"{what[:200]} leads back to itself.")
        if len(ancestors) >= DEPTH_MAX:
            raise LimitReached(f"{what[:200]} stands {DEPTH_MAX} finds deep, the bound.")
        function, actor = await self._absorber(what)
        given = {"input": what, "metadata": metadata, "ancestors": list(ancestors)}
        order = Order(
            task=function.name, args=_named(function, given), timeout_s=actor.timeout_s, parent=parent
        )
        accepted = await self._engine.submit(who, order)
        done = await self._engine.wait(accepted.id)
        word = "complete" if done.status == "succeeded" else "failed"
        told: dict[str, Any] = {
            "input": what,
            "absorber": function.name,
            "task": done.id,
            "status": done.status,
            "result": done.result,
            "problem": done.reason.sentence if done.reason else "",
        }
        await self.publish(who, f"absorb.{word}.{done.id}", told)
        found = [await self._find(who, each, metadata, done.id, (*ancestors, what)) for each in _finds(done)]
        return {**told, "absorbed": found}

    async def _find(
        self, who: Principal, what: str, metadata: Mapping[str, Any], parent: str, ancestors: tuple[str, ...]
    ) -> dict[str, Any]:
        try:
            return await self.absorb(who, what, metadata, parent, ancestors)
        except (NotFound, InvalidInput, LimitReached) as error:
            return {"input": what, "status": "skipped", "problem": error.sentence()}

    async def _absorber(self, what: str) -> tuple[Function, Actor]:
        kind = "url" if "://" in what else "file"
        matching = [
            (function, actor)
            for function, actor in await self._host.of_kind("absorber_dispatch")
            if actor.takes in ("any", kind) and fnmatchcase(what, actor.pattern)
        ]
        if not matching:
            raise NotFound(
                f"No absorber takes {what[:200]!r}.",
                hint="`legion extension list` shows what there is; docs/actors.md says how to write one.",
            )
        # Of two alike the first by name: the choice must not depend on the order of loading.
        return min(matching, key=lambda each: (-each[1].priority, each[0].name))


def _named(function: Function, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in function.signature.names}


def _finds(done: Task) -> list[str]:
    if not isinstance(done.result, dict):
        return []
    finds = cast("dict[str, Any]", done.result).get("absorb")
    if not isinstance(finds, list):
        return []
    return [each for each in cast("list[Any]", finds) if isinstance(each, str)][:FINDS_MAX]
