"""A history that every provider takes: each call has its one result right behind it, and no id comes twice.

Clients send others: a call that was interrupted, ids that begin anew with each answer, a message without anything in it. Sent on as it came, such a history is refused
by the provider, and the session cannot go on, however often it is tried. What is put right here says only what is known.
"""

from collections.abc import Sequence

import msgspec

from legion_core.gateway.types import Block, Message, TextBlock, ToolResultBlock, ToolUseBlock

UNKNOWN = "No result of this call is known."
STRAY = "[The result of a call that is not in this conversation]\n"


def is_paired(messages: Sequence[Message]) -> bool:
    """Whether there is nothing to put right."""
    waiting: set[str] = set()
    seen: set[str] = set()
    for message in messages:
        if not message.content:
            return False
        if message.role == "assistant":
            if waiting:
                return False
            for block in message.content:
                if isinstance(block, ToolUseBlock):
                    if block.id in seen:
                        return False
                    seen.add(block.id)
                    waiting.add(block.id)
            continue
        for block in message.content:
            if isinstance(block, ToolResultBlock):
                if block.call_id not in waiting:
                    return False
                waiting.discard(block.call_id)
        if waiting and message.role != "tool":
            return False
    return not waiting


def paired_up(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The same history with what is missing told as missing, and a result without its call as words."""
    found: list[Message] = []
    seen: set[str] = set()
    waiting: dict[
        str, list[str]
    ] = {}  # ids of calls without a result, and what each such call is called here
    strays: list[Block] = []

    def settle() -> None:
        if lost := [name for names in waiting.values() for name in names]:
            results = (ToolResultBlock(call_id=name, text=UNKNOWN, is_error=True) for name in lost)
            found.append(Message(role="tool", content=tuple(results)))
        waiting.clear()
        if strays:
            found.append(Message(role="user", content=tuple(strays)))
            strays.clear()

    for message in messages:
        if message.role == "assistant":
            settle()
            if message.content:
                found.append(msgspec.structs.replace(message, content=_named(message.content, seen, waiting)))
            continue
        results, others = _told(message.content, waiting)
        if message.role == "tool":
            # Others of the same answer may still come: words between them would part them from their calls.
            strays += [block for block in others if not results or isinstance(block, TextBlock)]
            others = [block for block in others if results and not isinstance(block, TextBlock)]
            if results:
                found.append(msgspec.structs.replace(message, content=(*results, *others)))
            continue
        if results:
            found.append(Message(role="tool", content=tuple(results)))
        settle()
        if others:
            found.append(msgspec.structs.replace(message, content=tuple(others)))
    settle()
    return tuple(found)


def _named(content: Sequence[Block], seen: set[str], waiting: dict[str, list[str]]) -> tuple[Block, ...]:
    """Calls under ids that come only once."""
    named: list[Block] = []
    for block in content:
        if isinstance(block, ToolUseBlock):
            name, count = block.id, 1
            while name in seen:
                count += 1
                name = f"{block.id}_{count}"
            seen.add(name)
            waiting.setdefault(block.id, []).append(name)
            named.append(msgspec.structs.replace(block, id=name))
        else:
            named.append(block)
    return tuple(named)


def _told(content: Sequence[Block], waiting: dict[str, list[str]]) -> tuple[list[Block], list[Block]]:
    """Results under the ids their calls have here, and everything else; a result nothing waits for is words."""
    results: list[Block] = []
    others: list[Block] = []
    for block in content:
        if not isinstance(block, ToolResultBlock):
            others.append(block)
        elif names := waiting.get(block.call_id):
            results.append(msgspec.structs.replace(block, call_id=names.pop(0)))
        else:
            others.append(TextBlock(text=STRAY + block.text))
    return results, others
