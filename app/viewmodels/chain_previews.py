"""What the engine would make of a condition or of a node's arguments, asked for the inspector while it is written."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.bridge import Bridge
from app.viewmodels.chain_draft import NodeDraft

if TYPE_CHECKING:
    from legion_core.api.facade import Legion


class Previews:
    """Each calls `done`, or `failed` with a sentence."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def explain(
        self, when: object, payload: object, done: Callable[[object], None], failed: Callable[[str], None]
    ) -> None:
        """A condition held against a payload: the tree of `conditions.explain`."""

        async def ask(_: "Legion") -> object:
            from legion_core.api import previews

            return previews.explain(when, payload)

        self._bridge.launch("chain_explain", ask, done, failed)

    def render(
        self, node: NodeDraft, payload: object, done: Callable[[object], None], failed: Callable[[str], None]
    ) -> None:
        """Arguments and transform of a node rendered over a payload."""
        document = dict(node.fields)

        async def ask(legion: "Legion") -> object:
            return await legion.chains.render(document, payload)

        self._bridge.launch("chain_render", ask, done, failed)

    def logs(self, task_id: str, done: Callable[[tuple[str, ...]], None]) -> None:
        """What a task wrote."""

        async def ask(legion: "Legion") -> tuple[str, ...]:
            return tuple(line.text for line in await legion.tasks.logs(task_id))

        self._bridge.launch("chain_logs", ask, done, lambda _: done(()))
