"""Pure: puts a key into a JSON text and takes it out again, and leaves every other byte where it was."""

import json
import re
from typing import Any, cast

from legion_core.connect.jsonc import Document, Invalid, Item, Node, parse, place, plain
from legion_core.connect.marks import Mark
from legion_core.kernel.errors import ConfigError

_INDENT = re.compile(r"(?:^|[\r\n])([ \t]+)\S")
_REST_OF_LINE = re.compile(r"(?:[ \t]+|/\*[^\r\n]*?\*/)*(?://[^\r\n]*)?")
_BLANKS_BEFORE = re.compile(r"(?:\r\n|\r|\n)?[ \t]*\Z")


def put(text: str, path: tuple[str, ...], value: Any, *, is_strict: bool) -> tuple[str, Mark]:
    """`text` in which `path` holds `value`, and how to take it back.

    Raises Invalid for a text that is not JSON, ConfigError where the path leads through something else than an object.
    """
    document = parse(text, is_strict=is_strict)
    root = document.root
    if root is None:
        return _fill(text, path, value)
    node, depth = root, 0
    while depth < len(path):
        if node.kind == "word" and text[node.start : node.end] == "null" and depth:
            return _replace(text, node, path, depth, _nest(path[depth:], value))
        _expect(document, node, path, depth)
        item = _find(document, node, path[depth])
        if item is None:
            return _insert(text, node, path, depth, value)
        node, depth = item.value, depth + 1
    if document.value(node) == plain(json.dumps(value)):
        return text, Mark(path=path, depth=depth, kind="same")
    return _replace(text, node, path, depth, value)


def take(text: str, mark: Mark, *, is_strict: bool) -> str:
    """`text` without what `mark` remembers; what others put there since stays. Raises Invalid."""
    document = parse(text, is_strict=is_strict)
    if mark.kind == "same" or document.root is None:
        return text
    trail = _trail(document, mark.path)
    if len(trail) <= len(mark.path):
        return text  # somebody took it out already
    if mark.kind == "root" and _is_alone(document, trail, 0):
        around = text[: document.root.start] + text[document.root.end :]
        before = mark.before or ""
        return before if around.strip() == before.strip() else around
    if mark.kind == "replaced" and mark.before is not None and _is_alone(document, trail, mark.depth):
        node = trail[mark.depth][0]
        return text[: node.start] + mark.before + text[node.end :]
    # Upwards, as long as what we made holds nothing but ours.
    at = len(mark.path)
    lowest = mark.depth + (mark.kind != "root")
    while at > lowest and _holds_only(document, trail[at - 1][0]):
        at -= 1
    container, index = trail[at - 1][0], trail[at][1]
    return _remove(text, container, index, mark if at == mark.depth + 1 else None)


def held(text: str, path: tuple[str, ...], *, is_strict: bool) -> Any:
    """What stands at `path`, in the form of `plain`, or None if nothing does. Raises Invalid."""
    document = parse(text, is_strict=is_strict)
    if document.root is None:
        return None
    trail = _trail(document, path)
    return document.value(trail[-1][0]) if len(trail) > len(path) else None


def _trail(document: Document, path: tuple[str, ...]) -> list[tuple[Node, int]]:
    """The nodes along `path` as far as they exist, the root first, each with its index in the one before."""
    assert document.root is not None
    trail = [(document.root, -1)]
    for step in path:
        node = trail[-1][0]
        if node.kind not in ("object", "array"):
            break
        item = _find(document, node, step)
        if item is None:
            break
        trail.append((item.value, node.items.index(item)))
    return trail


def _find(document: Document, node: Node, step: str) -> Item | None:
    if step.startswith("@"):
        name, _, wanted = step[1:].partition("=")
        found = [item for item in node.items if _has(document, item.value, name, wanted)]
    else:
        found = [item for item in node.items if item.key == step]
    if len(found) > 1:
        lines = " and ".join(str(place(document.text, item.start)[0]) for item in found[:2])
        raise ConfigError(
            f"{_words(step)} stands there twice, in lines {lines}.",
            hint="Which one counts is up to the program; take one out first.",
        )
    return found[0] if found else None


