"""Other people's MCP servers, as a surface or the window sees them. Cheap to import."""

from legion_core.agent.mcp.types import (
    Difference,
    ServerChanged,
    ServerRow,
    ServerSpec,
    SignInState,
    ToolInfo,
)

__all__ = ["Difference", "ServerChanged", "ServerRow", "ServerSpec", "SignInState", "ToolInfo"]
