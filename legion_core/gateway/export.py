"""A conversation as a document that is complete without the workbench; nothing in it is run, and nothing is fetched."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Literal

import msgspec

from legion_core.gateway.conversation_types import ChatMessage, ConversationView
from legion_core.gateway.document import Document
from legion_core.gateway.types import (
    Block,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.clock import iso

Format = Literal["md", "json", "html"]
Blocks = Mapping[str, Sequence[Block]]
IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*\Z")
_STYLE = (
    "body{font:15px/1.55 system-ui,sans-serif;max-width:46em;margin:2em auto;padding:0 1em;color:#1c1b19;background:#fff}"
    "h1{font-size:22px}h2{font-size:13px;color:#666;font-weight:600;margin:2em 0 .4em}pre{white-space:pre-wrap;"
    "overflow-wrap:anywhere;background:#f4f3ef;border-radius:6px;padding:.7em .9em;font:13px/1.45 ui-monospace,monospace}"
    "code{font:13px ui-monospace,monospace;background:#f4f3ef;border-radius:3px;padding:0 .2em}pre code{padding:0}"
    "img{max-width:100%;border-radius:6px}details{color:#555;margin:.4em 0}summary{cursor:pointer}"
    "article.user>div{background:#f4f3ef;border-radius:8px;padding:.1em .9em}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.2em .5em}.note{color:#a33}"
    "@media(prefers-color-scheme:dark){body{color:#e8e6e1;background:#191816}h2,details{color:#aaa}"
    "pre,code,article.user>div{background:#262421}}"
)
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def as_json(document: Document) -> str:
    """All of it, every branch and every field; an import of it gives the same conversation."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def as_markdown(view: ConversationView, blocks: Blocks) -> str:
    """The active branch, with pictures inside."""
    parts = [f"# {view.conversation.title or 'Untitled chat'}\n"]
    for message in view.messages:
        said = [_markdown(block) for block in blocks.get(message.id, ())]
        parts.append(f"## {_byline(message)}\n")
        parts += [f"{text}\n" for text in said if text]
        if message.error:
            parts.append(f"> {message.error}\n")
    return "\n".join(parts)


def as_html(view: ConversationView, blocks: Blocks) -> str:
    """The active branch as one page: no script, no address that is fetched, pictures inside."""
    render = _renderer()
    title = escape(view.conversation.title or "Untitled chat")
    articles = list[str]()
    for message in view.messages:
        said = "\n".join(_html(block, render) for block in blocks.get(message.id, ()))
        error = f'\n<p class="note">{escape(message.error)}</p>' if message.error else ""
        articles.append(
            f'<article class="{escape(message.role)}"><h2>{escape(_byline(message))}</h2><div>{said}</div>{error}</article>'
        )
    body = "\n".join(articles)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    )


def _byline(message: ChatMessage) -> str:
    match message.role:
        case "user":
            who = "You"
        case "system":
            who = "System"
        case "tool":
            who = "Tools"
        case _:
            route = " · ".join(part for part in (message.tier, message.instance, message.model) if part)
            who = route or "answer"
    return f"{who}, {iso(message.created_at)}"


def _markdown(block: Block) -> str:
    match block:
        case TextBlock():
            return block.text
        case ThinkingBlock():
            return _quoted("Thinking", block.text) if block.text else ""
        case ToolUseBlock():
            return f"Called `{block.name}`:\n\n{_fenced(block.arguments, 'json')}"
        case ToolResultBlock():
            return f"{'It failed with' if block.is_error else 'It gave'}:\n\n{_fenced(block.text)}"
        case ImageBlock():
            source = _data_of(block)
            return f"![picture]({source})" if source else f"[picture: {block.url or block.media_type}]"
        case DocumentBlock():
            source = _file_of(block)
            name = re.sub(r"[\\\[\]`<>*_\s]+", " ", block.name).strip() or "document"
            return f"[{name}]({source})" if source else f"[document: {block.url or name}]"


def _quoted(title: str, text: str) -> str:
    lines = text.strip().split("\n")
    return "\n".join([f"> *{title}*", ">", *(f"> {line}" for line in lines)])


def _fenced(text: str, kind: str = "") -> str:
    """A fence longer than any inside."""
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}"


def _html(block: Block, render: "_Render") -> str:
    match block:
        case TextBlock():
            return render(block.text)
        case ThinkingBlock():
            return (
                f"<details><summary>Thinking</summary><pre>{escape(block.text)}</pre></details>"
                if block.text
                else ""
            )
        case ToolUseBlock():
            return f"<p>Called <code>{escape(block.name)}</code></p><pre>{escape(block.arguments)}</pre>"
        case ToolResultBlock():
            word = "failed" if block.is_error else "result"
            return f"<details><summary>{word}</summary><pre>{escape(block.text)}</pre></details>"
        case ImageBlock():
            source = _data_of(block)
            if source:
                return f'<p><img alt="picture" src="{source}"></p>'
            return f"<p>[picture: {escape(block.url or block.media_type)}]</p>"
        case DocumentBlock():
            source, name = _file_of(block), escape(block.name or "document")
            if source:
                return f'<p><a download="{name}" href="{source}">{name}</a></p>'
            return f"<p>[document: {escape(block.url) or name}]</p>"


def _data_of(block: ImageBlock) -> str:
    """A picture's bytes as an address that holds them; empty where they are no picture's."""
    if block.media_type not in IMAGE_TYPES or not _BASE64.match(block.data):
        return ""
    return f"data:{block.media_type};base64,{''.join(block.data.split())}"


def _file_of(block: DocumentBlock) -> str:
    """A document's bytes as an address that holds them; empty where they are none."""
    if not _BASE64.match(block.data):
        return ""
    return f"data:application/pdf;base64,{''.join(block.data.split())}"


class _Render:
    """Markdown to HTML that holds none of its own: tags stay words, pictures elsewhere are links, addresses are checked."""

    def __init__(self) -> None:
        from markdown_it import MarkdownIt

        self._parser = (
            MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
        )

    def __call__(self, text: str) -> str:
        """The words as HTML."""
        return str(self._parser.render(text))


def _renderer() -> _Render:
    return _Render()
