"""Pure: what the `args` and the `transform` of a node give for a payload, before anything is saved."""

from typing import cast

import msgspec

from legion_core.engine import transforms
from legion_core.engine.refusal import InvalidDocument
from legion_core.engine.run_types import Rendering
from legion_core.kernel.config_check import Fault


def rendering(node: object, payload: object) -> Rendering:
    """The node is as it stands in a chain; of its parts only the two are looked at. InvalidDocument names the faults."""
    if not isinstance(node, dict) or not isinstance(payload, dict):
        which = "node" if not isinstance(node, dict) else "payload"
        raise InvalidDocument("The node", [Fault(which, "expected an object.")])
    parts, seen = cast("dict[str, object]", node), cast("dict[str, object]", payload)
    base: dict[str, object] = {}
    if args := parts.get("args"):
        rendered = transforms.arguments(args).render(seen)
        if rendered.args is None:
            return Rendering(reason=rendered.reason)
        base = dict(rendered.args)
    if parts.get("transform") is None:
        return Rendering(args=base)
    made = transforms.compiled(parts["transform"]).render(seen, base)
    if made.ask is not None:
        return Rendering(ask=made.ask.prompt)
    return Rendering(args=msgspec.to_builtins(made.args), reason=made.reason)
