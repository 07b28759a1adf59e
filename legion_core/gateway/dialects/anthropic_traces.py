"""What tools that Anthropic runs itself leave in a conversation: dropped, so that a session begun there can go on here.

The model's own words about what they gave stand beside them. Source: the provider's Python library.
"""

import msgspec


class Trace(msgspec.Struct):
    """A part of an assistant's message that means something at that provider only."""


class _ServerToolUse(Trace, tag_field="type", tag="server_tool_use"):
    pass


class _WebSearch(Trace, tag_field="type", tag="web_search_tool_result"):
    pass


class _WebFetch(Trace, tag_field="type", tag="web_fetch_tool_result"):
    pass


class _Advisor(Trace, tag_field="type", tag="advisor_tool_result"):
    pass


class _Code(Trace, tag_field="type", tag="code_execution_tool_result"):
    pass


class _BashCode(Trace, tag_field="type", tag="bash_code_execution_tool_result"):
    pass


class _EditorCode(Trace, tag_field="type", tag="text_editor_code_execution_tool_result"):
    pass


class _ToolSearch(Trace, tag_field="type", tag="tool_search_tool_result"):
    pass


class _McpUse(Trace, tag_field="type", tag="mcp_tool_use"):
    pass


class _McpResult(Trace, tag_field="type", tag="mcp_tool_result"):
    pass


class _McpListing(Trace, tag_field="type", tag="mcp_tool_listing"):
    pass


class _Fallback(Trace, tag_field="type", tag="fallback"):
    pass


Traces = (
    _ServerToolUse
    | _WebSearch
    | _WebFetch
    | _Advisor
    | _Code
    | _BashCode
    | _EditorCode
    | _ToolSearch
    | _McpUse
    | _McpResult
    | _McpListing
    | _Fallback
)
