"""What a surface or the window sees of tools in chats. Cheap to import."""

from legion_core.agent.tools.types import (
    CallState,
    ChatCall,
    ChatCallChanged,
    ChatTools,
    ChatToolsChanged,
    ToolSource,
    Yes,
)

__all__ = [
    "CallState",
    "ChatCall",
    "ChatCallChanged",
    "ChatTools",
    "ChatToolsChanged",
    "ToolSource",
    "Yes",
]
