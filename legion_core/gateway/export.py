"""Pure: a conversation as a document that is complete without the workbench."""

from html import escape
from typing import Literal

import msgspec

from legion_core.gateway.conversation_types import ChatMessage, ConversationView
from legion_core.kernel.clock import iso

Format = Literal["md", "json", "html"]


def export(view: ConversationView, form: Format) -> str:
    """The active branch as markdown, JSON (every field) or one self-contained HTML page (no scripts, text escaped)."""
    match form:
        case "md":
            return _markdown(view)
        case "json":
            return msgspec.json.format(msgspec.json.encode(view), indent=2).decode()
        case "html":
            return _html(view)


def _byline(message: ChatMessage) -> str:
    if message.role == "user":
        return f"You, {iso(message.created_at)}"
    route = " · ".join(part for part in (message.tier, message.instance, message.model) if part)
    return f"{route or 'answer'}, {iso(message.created_at)}"


def _markdown(view: ConversationView) -> str:
    parts = [f"# {view.conversation.title or 'Untitled chat'}\n"]
    for message in view.messages:
        parts.append(f"## {_byline(message)}\n\n{message.text}\n")
        if message.error:
            parts.append(f"> {message.error}\n")
    return "\n".join(parts)


def _html(view: ConversationView) -> str:
    title = escape(view.conversation.title or "Untitled chat")
    body = "\n".join(
        f"<article><h2>{escape(_byline(message))}</h2><pre>{escape(message.text)}</pre>"
        + (f"<p><em>{escape(message.error)}</em></p>" if message.error else "")
        + "</article>"
        for message in view.messages
    )
    style = "body{font:15px/1.5 sans-serif;max-width:44em;margin:2em auto;padding:0 1em}pre{white-space:pre-wrap;font:inherit}h2{font-size:13px;color:#555}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{style}</style></head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    )
