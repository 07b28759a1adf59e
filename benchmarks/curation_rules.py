"""What every provider demands of a conversation, checked by rules of our own: pairs, order, roles, nothing empty."""

from collections.abc import Sequence

from legion_core.gateway.types import Message, TextBlock, ThinkingBlock, ToolResultBlock, ToolUseBlock


def faults(messages: Sequence[Message]) -> list[str]:
    """What a provider would refuse; empty if all would take it.

    Anthropic: each call is answered in the very next message, each result belongs to the message before; the first is the
    user's; nothing is empty. OpenAI: tool messages only behind the answer that called, all of them, no id twice.
    Gemini: as many answers as calls, in the next turn.
    """
    found: list[str] = []
    if messages and messages[0].role != "user":
        found.append("begins with " + messages[0].role)
    seen: set[str] = set()
    waiting: list[str] = []
    for at, message in enumerate(messages):
        if not message.content:
            found.append(f"{at}: empty")
        for block in message.content:
            if isinstance(block, TextBlock) and not block.text and len(message.content) == 1:
                found.append(f"{at}: empty text")
        if message.role == "assistant":
            if waiting:
                found.append(f"{at}: calls without results: {waiting}")
            waiting = []
            is_past_thinking = False
            for block in message.content:
                if isinstance(block, ToolUseBlock):
                    if block.id in seen:
                        found.append(f"{at}: id twice {block.id}")
                    seen.add(block.id)
                    waiting.append(block.id)
                if isinstance(block, ToolResultBlock):
                    found.append(f"{at}: a result in an answer")
                if isinstance(block, ThinkingBlock) and is_past_thinking:
                    found.append(f"{at}: thinking behind a call")
                is_past_thinking = is_past_thinking or isinstance(block, ToolUseBlock)
            continue
        results = [block.call_id for block in message.content if isinstance(block, ToolResultBlock)]
        for call_id in results:
            if call_id in waiting:
                waiting.remove(call_id)
            else:
                found.append(f"{at}: result without call {call_id}")
        if message.role == "user" and waiting:
            found.append(f"{at}: calls without results: {waiting}")
            waiting = []
        if message.role == "tool" and not results:
            found.append(f"{at}: a tool message without results")
    if waiting:
        found.append(f"at the end: calls without results: {waiting}")
    return found


def orphans(messages: Sequence[Message]) -> int:
    """How many calls stand without result or results without call."""
    return sum("result" in fault for fault in faults(messages))
