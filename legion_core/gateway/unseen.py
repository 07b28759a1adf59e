"""Pure: files that a tool showed and no model here can see, told in words.

A refusal would end the session it is in, for the client sends its whole history each time.
"""

import msgspec

from legion_core.gateway.types import Block, DocumentBlock, Message, Request, TextBlock


def unseen_file(name: str, media_type: str) -> str:
    """What a model is told of a file in a tool's result that it cannot be shown."""
    told = " ".join(each for each in (name[:200], f"({media_type[:80]})" if media_type else "") if each)
    return f"[A file{' ' + told if told else ''} was given here that cannot be shown. Read it with a tool that gives text.]"


def of_result(block: Block) -> Block:
    """The block as one that a tool showed, and not the user."""
    return msgspec.structs.replace(block, is_result=True) if isinstance(block, DocumentBlock) else block


def in_words(request: Request) -> Request:
    """The request with every document that a tool showed told in words; the same one where there is none."""
    messages = tuple(_told(message) for message in request.messages)
    is_same = all(told is message for told, message in zip(messages, request.messages, strict=True))
    return request if is_same else msgspec.structs.replace(request, messages=messages)


def _told(message: Message) -> Message:
    if not any(isinstance(block, DocumentBlock) and block.is_result for block in message.content):
        return message
    return msgspec.structs.replace(message, content=tuple(_words(block) for block in message.content))


def _words(block: Block) -> Block:
    if not isinstance(block, DocumentBlock) or not block.is_result:
        return block
    return TextBlock(text=unseen_file(block.name, "application/pdf"))
