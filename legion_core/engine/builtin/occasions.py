"""What makes tasks begin, as tasks: `schedule.entry`, `webhook.inbound`, `message.topic`, `absorb.input`.

`webhook.outbound.send` delivers to somebody else's webhook.

Everything heavy is asked for when a task runs: a workbench without schedules and webhooks loads none of it. What a task
begins is begun for whoever ordered the task (`ACTING`), with no more rights than they have.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from legion_core.engine.builtin.http import Fetched, HttpRequests
from legion_core.engine.extension import Context, function
from legion_core.kernel.clock import Clock
from legion_core.kernel.ports import ACTING

if TYPE_CHECKING:
    from legion_core.engine.messages import Messages
    from legion_core.engine.schedule_service import Scheduler
    from legion_core.engine.webhook_service import Secret, Webhooks


class ScheduleEntries:
    """The runner `schedule.entry`."""

    def __init__(self, scheduler: "Callable[[], Scheduler]") -> None:
        self._scheduler = scheduler

    @function()
    async def add(
        self,
        name: str,
        target: str,
        args: dict[str, Any] | None = None,
        cron: str = "",
        zone: str = "UTC",
        every_s: float = 0.0,
        missed: Literal["skip", "once", "all"] = "once",
        overlap: Literal["skip", "queue", "cancel", "allow"] = "skip",
    ) -> dict[str, object]:
        """Start a task or chain again and again.

        Args:
            name: of the schedule
            target: EXTENSION.RUNNER.FUNCTION, or chain:NAME
            args: what it gets
            cron: when, as a cron expression
            zone: of the cron expression
            every_s: or, from one run to the next
            missed: what becomes of moments that passed while nothing ran
            overlap: what happens while the run before goes on
        """
        from legion_core.engine.schedule_types import ScheduleSpec

        spec = ScheduleSpec(
            name=name, target=target, args=args or {}, cron=cron, zone=zone, every_s=every_s, missed=missed,
            overlap=overlap,
        )  # fmt: skip
        kept = await self._scheduler().add(ACTING.get(), spec)
        return {"id": kept.id, "name": name}

    @function(effect="pure")
    async def pause(self, name: str) -> dict[str, object]:
        """Take up none of its moments."""
        return {"name": name, "state": (await self._scheduler().pause(ACTING.get(), name)).state}

    @function(effect="pure")
    async def resume(self, name: str) -> dict[str, object]:
        """Go on with its next moment."""
        return {"name": name, "state": (await self._scheduler().resume(ACTING.get(), name)).state}

    @function()
    async def remove(self, name: str) -> dict[str, object]:
        """Forget it."""
        await self._scheduler().remove(ACTING.get(), name)
        return {"removed": name}

    @function(effect="pure")
    async def list(self) -> "list[dict[str, object]]":
        """All of them, by name."""
        return [
            {"name": each.spec.name, "target": each.spec.target, "state": each.state}
            for each, _ in await self._scheduler().all()
        ]


class InboundHooks:
    """The runner `webhook.inbound`."""

    def __init__(self, hooks: "Callable[[], Webhooks]") -> None:
        self._hooks = hooks

    @function()
    async def add(
        self,
        name: str,
        target: str,
        secret: str,
        args: dict[str, Any] | None = None,
        scheme: Literal["any", "standard", "github", "stripe", "slack"] = "any",
    ) -> dict[str, object]:
        """Open POST /hooks/NAME, where a signed delivery starts a task or chain.

        Args:
            name: of the webhook
            target: EXTENSION.RUNNER.FUNCTION, or chain:NAME
            secret: a reference, env://NAME or keyring://NAME; the results of tasks are no place for a new one
            args: what it gets, rendered over the delivery
            scheme: how senders sign
        """
        from legion_core.engine.webhook_types import HookSpec

        spec = HookSpec(name=name, target=target, args=args or {}, scheme=scheme, secret=secret)
        await self._hooks().add(ACTING.get(), spec)
        return {"name": name, "path": f"/hooks/{name}"}

    @function()
    async def remove(self, name: str) -> dict[str, object]:
        """Close it."""
        await self._hooks().remove(ACTING.get(), name)
        return {"removed": name}

    @function(effect="pure")
    async def list(self) -> "list[dict[str, object]]":
        """All of them, by name."""
        return [
            {"name": each.spec.name, "target": each.spec.target, "state": each.state}
            for each, _ in await self._hooks().all()
        ]


class OutboundHooks:
    """The runner `webhook.outbound`."""

    def __init__(self, clock: Clock, http: HttpRequests, secret: "Secret") -> None:
        self._clock = clock
        self._http = http
        self._secret = secret

    @function(effect="idempotent_key", retries=5, retry_delay_s=2.0, retry_delay_max_s=300.0)
    async def send(
        self, context: Context, url: str, secret: str, body: Any = None, timeout_s: float = 30.0
    ) -> Fetched:
        """Deliver JSON to a webhook, signed by the Standard Webhooks; the same delivery id on every attempt.

        Args:
            context: the task's
            url: http or https
            secret: a reference, env://NAME or keyring://NAME
            body: what is delivered
            timeout_s: for each step of the exchange
        """
        import msgspec

        from legion_core.engine.webhook_signing import sign
        from legion_core.kernel.errors import Refused, Unavailable

        content = msgspec.json.encode(body)
        at_s = int(self._clock.unix_s())
        headers = sign(await self._secret(secret), context.key(), at_s, content)
        sent = {"Content-Type": "application/json", **headers}
        answer = await self._http.post(context, url, body=content.decode(), headers=sent, timeout_s=timeout_s)
        if answer.status >= 500 or answer.status in (408, 409, 425, 429):
            raise Unavailable(f"The receiver answered {answer.status}.")
        if answer.status >= 400:
            raise Refused(f"The receiver refused the delivery with {answer.status}.")
        return answer


class Topics:
    """The runner `message.topic`."""

    def __init__(self, messages: "Callable[[], Messages]") -> None:
        self._messages = messages

    @function()
    async def publish(self, topic: str, message: Any = None) -> dict[str, object]:
        """Send a message to every subscription that hears the topic; each runs as a task.

        Args:
            topic: words with dots between, such as orders.paid
            message: what they get
        """
        tasks = await self._messages().publish(ACTING.get(), topic, message)
        return {"topic": topic, "tasks": tasks}


class Inputs:
    """The runner `absorb.input`."""

    def __init__(self, messages: "Callable[[], Messages]") -> None:
        self._messages = messages

    @function(timeout_s=3600.0)
    async def dispatch(
        self,
        context: Context,
        input: str,  # noqa: A002 - what an absorber takes is called so
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Hand an address or file to the absorber that takes it, and what that finds in turn.

        Args:
            context: the task's
            input: an address, or the path of a file
            metadata: goes along
        """
        return await self._messages().absorb(ACTING.get(), input, metadata or {}, context.task_id)
