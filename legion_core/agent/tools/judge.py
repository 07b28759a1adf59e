"""Whether a call that a model wants needs a person's yes, and which yeses may be given to it. Decides, does nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from legion_core.agent.tools.types import Offered, Scope, Yes

UNSURE: Final = "The workbench stopped during a call of this tool. Whether that took effect is not known; this would be another."


@dataclass(frozen=True, slots=True)
class Verdict:
    """`needs_yes`, the `scopes` a person may answer with, and the `notes` that belong beside the question."""

    needs_yes: bool
    scopes: tuple[Scope, ...] = ()
    notes: tuple[str, ...] = ()
    why: str = ""


def judge(
    tool: Offered, yeses: Sequence[Yes], heard: frozenset[str], *, is_private: bool, is_unsure: bool = False
) -> Verdict:
    """What holds for this tool in a chat in which the words of `heard` stand.

    What only reads our own is free. Of others' tools their own word decides nothing: each is asked for until a yes
    stands. A yes is to a tool as it was, and beside the strangers' words that stood there when it was given: text of one
    server shall not make the model call another's tool. What is dangerous is asked for each time; a server that says of
    its tool that it destroys is believed, so that no yes to it holds for always. `is_unsure`: a call of it may have taken
    effect unseen, so that no yes of before covers another.
    """
    leaves = is_private and tool.is_remote
    beside = foreign(tool, heard)
    notes: list[str] = []
    if leaves:
        notes.append("This chat is kept on this computer. The call sends its arguments away.")
    if is_unsure:
        notes.append(UNSURE)
    if tool.risk == "danger" and not tool.source.startswith("server:"):
        return Verdict(True, ("once",), tuple(notes))
    if tool.risk == "read" and not tool.source.startswith("server:") and not leaves:
        return Verdict(False, why="It only reads.")
    standing = [yes for yes in yeses if yes.print == tool.print]
    if leaves:
        standing = [yes for yes in standing if yes.conversation_id]  # given in this very chat
    covering = [yes for yes in standing if beside <= set(yes.beside)]
    if covering and not is_unsure:
        where = "this chat" if covering[0].conversation_id else "every chat"
        return Verdict(False, why=f"Allowed for {where}.")
    if standing and not covering:
        notes.append(f"Allowed before, but {_said(beside)} spoke in this chat since.")
    elif yeses and not standing:
        notes.append("Allowed before, but the tool is not what it was then.")
    if beside and not standing:
        notes.append(f"Words of {_said(beside)} stand in this chat and may have asked for it.")
    if is_unsure:
        return Verdict(True, ("once",), tuple(notes))
    is_narrow = leaves or tool.risk == "danger"
    return Verdict(True, ("once", "chat") if is_narrow else ("once", "chat", "always"), tuple(notes))


def foreign(tool: Offered, heard: frozenset[str]) -> frozenset[str]:
    """The sources in the chat other than the tool's own."""
    return heard - {tool.source}


def _said(sources: frozenset[str]) -> str:
    return ", ".join(sorted(source.rpartition(":")[2] for source in sources))
