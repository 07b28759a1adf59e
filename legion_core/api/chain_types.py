"""What a surface or the window sees of chains and their runs: frozen values, cheap to import. Events are in `api.chains`."""

from legion_core.engine.run_types import (
    NODES_SHOWN_MAX,
    ChainFault,
    ChainRow,
    ChainVersion,
    ChainView,
    EdgeExplained,
    EdgeView,
    NodePayload,
    NodeView,
    Renamed,
    Rendering,
    RunPage,
    RunRow,
    RunView,
)
from legion_core.engine.types import RunStatus

__all__ = [
    "NODES_SHOWN_MAX",
    "RUN_STATUSES",
    "ChainFault",
    "ChainRow",
    "ChainVersion",
    "ChainView",
    "EdgeExplained",
    "EdgeView",
    "NodePayload",
    "NodeView",
    "Renamed",
    "Rendering",
    "RunPage",
    "RunRow",
    "RunStatus",
    "RunView",
]

RUN_STATUSES: tuple[RunStatus, ...] = RunStatus.__args__
