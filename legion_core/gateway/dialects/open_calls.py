"""Calls and results where a protocol knows calls by name and order: ids are given here."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class OpenCalls:
    """The calls of a conversation that no result has answered yet."""

    _count: int = 0
    _open: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # id and name

    def made(self, call_id: str | None, name: str) -> str:
        """The id of a call: its own, or a new one that is the same each time the conversation is read."""
        self._count += 1
        found = call_id or f"call_{self._count}"
        self._open.append((found, name))
        return found

    def answered(self, call_id: str | None, name: str | None) -> str | None:
        """The id of the call a result is for: the one it names, else the first open one of its tool, else the first."""
        for matches in (
            [each for each in self._open if call_id and each[0] == call_id],
            [each for each in self._open if name and each[1] == name],
            self._open,
        ):
            if matches:
                found = matches[0]
                self._open.remove(found)
                return found[0]
        return None
