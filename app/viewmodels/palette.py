"""What the palette finds: commands, chats, settings and models, in groups, with the letters that matched."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.viewmodels.fuzzy import Haystack
from legion_core.api.types import Conversation, ModelRow, SettingRow

ROWS_MAX = 40
GROUP_ROWS = 8
GROUP_WEIGHT = {
    "Commands": 45,
    "Chats": 30,
    "Models": 20,
    "Help": 10,
}  # what is meant most often comes first among equals
PREFIXES = {">": "Commands", "@": "Models", ":": "Settings", "?": "Help"}


@dataclass(frozen=True, slots=True)
class Item:
    """Something that can be found and run. `group` is its caption, `key` what to run."""

    group: str
    key: str
    title: str
    detail: str = ""
    icon: str = ""
    tier: str = ""
    keys: str = ""
    words: str = ""
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """An item with the ranges of its title that matched."""

    item: Item
    spans: tuple[tuple[int, int], ...]


def from_conversations(found: Sequence[Conversation]) -> list[Item]:
    """Chats, the latest first among equals."""
    return [
        Item("Chats", f"chat:{row.id}", row.title or "New chat", tier=row.tier or "", weight=max(0, 5 - at // 10), icon="message-square")
        for at, row in enumerate(found)
    ]  # fmt: skip


def from_settings(rows: Sequence[SettingRow]) -> list[Item]:
    """Settings with their value now."""
    return [
        Item("Settings", f"setting:{row.key}", f"{row.group}: {row.title}", detail=_value(row), icon="settings", words=row.description)
        for row in rows
    ]  # fmt: skip


def from_models(rows: Sequence[ModelRow]) -> list[Item]:
    """Models on this computer."""
    return [
        Item(
            "Models",
            f"model:{row.name}",
            row.name,
            detail="loaded" if row.is_loaded else "",
            tier="local",
            weight=3,
        )
        for row in rows
    ]


class PaletteIndex:
    """All items, prepared once when the palette opens; each key press only searches."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = tuple(items)
        self._all = _Part(self.items)
        self._parts: dict[str, _Part] = {}

    def __len__(self) -> int:
        return len(self.items)

    def search(self, query: str) -> tuple[Found, ...]:
        """What matches, group by group, best group first; a prefix narrows to one group."""
        prefix, wanted = (query[0], query[1:]) if query[:1] in PREFIXES else ("", query)
        part = self._part(PREFIXES[prefix]) if prefix else self._all
        found = part.search(wanted.strip(), ROWS_MAX)
        groups: dict[str, list[Found]] = {}
        for hit in found:
            groups.setdefault(hit.item.group, []).append(hit)
        per_group = ROWS_MAX if prefix or len(groups) == 1 else GROUP_ROWS
        return tuple(hit for hits in groups.values() for hit in hits[:per_group])

    def _part(self, group: str) -> "_Part":
        made = self._parts.get(group)
        if made is None:
            made = self._parts[group] = _Part(tuple(item for item in self.items if item.group == group))
        return made


class _Part:
    def __init__(self, items: tuple[Item, ...]) -> None:
        self._items = items
        # Spans count characters of the searched text, so the title comes first and further words after it.
        names = [f"{' '.join(item.title.split())} {item.words}".strip() for item in items]
        self._haystack = Haystack(names, [item.weight + GROUP_WEIGHT.get(item.group, 0) for item in items])

    def search(self, query: str, limit: int) -> list[Found]:
        found: list[Found] = []
        for match in self._haystack.search(query, limit):
            item = self._items[match.index]
            length = len(" ".join(item.title.split()))
            spans = tuple((start, min(end, length)) for start, end in match.spans if start < length)
            found.append(Found(item, spans))
        return found


def _value(row: SettingRow) -> str:
    value = row.value
    if row.type == "secret":
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (list, tuple)):
        return ""
    return f"{value} {row.unit}".strip()[:40]
