"""What becomes of every part of a request on its way to each kind of provider: data, held against the real wires by a test.

`python -m legion_core.testing.provider_table` writes `docs/providers.md`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from legion_core.gateway.providers.registry import kinds

Fate = Literal["sent", "adapted", "dropped", "refused"]
Wire = Literal["openai", "compatible", "vllm", "anthropic", "gemini", "bedrock", "ollama", "native"]
MARKS: Final[dict[Fate, str]] = {"sent": "✓", "adapted": "≈", "dropped": "–", "refused": "✗"}
HEADINGS: Final[dict[Wire, str]] = {
    "openai": "OpenAI, Azure",
    "compatible": "like OpenAI",
    "vllm": "vLLM",
    "anthropic": "Anthropic",
    "gemini": "Gemini, Vertex",
    "bedrock": "Bedrock",
    "ollama": "Ollama",
    "native": "this computer, MLX",
}


@dataclass(frozen=True)
class Row:
    """One part of a request. `others` is the fate wherever `but` names none; `notes` are footnotes by wire."""

    field: str
    others: Fate
    but: dict[Wire, Fate]
    notes: dict[Wire, str]

    def fate(self, wire: Wire) -> Fate:
        """What becomes of it there."""
        return self.but.get(wire, self.others)


def _row(field: str, others: Fate, *, notes: dict[Wire, str] | None = None, **but: Fate) -> Row:
    return Row(field, others, {wire: but[wire] for wire in HEADINGS if wire in but}, notes or {})


ROWS: Final = (
    _row(
        "several system messages",
        "sent",
        vllm="adapted",
        native="adapted",
        notes={"vllm": "joined into one, which is what templates know", "native": "joined into one"},
    ),
    _row("a picture inline", "sent", native="refused"),
    _row(
        "a picture by URL",
        "sent",
        gemini="adapted",
        bedrock="refused",
        ollama="refused",
        native="refused",
        notes={"gemini": "where its name tells its type, else refused", "bedrock": "but for s3:// addresses"},
    ),
    _row(
        "a PDF inline",
        "sent",
        vllm="refused",
        bedrock="adapted",
        ollama="refused",
        native="refused",
        notes={
            "compatible": "where the model is known to take documents",
            "bedrock": "under a name of plain letters; Claude reads its words alone",
        },
    ),
    _row(
        "a PDF by URL",
        "refused",
        anthropic="sent",
        gemini="sent",
        notes={"bedrock": "but for s3:// addresses"},
    ),
    _row(
        "a text to go on with",
        "sent",
        anthropic="refused",
        gemini="refused",
        bedrock="refused",
        notes={
            "openai": "where the model is said to take completions",
            "compatible": "where the model is known to take completions",
            "native": "refused at MLX",
        },
    ),
    _row("a suffix behind that text", "refused", openai="sent", compatible="sent", ollama="sent"),
    _row(
        "its own signed thinking",
        "dropped",
        anthropic="sent",
        bedrock="sent",
        gemini="adapted",
        notes={"gemini": "each signature with the part it signs; the words themselves stay here"},
    ),
    _row("thinking of another instance", "dropped"),
    _row(
        "a tool",
        "sent",
        anthropic="adapted",
        bedrock="adapted",
        notes={
            "anthropic": "its schema says that it is an object",
            "bedrock": "its schema says that it is an object",
        },
    ),
    _row(
        "tool_choice none",
        "sent",
        bedrock="adapted",
        ollama="adapted",
        notes={
            "bedrock": "its tools are left out; refused where an earlier turn used one",
            "ollama": "its tools are left out",
        },
    ),
    _row("tool_choice any", "sent", ollama="refused"),
    _row("tool_choice by name", "sent", ollama="refused"),
    _row("a result that is an error", "dropped", anthropic="sent", gemini="sent", bedrock="sent"),
    _row(
        "max_tokens",
        "sent",
        notes={"anthropic": "8192 where none is given", "bedrock": "8192 for Claude where none is given"},
    ),
    _row("temperature", "sent", notes={"anthropic": "at most 1", "bedrock": "at most 1"}),
    _row("top_p", "sent"),
    _row("top_k", "sent", openai="dropped", notes={"bedrock": "Claude's only"}),
    _row(
        "seed",
        "sent",
        anthropic="dropped",
        bedrock="dropped",
        gemini="adapted",
        notes={"gemini": "its lowest 31 bits"},
    ),
    _row("stop", "sent", notes={"gemini": "up to five, else refused"}),
    _row("frequency_penalty", "sent", anthropic="dropped", bedrock="dropped"),
    _row("presence_penalty", "sent", anthropic="dropped", bedrock="dropped"),
    _row(
        "a budget for thinking",
        "adapted",
        anthropic="sent",
        gemini="sent",
        bedrock="sent",
        native="dropped",
        notes={
            "openai": "low, medium or high",
            "compatible": "low, medium or high",
            "vllm": "on or off",
            "ollama": "on",
            "gemini": "from the third generation on low or high",
            "bedrock": "Claude's only, else refused",
        },
    ),
    _row("an answer by JSON Schema", "sent"),
    _row(
        "an answer that is JSON",
        "sent",
        anthropic="adapted",
        bedrock="adapted",
        native="adapted",
        notes={
            "anthropic": "a sentence of instruction",
            "bedrock": "a sentence of instruction",
            "native": "the schema of any object",
        },
    ),
    _row("a number out of range", "refused"),
)

_INTRODUCTION: Final = """# Providers

