"""Claude's `conversations.json` and `projects.json`: messages of blocks, with the branches that edits made.

An answer holds what it called and what that gave between its words; here these are messages of their own, in their order.
Attachments come with the text that was taken out of them, files by name. A project comes as a conversation of its own: its
instructions as the system text, its documents as what was attached.
"""

import json

from legion_core.gateway.import_types import (
    ImportedChat,
    Node,
    Notes,
    as_json,
    message_of,
    moment,
    objects,
    words,
)
from legion_core.gateway.types import (
    Block,
    JsonObject,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)

_SILENT = frozenset({"token_budget", "flag"})  # bookkeeping without words


def claude_chat(row: JsonObject, notes: Notes) -> ImportedChat:
    """One conversation; TypeError, ValueError, KeyError or AttributeError where it is not what Claude writes."""
    told = row["chat_messages"]
    if not isinstance(told, list) or len(objects(told)) < len(told):  # pyright: ignore[reportUnknownArgumentType]
        raise TypeError("its `chat_messages` is no list of messages")
    chat = ImportedChat(
        title=words(row.get("name")), at=moment(row.get("created_at")), source=words(row.get("uuid"))
    )
    places = dict[str, int]()
    last: int | None = None
    for number, message in enumerate(objects(row["chat_messages"])):
        key = words(message.get("uuid")) or str(number)
        above = _above(message, places, last)
        for part, made in enumerate(_messages(message, notes)):
            chat.nodes.append(
                Node(made, above, moment(message.get("created_at")), f"{key}#{part}" if part else key)
            )
            above = len(chat.nodes) - 1
        if above is not None:
            places[key] = above
        last = above
    leaf = words(row.get("current_leaf_message_uuid"))
    chat.head = places.get(leaf, last)
    return chat


def claude_project(row: JsonObject, notes: Notes) -> ImportedChat | None:
    """A project as a conversation; None where it holds nothing."""
    del notes
    chat = ImportedChat(
        title=f"Project: {words(row.get('name')) or 'Untitled'}",
        at=moment(row.get("created_at")),
        source=f"project {words(row.get('uuid'))}",
    )
    rule = "\n\n".join(
        text for key in ("prompt_template", "description") if (text := words(row.get(key)).strip())
    )
    if rule:
        chat.nodes.append(
            Node(message_of("user", [TextBlock(text=rule)]), None, chat.at, "rule", is_system=True)
        )
    documents = [
        f"[{words(each.get('filename')) or 'document'}]\n{words(each.get('content'))}"
        for each in objects(row.get("docs"))
    ]
    if documents:
        blocks: list[Block] = [TextBlock(text=text) for text in ("\n\n".join(documents),)]
        chat.nodes.append(Node(message_of("user", blocks), 0 if rule else None, chat.at, "documents"))
    chat.head = len(chat.nodes) - 1 if chat.nodes else None
    return chat if chat.nodes else None


def _above(message: JsonObject, places: dict[str, int], last: int | None) -> int | None:
    """The message before: the named one, none for a root, and where none is named the one that came before."""
    parent = message.get("parent_message_uuid")
    if not isinstance(parent, str):
        return last
    if parent in places:
        return places[parent]
    return None if parent.startswith("00000000-0000-") else last


def _messages(told: JsonObject, notes: Notes) -> list[Message]:
    """One message of Claude's as ours: words and calls, then results, then words again."""
    is_human = told.get("sender") == "human"
    made = list[Message]()
    blocks, results = list[Block](), list[Block]()
    open_calls = list[str]()

    def flush() -> None:
        nonlocal blocks, results
        if blocks:
            made.append(message_of("user" if is_human else "assistant", blocks))
        if results:
            made.append(message_of("tool", results))
        blocks, results = [], []

    for number, block in enumerate(objects(told.get("content"))):
        kind = words(block.get("type"))
        if kind == "tool_result":
            name = words(block.get("tool_use_id")) or (open_calls[-1] if open_calls else "")
            if name in open_calls:
                open_calls.remove(name)
                results.append(
                    ToolResultBlock(
                        call_id=name,
                        text=_result(block.get("content"), notes),
                        is_error=block.get("is_error") is True,
                    )
                )
                continue
            block = {
                "type": "text",
                "text": f"[{words(block.get('name')) or 'tool'}]\n{_result(block.get('content'), notes)}",
            }
            kind = "text"
        if results:
            flush()
        made_block = _block(kind, block, notes, f"call_{words(told.get('uuid'))}_{number}")
        if isinstance(made_block, ToolUseBlock):
            open_calls.append(made_block.id)
        if made_block is not None:
            blocks.append(made_block)
    if (
        not any(isinstance(block, TextBlock) for block in blocks)
        and not made
        and (text := words(told.get("text")))
    ):
        blocks.append(TextBlock(text=text))
    for text in _attached(told, notes):
        blocks.append(TextBlock(text=f"\n\n{text}" if blocks else text))
    flush()
    return made


def _block(kind: str, block: JsonObject, notes: Notes, name: str) -> Block | None:
    match kind:
        case "text" | "voice_note":
            text = words(block.get("text"))
            return TextBlock(text=text) if text.strip() else None
        case "thinking":
            text = words(block.get("thinking"))
            return ThinkingBlock(text=text, origin="anthropic") if text.strip() else None
        case "tool_use":
            called = block.get("input")
            arguments = called if isinstance(called, str) else json.dumps(called or {}, ensure_ascii=False)
            return ToolUseBlock(
                id=words(block.get("id")) or name,
                name=words(block.get("name")) or "tool",
                arguments=words(arguments),
            )
        case _ if kind in _SILENT:
            return None
        case _:
            notes.as_text[kind or "part"] += 1
            return TextBlock(text=f"[{kind or 'part'}]\n{as_json(block)}")


def _result(content: object, notes: Notes) -> str:
    if isinstance(content, str):
        return words(content)
    texts = list[str]()
    for part in objects(content):
        if text := words(part.get("text")):
            texts.append(text)
        elif part.get("type") in {"image", "image_gallery"}:
            notes.not_there += 1
            texts.append(f"[{words(part.get('type'))}]")
        else:
            texts.append(as_json(part))
    return "\n".join(texts)


def _attached(told: JsonObject, notes: Notes) -> list[str]:
    found = list[str]()
    for each in objects(told.get("attachments")):
        name, text = words(each.get("file_name")) or "attachment", words(each.get("extracted_content"))
        found.append(f"[{name}]\n{text}".rstrip())
    seen = set[str]()
    for each in [*objects(told.get("files")), *objects(told.get("files_v2"))]:
        name = words(each.get("file_name")) or "file"
        if (mark := words(each.get("file_uuid")) or name) not in seen:
            seen.add(mark)
            notes.not_there += 1
            found.append(f"[attached: {name}]")
    return found