def _has(document: Document, node: Node, name: str, wanted: str) -> bool:
    return node.kind == "object" and any(
        item.key == name and item.value.kind == "string" and document.value(item.value) == wanted
        for item in node.items
    )


def _words(step: str) -> str:
    return f"An entry named {step.partition('=')[2]!r}" if step.startswith("@") else f'"{step}"'


def _expect(document: Document, node: Node, path: tuple[str, ...], depth: int) -> None:
    wanted = "array" if path[depth].startswith("@") else "object"
    if node.kind != wanted:
        names = {"object": "an object in braces", "array": "a list in brackets"}
        where = f'"{path[depth - 1]}"' if depth else "The document"
        raise Invalid(f"{where} is not {names[wanted]}", *place(document.text, node.start))


def _nest(path: tuple[str, ...], value: Any) -> Any:
    for step in reversed(path):
        value = [value] if step.startswith("@") else {step: value}
    return value


def _fill(text: str, path: tuple[str, ...], value: Any) -> tuple[str, Mark]:
    """A text without any value: what it holds stays on top."""
    newline = _newline(text)
    body = _rendered(_nest(path, value), "", "  ", newline)
    joint = newline if text.strip() and not text.endswith(("\n", "\r")) else ""
    return f"{text}{joint}{body}{newline}", Mark(path=path, kind="root", before=text)


def _replace(text: str, node: Node, path: tuple[str, ...], depth: int, value: Any) -> tuple[str, Mark]:
    before = text[node.start : node.end]
    is_flat = not re.search(r"[\r\n]", before) and node.kind in ("object", "array") and bool(node.items)
    fresh = (
        _flat(value, before)
        if is_flat
        else _rendered(value, _line_indent(text, node.start), _unit(text), _newline(text))
    )
    return (
        text[: node.start] + fresh + text[node.end :],
        Mark(path=path, depth=depth, kind="replaced", before=before),
    )


def _insert(text: str, node: Node, path: tuple[str, ...], depth: int, value: Any) -> tuple[str, Mark]:
    rest = _nest(path[depth + 1 :], value)
    name = "" if path[depth].startswith("@") else json.dumps(path[depth], ensure_ascii=False)
    if node.items:
        return _append(text, node, path, depth, name, rest)
    newline, base = _newline(text), _line_indent(text, node.start)
    inside = text[node.start + 1 : node.end - 1]
    if not re.search(r"[\r\n]", text.strip()) and len(text.strip()) > 2 and not inside.strip():
        member = _member(name, _flat(rest, text), _gap(text))
        mark = Mark(path=path, depth=depth)
        return text[: node.start + 1] + member + text[node.start + 1 :], mark
    indent = base + _unit(text)
    lead = newline + indent
    after = len(inside.rstrip()) if inside.strip() else 0
    tail = "" if re.search(r"[\r\n]", inside[after:]) else newline + base
    member = _member(name, _rendered(rest, indent, _unit(text), newline), " ")
    at = node.start + 1 + after
    return text[:at] + lead + member + tail + text[at:], Mark(path=path, depth=depth, lead=lead, tail=tail)


def _append(
    text: str, node: Node, path: tuple[str, ...], depth: int, name: str, value: Any
) -> tuple[str, Mark]:
    last = node.items[-1]
    before = node.items[-2].comma + 1 if len(node.items) > 1 else node.start + 1
    gap = text[before : last.start]
    has_comma = last.comma >= 0
    after = last.comma + 1 if has_comma else last.value.end
    if re.search(r"[\r\n]", gap):
        indent = _line_indent(text, last.start)
        lead = _newline(text) + indent
        member = _member(name, _rendered(value, indent, _unit(text), _newline(text)), " ")
        at = _line_end(text, after, node.end - 1)
    else:
        lead = gap if len(node.items) > 1 and not gap.strip() else " " if _gap(text) else ""
        member = _member(name, _flat(value, text), _gap(text))
        at = after
    mark = Mark(path=path, depth=depth, lead=lead, comma="after" if has_comma else "before")
    if has_comma:
        return text[:at] + lead + member + "," + text[at:], mark
    return text[:after] + "," + text[after:at] + lead + member + text[at:], mark


