"""Writes docs/dialects.md: what becomes of every field of a request, as the dialects themselves say it."""

import sys
from pathlib import Path
from typing import Final

from legion_core.gateway.dialects.translations import (
    ANTHROPIC_MESSAGES,
    EMBEDDINGS,
    GEMINI,
    OLLAMA,
    OPENAI_CHAT,
    OPENAI_COMPLETIONS,
    OPENAI_RESPONSES,
    Translation,
)

MARKS: Final = {"translated": "✓", "refused": "✗", "dropped": "–"}
TABLES: Final = (
    ("OpenAI chat completions", "POST /v1/chat/completions", OPENAI_CHAT),
    ("OpenAI responses", "POST /v1/responses", OPENAI_RESPONSES),
    ("OpenAI completions", "POST /v1/completions", OPENAI_COMPLETIONS),
    ("Anthropic messages", "POST /v1/messages, /v1/messages/count_tokens", ANTHROPIC_MESSAGES),
    ("Ollama", "POST /api/chat, /api/generate", OLLAMA),
    ("Gemini", "POST /v1beta/models/MODEL:generateContent, :streamGenerateContent", GEMINI),
    (
        "Embeddings",
        "POST /v1/embeddings, /api/embed, /api/embeddings, /v1beta/models/MODEL:embedContent, :batchEmbedContents",
        EMBEDDINGS,
    ),
)
HEAD = """# What becomes of a request's fields

Written by `python -m legion_core.testing.dialect_table` from the tables the dialects carry; a test holds it against them.

✓ translated: it means the same at every provider, or comes as near as the note says · ✗ refused: without it the answer
would be another one, so the request fails with 400 and says so in the protocol's own shape · – dropped: the answer does
not depend on it, or it means something at one provider only. A field that is not named here is dropped unread: no body
can set an address, a header or a key. What a provider cannot express is told in [providers.md](providers.md), what the
official libraries make of the answers in [sdks.md](sdks.md).

## Histories that do not pair up

Each provider wants every call to have one result, right behind it; each but Ollama refuses anything else with 400, also
the next time, so that an agent's session which was cut, summarised or resumed in the wrong place is over. Here it goes
on: what is missing is told as missing, and a result nobody called for is told as words. Only a request that *ends* in a
result without its call is refused as the provider itself would, because that is what the model is asked about: a program
that is being written made the mistake, and should hear of it. Where `x-legion-conversation` or `previous_response_id`
names what was said before, the call is looked for there.
"""


def render() -> str:
    """The document."""
    parts = [HEAD]
    for title, door, rows in TABLES:
        lines = [f"## {title}", "", f"`{door}`", "", "| field | | note |", "|---|---|---|"]
        lines += [_line(row) for row in rows]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _line(row: Translation) -> str:
    cells = (row.field, MARKS[row.fate], row.note)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> int:
    """Write the document beside the source."""
    path = Path(__file__).parents[2] / "docs" / "dialects.md"
    path.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