Written by `python -m legion_core.testing.provider_table`; a test holds it against what is really sent.

## What an instance needs

| kind | what it is | tier | address | key |
|---|---|---|---|---|
"""

_TABLE: Final = """
`llamacpp`, the models on this computer, needs no entry. Keys of Vertex, Bedrock and Azure that are left empty need the
official library: in the workbench's own folder, `.venv/bin/python -m pip install '.[vertex]'`, `'.[bedrock]'` or
`'.[azure]'`; models of MLX in a process of ours need `'.[mlx]'`.

`legion provider discover` looks for Ollama, vLLM, LM Studio, llama-server, SGLang and others on the ports of this
computer they are known for (11434, 8000, 1234, 8080, 30000, 1337; Ollama also where OLLAMA_HOST points) and says how
to add each. Only GETs are sent, to this computer alone, without a key, and only when asked.

Models that are not configured are asked of the instance. What a listing tells is believed (context, tools, pictures,
and at OpenRouter the price; Together, Fireworks, Vercel, Hugging Face, Mistral and others are read too), and what
servers tell beside it: llama-server (`/props`), LM Studio (`/api/v0/models`), SGLang (`/get_server_info`), Ollama
behind its `/v1` (`/api/show`) and LiteLLM's proxy (`/model/info`, what every deployment behind a name can). vLLM tells
its context and keeps to any schema, but not whether it was started with a parser of calls. OpenAI tells only names, so
the families at its own host are known here. Of a server that tells nothing it is not guessed that its models have
tools, pictures, documents or thinking: say it, and requests that need them go there.

    legion provider model list box                                  what is known of each
    legion provider model set box qwen3-32b --tools yes --context 32768
    legion provider model try box qwen3-32b [--save]                ask the model itself
    legion provider model reset box qwen3-32b

In the window it is Models > Providers: a line of the provider's models opens the form of what that model can, and *Ask the
model* puts what it shows into the form; nothing is kept before *Save*.

`set` writes what is said into the configuration. With `discover = true` the instance is still asked for its other
models, and for what an entry leaves open; without it, only the models that stand there are offered. What is said of one
ability (tools, images, documents, thinking, structured output, completions, fim) writes all of them, those that are not
said as they are known at that moment;
`reset` leaves them to the server again. `try` sends up to six small requests (a tool, a schema, a picture, a PDF, thinking;
and a hello if it refused the first), says what came of each in a sentence, and keeps nothing unless told to; they are
kept within the budget and billed like any other. A request that is refused because no model is known to be able names
the command to say so.

By hand the same is an entry of the file. `legion config check` puts it in force in a running workbench; so do a look at
the providers and coming back to the window.

```toml
[[gateway.instances]]
name = "box"
kind = "vllm"
base_url = "http://127.0.0.1:8000/v1"
discover = true

[[gateway.instances.models]]
id = "qwen3-32b"
context = 32768
capabilities = ["streaming", "tools", "structured_output"]
```

`completions` goes on with a text through no template (`POST /v1/completions`): known of Ollama, this computer, vLLM, SGLang,
llama-server and LM Studio. `fim` fills a gap before a `suffix`: Ollama tells it of a model; of others it has to be said.

Which price holds is told in [ledger.md](ledger.md), which model is asked first in [routing.md](routing.md).

A broken answer goes on at a model whose `continuation` is `prefill` or `native`. It is so without configuration at Ollama,
on this computer, and at vLLM, SGLang, llama-server and LM Studio once they have been asked for their models.

## What becomes of a request

✓ it means the same there · ≈ it comes as near as the note says · – it is left out: the answer does not depend on it, or
that provider has nothing like it · ✗ the request is refused there, and another candidate is asked.

"""


def render() -> str:
    """The whole document."""
    families = "".join(
        f"| `{kind.kind}` | {kind.title} | {kind.tier} | {_address(kind.default_base_url, kind.address_hint)} "
        f"| {kind.key_hint or ('needed' if kind.needs_key else 'if the server asks for one')} |\n"
        for kind in kinds()
    )
    lines = [f"| | {' | '.join(HEADINGS.values())} |", f"|---{'|---' * len(HEADINGS)}|"]
    footnotes = dict[str, int]()
    for row in ROWS:
        cells = [_cell(row, wire, footnotes) for wire in HEADINGS]
        lines.append(f"| {row.field} | {' | '.join(cells)} |")
    notes = "".join(f"{number}. {note}\n" for note, number in footnotes.items())
    table = "\n".join(lines)
    return f"{_INTRODUCTION}{families}{_TABLE}{table}\n\n{notes}"


def _address(default: str, hint: str) -> str:
    told = [f"`{default}`"] if default else []
    if hint.startswith("https://"):
        told.append(f"`{hint}`")
    elif hint:
        told.append(hint)
    return ", or ".join(told)


def _cell(row: Row, wire: Wire, footnotes: dict[str, int]) -> str:
    mark = MARKS[row.fate(wire)]
    note = row.notes.get(wire)
    if note is None:
        return mark
    return f"{mark} {footnotes.setdefault(note, len(footnotes) + 1)}"


def main() -> int:
    """Write the document beside the source."""
    path = Path(__file__).parents[2] / "docs" / "providers.md"
    path.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