def _line_end(text: str, at: int, limit: int) -> int:
    """Past the comments that stand behind `at` on its line, but before the closing bracket at `limit`."""
    found = _REST_OF_LINE.match(text, at)
    end = found.end() if found else at
    if end >= limit or text[end : end + 1] not in ("\n", "\r"):
        return at
    return at if not text[at:end].strip() else end


def _is_alone(document: Document, trail: list[tuple[Node, int]], depth: int) -> bool:
    """Whether from `depth` on there is nothing but our own path."""
    return all(_holds_only(document, node) for node, _ in trail[depth:-1])


def _holds_only(document: Document, node: Node) -> bool:
    """Whether a container holds one item and no comment beside it."""
    if len(node.items) != 1:
        return False
    item = node.items[0]
    beside = document.text[node.start + 1 : item.start] + document.text[item.value.end : node.end - 1]
    return not beside.replace(",", "").strip()


def _remove(text: str, container: Node, index: int, mark: Mark | None) -> str:
    item = container.items[index]
    floor = container.items[index - 1].comma + 1 if index else container.start + 1
    start = _start_of(text, floor, item, mark)
    end = item.value.end
    is_last = index == len(container.items) - 1
    cuts: list[tuple[int, int]] = []
    if item.comma >= 0:
        if text[end : item.comma].strip():
            cuts.append((item.comma, item.comma + 1))
        else:
            end = item.comma + 1
    elif is_last and index:
        comma = container.items[index - 1].comma
        cuts.append((comma, comma + 1))
    if len(container.items) == 1 and mark and mark.tail and text.startswith(mark.tail, end):
        end += len(mark.tail)
    cuts.append((start, end))
    for begin, finish in sorted(cuts, reverse=True):
        text = text[:begin] + text[finish:]
    return text


def _start_of(text: str, floor: int, item: Item, mark: Mark | None) -> int:
    if mark and text[max(floor, item.start - len(mark.lead)) : item.start] == mark.lead:
        return item.start - len(mark.lead)
    blanks = _BLANKS_BEFORE.search(text, floor, item.start)
    return blanks.start() if blanks else item.start


def _member(name: str, value: str, gap: str) -> str:
    return f"{name}:{gap}{value}" if name else value


def _rendered(value: Any, indent: str, unit: str, newline: str) -> str:
    """Over several lines, as people write it: lists of plain values stay on one."""
    if isinstance(value, dict) and value:
        items = cast("dict[str, Any]", value).items()
        inner = [
            f"{indent}{unit}{json.dumps(name, ensure_ascii=False)}: {_rendered(each, indent + unit, unit, newline)}"
            for name, each in items
        ]
        opening, closing = "{", "}"
    elif isinstance(value, list) and any(isinstance(each, dict) for each in cast("list[Any]", value)):
        inner = [
            f"{indent}{unit}{_rendered(each, indent + unit, unit, newline)}"
            for each in cast("list[Any]", value)
        ]
        opening, closing = "[", "]"
    else:
        return json.dumps(value, ensure_ascii=False)
    return f"{opening}{newline}{f',{newline}'.join(inner)}{newline}{indent}{closing}"


def _flat(value: Any, text: str) -> str:
    gap = _gap(text)
    return json.dumps(value, ensure_ascii=False, separators=(f",{gap}", f":{gap}"))


def _gap(text: str) -> str:
    """What this text puts behind a colon."""
    found = re.search(r'":([ \t]?)', text)
    return (" " if found.group(1) else "") if found else " "


def _newline(text: str) -> str:
    found = re.search(r"\r\n|\r|\n", text)
    return found.group() if found else "\n"


def _unit(text: str) -> str:
    """One level of this text's indentation; two blanks where it has none."""
    found = _INDENT.search(text)
    return found.group(1) if found else "  "


def _line_indent(text: str, at: int) -> str:
    begin = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    found = re.compile(r"[ \t]*").match(text, begin, at)
    return found.group() if found else ""
