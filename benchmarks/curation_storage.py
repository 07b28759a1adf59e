"""What keeping and curating costs on disk: `python -m benchmarks.curation_storage --json`.

Made sessions of 20 to 160 turns are kept as conversations and curated turn by turn, as the gateway does it. Counted is the
whole journal, pages, indexes and search included, against the bytes of what was said: texts, thinking, arguments, results.
A second journal holds what clients that keep their own history leave behind: archives and views, without the messages.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from benchmarks import curation_corpus as corpus
from benchmarks.curation_truth import Session
from legion_core.gateway.import_types import ImportedChat, Node
from legion_core.gateway.types import Message, Request, ToolUseBlock
from legion_core.testing.gateway import GatewayUnderTest, open_gateway

TURNS = (20, 40, 80, 160)


def raw_bytes(session: Session) -> int:
    """What was said."""
    total = 0
    for step in session.steps:
        for message in step.added:
            for block in message.content:
                text = block.arguments if isinstance(block, ToolUseBlock) else getattr(block, "text", "")
                total += len(text.encode())
    return total


async def stored_bytes(folder: Path, sessions: list[Session], *, is_kept: bool) -> int:
    """Bytes of the journal once all sessions were curated, and kept where `is_kept`."""
    path = folder / ("kept.db" if is_kept else "resent.db")
    async with open_gateway(path) as gateway:
        for number, session in enumerate(sessions):
            name = await _keep(gateway, session) if is_kept else None
            messages: tuple[Message, ...] = ()
            for turn, step in enumerate(session.steps):
                messages += step.added
                request = Request(id=f"req_{number}_{turn}", messages=messages, conversation_id=name)
                curated = await gateway.curation.view(request)
                if curated is not None:
                    gateway.curation.after(curated)
                while any(task.startswith("curate") for task in gateway.supervisor.census):
                    await asyncio.sleep(0)
    # closing writes the log into the journal
    return sum(each.stat().st_size for each in folder.glob(path.name + "*"))


async def _keep(gateway: GatewayUnderTest, session: Session) -> str:
    nodes: list[Node] = []
    for step in session.steps:
        for message in step.added:
            nodes.append(Node(message, len(nodes) - 1 if nodes else None))
    chat = ImportedChat(title=session.name, nodes=nodes, head=len(nodes) - 1)
    await gateway.gateway.conversations.take_in([chat])
    return chat.id


def main(arguments: list[str] | None = None) -> int:
    """Print the figures as one JSON line."""
    parser = argparse.ArgumentParser(prog="benchmarks.curation_storage", description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    sessions = [
        corpus.session(options.first, "50+" if turns >= 50 else "20-49", turns, number)
        for number, turns in enumerate(TURNS)
    ]
    raw = sum(map(raw_bytes, sessions))
    with tempfile.TemporaryDirectory() as folder:
        kept = asyncio.run(stored_bytes(Path(folder), sessions, is_kept=True))
        resent = asyncio.run(stored_bytes(Path(folder), sessions, is_kept=False))
    page = {
        "stored_over_raw": round(kept / raw, 3),
        "resent_over_raw": round(resent / raw, 3),
        "raw_mb": round(raw / 1e6, 2),
        "kept_mb": round(kept / 1e6, 2),
        "sessions": len(sessions),
    }
    print(json.dumps(page))
    return 0


if __name__ == "__main__":
    sys.exit(main())
