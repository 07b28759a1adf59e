"""`/api/v1/conversations/{id}/tools`: which tools a chat uses, what was called in it, and which yeses stand."""

import msgspec

from legion_core.api.chat_types import ChatCall, ChatTools, ToolSource, Yes
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply
from legion_core.surfaces.rest.examples import AT


class ToolSwitch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source of tools (`server:NAME`, `extension:NAME`, `chains`), and whether the chat uses it."""

    source: str
    is_on: bool


class YesForgotten(msgspec.Struct, frozen=True, kw_only=True):
    """The tool that is asked for again."""

    forgotten: str


async def show_chat_tools(desk: Desk, call: Call) -> Reply:
    """What there is, and what is switched on."""
    await desk.legion.chat.open(call.path["id"])
    return Reply(await desk.legion.mcp.chats.of(call.path["id"]))


async def switch_chat_tools(desk: Desk, call: Call) -> Reply:
    """Use the tools of a source in this chat, or no longer. The owner alone."""
    body = call.read(ToolSwitch)
    return Reply(await desk.legion.mcp.chats.switch(call.path["id"], body.source, body.is_on, call.who))


async def list_chat_calls(desk: Desk, call: Call) -> Reply:
    """In order."""
    await desk.legion.chat.open(call.path["id"])
    return Reply(await desk.legion.mcp.chats.calls(call.path["id"]))


async def list_tool_yeses(desk: Desk, call: Call) -> Reply:
    """Those that hold in every chat."""
    return Reply(await desk.legion.mcp.chats.yeses())


async def forget_tool_yes(desk: Desk, call: Call) -> Reply:
    """Ask for this tool again, in every chat. The owner alone."""
    await desk.legion.mcp.chats.forget(call.path["tool"], call.who)
    return Reply(YesForgotten(forgotten=call.path["tool"]))


_TOOLS = "/api/v1/conversations/{id}/tools"
_EXAMPLE = ChatTools(
    conversation_id="conv_01kkq",
    sources=(ToolSource(key="server:notes", title="notes", tools=2, is_on=True),),
    count=2,
)
_CALL = ChatCall(
    id="ccl_01kkq",
    conversation_id="conv_01kkq",
    answer_id="msg_01kkq",
    place=0,
    call_id="call_01kkq",
    tool="mcp-notes-echo",
    title="echo",
    source="server:notes",
    risk="write",
    arguments='{"text":"Hello"}',
    state="done",
    result="Hello",
    started_at=AT,
    duration_s=0.1,
    task="task_01kkq",
    decision="You allowed it once.",
)
_YES = Yes(tool="mcp-notes-echo", title="echo", source="server:notes", print="9f2c", at=AT)

OPERATIONS = (
    Operation(
        method="GET", path=_TOOLS, name="show_chat_tools", summary="The tools a chat may use, and does",
        handler=show_chat_tools, right=("conversations", "read"), answer=ChatTools, example=_EXAMPLE,
    ),
    Operation(
        method="PUT", path=_TOOLS, name="switch_chat_tools", summary="Let a chat use tools, or no longer",
        handler=switch_chat_tools, right=("mcp", "write"), answer=ChatTools, example=_EXAMPLE,
        body=ToolSwitch, body_example=ToolSwitch(source="server:notes", is_on=True),
    ),
    Operation(
        method="GET", path="/api/v1/conversations/{id}/calls", name="list_chat_calls", summary="What was called in a chat",
        handler=list_chat_calls, right=("conversations", "read"), answer=tuple[ChatCall, ...], example=(_CALL,),
    ),
    Operation(
        method="GET", path="/api/v1/mcp/yeses", name="list_tool_yeses", summary="Tools that chats may call unasked",
        handler=list_tool_yeses, right=("mcp", "read"), answer=tuple[Yes, ...], example=(_YES,),
    ),
    Operation(
        method="DELETE", path="/api/v1/mcp/yeses/{tool}", name="forget_tool_yes", summary="Ask for a tool again",
        handler=forget_tool_yes, right=("mcp", "write"), answer=YesForgotten, example=YesForgotten(forgotten="mcp-notes-echo"),
    ),
)  # fmt: skip
