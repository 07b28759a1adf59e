"""ChatGPT's `conversations.json`: a tree of nodes with the one that was shown last, and contents of many kinds.

Everything with words comes: what the assistant called with what it gave, its thoughts, custom instructions and other hidden
rules as the conversation's system text. A picture comes where the export holds it, else as a note of its name. A kind that is
not known comes as its JSON and is counted.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, cast

from legion_core.gateway.import_types import (
    FindImage,
    ImportedChat,
    Node,
    Notes,
    as_json,
    message_of,
    moment,
    no_image,
    objects,
    words,
)
from legion_core.gateway.types import (
    Block,
    JsonObject,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)

# Marks of citations between private characters: the pages they name are not in the export.
_CITED = re.compile("\ue200[^\ue201]{0,400}\ue201")
_FILE_NAME = re.compile(r"(file[-_][A-Za-z0-9]+)")


def chatgpt_chat(row: JsonObject, notes: Notes, find_image: FindImage = no_image) -> ImportedChat:
    """One conversation; TypeError, ValueError, KeyError or AttributeError where it is not what ChatGPT writes."""
    if not isinstance(row["mapping"], dict):
        raise TypeError("its `mapping` is no table of messages")
    mapping = cast("dict[str, JsonObject]", row["mapping"])
    chat = ImportedChat(
        title=words(row.get("title")),
        at=moment(row.get("create_time")),
        source=words(row.get("conversation_id") or row.get("id")),
    )
    reader = _Reader(mapping, chat, notes, find_image)
    for node_id in mapping:
        reader.place_of(node_id)
    chat.head = reader.place_of(row.get("current_node")) if row.get("current_node") else None
    if chat.head is None and chat.nodes:
        chat.head = len(chat.nodes) - 1
    return chat


class _Reader:
    """Walks the tree; places are given to nodes with words, the others are passed through."""

    def __init__(
        self, mapping: dict[str, JsonObject], chat: ImportedChat, notes: Notes, find_image: FindImage
    ) -> None:
        self._mapping = mapping
        self._chat = chat
        self._notes = notes
        self._find_image = find_image
        self._places = dict[str, int | None]()  # None: a node without words above which there is none

    def place_of(self, node_id: object) -> int | None:
        """The nearest message at or above a node; walked without recursion, for chats are deep."""
        mapping, places = self._mapping, self._places
        path = list[str]()
        on_path = set[str]()
        at = node_id
        while isinstance(at, str) and at in mapping and at not in places and at not in on_path:
            path.append(at)
            on_path.add(at)
            at = mapping[at].get("parent")
        above = places.get(at) if isinstance(at, str) else None
        for step in reversed(path):
            told = mapping[step].get("message")
            node = self._node(cast("JsonObject", told), step, above) if isinstance(told, dict) else None
            if told is not None and not isinstance(told, dict):
                raise TypeError("a message is no object")
            if node is not None:
                self._chat.nodes.append(node)
                above = len(self._chat.nodes) - 1
            places[step] = above
        return above

    def _node(self, message: JsonObject, key: str, above: int | None) -> Node | None:
        author = _table(message.get("author"))
        role, name = words(author.get("role")), words(author.get("name"))
        content, metadata = _table(message.get("content")), _table(message.get("metadata"))
        kind = words(content.get("content_type")) or "text"
        blocks = self._blocks(kind, content)
        if role == "user":
            blocks += self._attached(metadata, content)
        if not blocks:
            return None
        at = moment(message.get("create_time"))
        is_hidden = bool(metadata.get("is_visually_hidden_from_conversation"))
        if (
            role == "system"
            or kind in {"user_editable_context", "model_editable_context"}
            or (is_hidden and role == "user")
        ):
            return Node(message_of("user", blocks), above, at, key, is_system=True)
        if role == "tool":
            return Node(self._result(blocks, name, above), above, at, key)
        if role == "assistant":
            recipient = words(message.get("recipient")) or "all"
            if recipient != "all":
                blocks = self._call(blocks, recipient, key)
            return Node(message_of("assistant", blocks), above, at, key)
        if role != "user":
            self._notes.as_text[f"role {role or 'none'}"] += 1
        return Node(message_of("user", blocks), above, at, key)

    def _call(self, blocks: list[Block], recipient: str, key: str) -> list[Block]:
        text = "".join(block.text for block in blocks if isinstance(block, TextBlock))
        rest = [block for block in blocks if not isinstance(block, TextBlock)]
        try:
            is_object = isinstance(json.loads(text), dict)
        except ValueError:
            is_object = False
        arguments = text if is_object else json.dumps({"input": text}, ensure_ascii=False)
        return [*rest, ToolUseBlock(id=f"call_{key}", name=recipient, arguments=arguments)]

    def _result(self, blocks: list[Block], name: str, above: int | None) -> Any:
        """What a tool gave, to the call before it; words of the assistant where nothing was called."""
        text = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
        pictures = [block for block in blocks if not isinstance(block, TextBlock)]
        if above is not None:
            called = self._chat.nodes[above].message
            if called.role == "assistant" and isinstance(last := called.content[-1], ToolUseBlock):
                return message_of("tool", [ToolResultBlock(call_id=last.id, text=text), *pictures])
        return message_of("assistant", [TextBlock(text=f"[{name or 'tool'}]\n\n{text}".strip()), *pictures])

    def _blocks(self, kind: str, content: JsonObject) -> list[Block]:
        match kind:
            case "text" | "multimodal_text":
                told = content.get("parts") or [content.get("text") or ""]
                if not isinstance(told, list):
                    raise TypeError("its `parts` is no list")
                return self._parts(cast("list[object]", told))
            case "code" | "execution_output":
                return _said(words(content.get("text")))
            case "thoughts":
                thoughts = [
                    "\n".join(
                        part for part in (words(each.get("summary")), words(each.get("content"))) if part
                    )
                    for each in objects(content.get("thoughts"))
                ]
                text = "\n\n".join(each for each in thoughts if each)
                return [ThinkingBlock(text=text, origin="openai")] if text else []
            case "reasoning_recap":
                text = words(content.get("content"))
                return [ThinkingBlock(text=text, origin="openai")] if text else []
            case "tether_quote" | "tether_browsing_display" | "system_error":
                parts = (content.get(name) for name in ("title", "url", "name", "text", "summary", "result"))
                return _said("\n\n".join(dict.fromkeys(text for part in parts if (text := words(part)))))
            case "user_editable_context" | "model_editable_context":
                parts = (
                    content.get(name) for name in ("user_profile", "user_instructions", "model_set_context")
                )
                return _said("\n\n".join(text for part in parts if (text := words(part))))
            case _:
                self._notes.as_text[kind] += 1
                text = words(content.get("text"))
                return _said(f"[{kind}]\n{text}" if text else f"[{kind}]\n{as_json(content)}")

    def _parts(self, parts: Sequence[object]) -> list[Block]:
        blocks, lines = list[Block](), list[str]()

        def flush() -> None:
            if text := "\n".join(line for line in lines if line):
                blocks.append(TextBlock(text=text))
            lines.clear()

        for part in parts:
            if isinstance(part, str):
                lines.append(_clean(words(part)))
            elif isinstance(part, dict):
                told = cast("JsonObject", part)
                kind = words(told.get("content_type"))
                if kind == "image_asset_pointer":
                    name = _file_of(told.get("asset_pointer"))
                    image = self._find_image(name) if name else None
                    if image is not None:
                        flush()
                        blocks.append(image)
                    else:
                        self._notes.not_there += 1
                        lines.append(_named_picture(kind, name, told))
                elif text := words(told.get("text")):
                    lines.append(_clean(text))
                elif kind.endswith("_pointer"):
                    self._notes.not_there += 1
                    lines.append(
                        f"[{kind.removesuffix('_asset_pointer')}: {_file_of(told.get('asset_pointer')) or 'not in the export'}]"
                    )
                else:
                    self._notes.as_text[kind or "part"] += 1
                    lines.append(f"[{kind or 'part'}]\n{as_json(told)}")
        flush()
        return blocks

    def _attached(self, metadata: JsonObject, content: JsonObject) -> list[Block]:
        """Files beside a question, by name; pictures that stand in the question are told there."""
        shown = {
            _file_of(_table(part).get("asset_pointer"))
            for part in cast("list[object]", content.get("parts") or [])
        }
        names = [
            words(each.get("name")) or words(each.get("id"))
            for each in objects(metadata.get("attachments"))
            if _file_of(each.get("id")) not in shown or not _file_of(each.get("id"))
        ]
        self._notes.not_there += len(names)
        return [TextBlock(text="\n" + "\n".join(f"[attached: {name}]" for name in names))] if names else []


def _named_picture(kind: str, name: str, told: JsonObject) -> str:
    width, height = told.get("width"), told.get("height")
    size = f", {width} × {height}" if isinstance(width, int) and isinstance(height, int) else ""
    return f"[picture: {name}{size}]" if name else f"[{kind}]"


def _file_of(pointer: object) -> str:
    found = _FILE_NAME.search(words(pointer).rpartition("/")[2])
    return found[1] if found else ""


def _clean(text: str) -> str:
    return _CITED.sub("", text) if "\ue200" in text else text


def _said(text: str) -> list[Block]:
    return [TextBlock(text=_clean(text))] if text.strip() else []


def _table(value: object) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}
