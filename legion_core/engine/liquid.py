"""Pure: Liquid templates, without files and without surprises.

    text ──parsed──▶ Template ──render(payload)──▶ text

The tags are `if unless case for break continue assign capture cycle increment decrement echo liquid comment raw #`;
there is no include, no access to attributes, and nothing that reads the clock. A name that is not there can be
tested and have a default; printing it is a fault. Work is counted and bounded. The differences from Shopify's are
listed in `docs/transforms.md`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from legion_core.engine.liquid_expressions import Parser
from legion_core.engine.liquid_frame import (
    LIST_MAX,
    Expression,
    Frame,
    Missing,
    TooLarge,
    equal,
    is_true,
    text_of,
)
from legion_core.engine.liquid_tokens import LiquidFault, Token, lexemes, tokens

DEPTH_MAX = 30

Signal = Literal["break", "continue"] | None
Node = Callable[[Frame], Signal]

_REFUSED = {
    "include": "templates cannot include others.",
    "render": "templates cannot include others.",
    "tablerow": "tables are not supported; use for.",
    "ifchanged": "ifchanged is not supported.",
}


@dataclass(frozen=True, slots=True)
class Template:
    """A template ready to be rendered. `paths` are the names it reads from outside, as far as they are written out."""

    paths: frozenset[tuple[str, ...]]
    _body: Node

    def render(self, payload: Mapping[str, object]) -> str:
        """The text for this payload of plain JSON; raises LiquidFault, TooLong, TooLarge."""
        frame = Frame(payload)
        try:
            self._body(frame)
        except (ArithmeticError, RecursionError, MemoryError) as error:
            raise LiquidFault(f"it cannot be computed: {type(error).__name__}.") from None
        return frame.output()


def parsed(text: str) -> Template:
    """The template ready to be rendered; raises LiquidFault with the line."""
    builder = _Builder(list(tokens(text)))
    body, end = builder.block((), 0)
    assert end is None
    return Template(frozenset(builder.paths), body)


class _Builder:
    """Reads tokens into nodes; blocks nest at most `DEPTH_MAX` deep."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._own: set[str] = set()  # names the template gives itself
        self.paths: set[tuple[str, ...]] = set()

    def block(self, ends: tuple[str, ...], depth: int) -> tuple[Node, Token | None]:
        """Nodes up to one of the tags `ends`, and that tag; the end of the text where there are none."""
        if depth > DEPTH_MAX:
            raise LiquidFault(f"blocks are nested deeper than {DEPTH_MAX}.", self._line())
        nodes: list[Node] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._at += 1
            match token.kind:
                case "text":
                    nodes.append(_text(token.text))
                case "output":
                    nodes.append(_output(self._parser(token, token.text).filtered_to_end()))
                case "tag":
                    word = token.text.split(None, 1)[0] if token.text else ""
                    if word in ends:
                        return _sequence(tuple(nodes)), token
                    nodes.append(self._tag(token, word, depth))
        if ends:
            raise LiquidFault(
                f"{ends[-1].removeprefix('end')} is not closed: {ends[-1]} is missing.", self._line()
            )
        return _sequence(tuple(nodes)), None

    def _line(self) -> int:
        return self._tokens[min(self._at, len(self._tokens)) - 1].line if self._tokens else 1

    def _parser(self, token: Token, text: str) -> Parser:
        return Parser(lexemes(text, token.line), token.line, self._own, self.paths)

    def _tag(self, token: Token, word: str, depth: int) -> Node:
        rest = token.text[len(word) :]
        parser = self._parser(token, rest) if word != "liquid" else None
        if parser is None:
            return self._liquid(token, rest, depth)
        simple = _SIMPLE.get(word)
        if simple is not None:
            node = simple(parser)
            parser.end()
            return node
        match word:
            case "if" | "unless":
                return self._if(parser, word, depth)
            case "case":
                return self._case(parser, depth)
            case "for":
                return self._for(parser, depth)
            case "capture":
                name = parser.own_name()
                parser.end()
                body, _ = self.block(("endcapture",), depth + 1)
                return _capture(name, body)
            case _:
                raise LiquidFault(_REFUSED.get(word, f"there is no tag {word!r} here."), token.line)

    def _liquid(self, token: Token, rest: str, depth: int) -> Node:
        """Tags written one a line. They may open blocks only if they close them."""
        inner = [
            Token("tag", line.strip(), token.line + number)
            for number, line in enumerate(rest.split("\n"))
            if line.strip() and not line.strip().startswith("#")
        ]
        outer, self._tokens, self._at, at = self._tokens, inner, 0, self._at
        body, _ = self.block((), depth + 1)
        self._tokens, self._at = outer, at
        return body

    def _if(self, parser: Parser, word: str, depth: int) -> Node:
        end = f"end{word}"
        branches: list[tuple[Expression, Node]] = []
        condition = parser.condition_to_end()
        if word == "unless":
            condition = _negated(condition)
        while True:
            body, stop = self.block(("elsif", "else", end), depth + 1)
            assert stop is not None
            branches.append((condition, body))
            if stop.text.startswith("elsif"):
                condition = self._parser(stop, stop.text.removeprefix("elsif")).condition_to_end()
                continue
            otherwise = None
            if stop.text.startswith("else"):
                otherwise, _ = self.block((end,), depth + 1)
            return _choice(tuple(branches), otherwise)

    def _case(self, parser: Parser, depth: int) -> Node:
        subject = parser.filtered_to_end()
        _, stop = self.block(("when", "else", "endcase"), depth + 1)
        branches: list[tuple[Expression, Node]] = []
        otherwise: Node | None = None
        while stop is not None and not stop.text.startswith("endcase"):
            if stop.text.startswith("else"):
                otherwise, stop = self.block(("when", "endcase"), depth + 1)
                continue
            values = self._parser(stop, stop.text.removeprefix("when")).alternatives_to_end()
            body, stop = self.block(("when", "else", "endcase"), depth + 1)
            branches.append((_is_any(subject, values), body))
        return _choice(tuple(branches), otherwise)

    def _for(self, parser: Parser, depth: int) -> Node:
        name = parser.own_name()
        self._own.add("forloop")
        parser.word("in")
        items = parser.primary()
        limit = offset = None
        is_reversed = False
        while not parser.at_end():
            parser.skip(",")
            match parser.name():
                case "reversed":
                    is_reversed = True
                case "limit":
                    parser.op(":")
                    limit = parser.primary()
                case "offset":
                    parser.op(":")
                    offset = parser.primary()
                case other:
                    raise LiquidFault(f"for knows limit, offset and reversed, not {other!r}.", parser.line)
        body, stop = self.block(("else", "endfor"), depth + 1)
        otherwise = None
        if stop is not None and stop.text.startswith("else"):
            otherwise, _ = self.block(("endfor",), depth + 1)
        return _loop(_Loop(name, items, limit, offset, is_reversed, body, otherwise, parser.line))


def _text(text: str) -> Node:
    def node(frame: Frame) -> Signal:
        frame.step()
        frame.write(text)
        return None

    return node


def _output(value: Expression) -> Node:
    def node(frame: Frame) -> Signal:
        frame.step()
        frame.write(text_of(value(frame)))
        return None

    return node


def _sequence(nodes: tuple[Node, ...]) -> Node:
    def node(frame: Frame) -> Signal:
        for each in nodes:
            if (signal := each(frame)) is not None:
                return signal
        return None

    return node


def _negated(condition: Expression) -> Expression:
    return lambda frame: not is_true(condition(frame))


def _choice(branches: tuple[tuple[Expression, Node], ...], otherwise: Node | None) -> Node:
    def node(frame: Frame) -> Signal:
        for condition, body in branches:
            frame.step()
            if is_true(condition(frame)):
                return body(frame)
        return otherwise(frame) if otherwise is not None else None

    return node


def _is_any(subject: Expression, values: list[Expression]) -> Expression:
    return lambda frame: any(equal(subject(frame), value(frame)) for value in values)


def _capture(name: str, body: Node) -> Node:
    def node(frame: Frame) -> Signal:
        frame.step()
        outer = frame.capture()
        signal: Signal = None
        try:
            signal = body(frame)
        finally:
            frame.names[name] = frame.captured(outer)
        return signal

    return node


def _assign(parser: Parser) -> Node:
    name = parser.own_name()
    parser.op("=")
    value = parser.filtered_to_end()

    def node(frame: Frame) -> Signal:
        frame.step()
        found = value(frame)
        frame.names[name] = None if isinstance(found, Missing) else found
        return None

    return node


def _echo(parser: Parser) -> Node:
    return _output(parser.filtered_to_end())


def _counter(step: int) -> Callable[[Parser], Node]:
    def build(parser: Parser) -> Node:
        name = parser.own_name()

        def node(frame: Frame) -> Signal:
            frame.step()
            value = frame.counters.get(name, 0)
            frame.counters[name] = value + step
            frame.write(str(value if step > 0 else value + step))
            return None

        return node

    return build


def _cycle(parser: Parser) -> Node:
    values = [parser.primary()]
    group: Expression | None = None
    if parser.skip(":"):
        group, values = values[0], [parser.primary()]
    while parser.skip(","):
        values.append(parser.primary())
    if len(values) > LIST_MAX:
        raise LiquidFault("cycle has too many values.", parser.line)
    own_key = parser.text

    def node(frame: Frame) -> Signal:
        frame.step()
        key: object = ("group", text_of(group(frame))) if group is not None else own_key
        at = frame.cycles.get(key, 0)
        frame.cycles[key] = at + 1
        frame.write(text_of(values[at % len(values)](frame)))
        return None

    return node


def _signal(word: Literal["break", "continue"]) -> Callable[[Parser], Node]:
    def build(_: Parser) -> Node:
        return lambda _: word

    return build


_SIMPLE: Mapping[str, Callable[[Parser], Node]] = {
    "assign": _assign,
    "echo": _echo,
    "increment": _counter(1),
    "decrement": _counter(-1),
    "cycle": _cycle,
    "break": _signal("break"),
    "continue": _signal("continue"),
}


@dataclass(frozen=True, slots=True)
class _Loop:
    name: str
    items: Expression
    limit: Expression | None
    offset: Expression | None
    is_reversed: bool
    body: Node
    otherwise: Node | None
    line: int

    def members(self, frame: Frame) -> list[object]:
        """What the loop goes through, bounded."""
        found = self.items(frame)
        if isinstance(found, Missing):
            raise LiquidFault(f"{found.path} is not there.", self.line)
        members: list[object]
        if isinstance(found, dict):
            members = [[name, value] for name, value in found.items()]  # pyright: ignore[reportUnknownVariableType]
        elif isinstance(found, list | range):
            members = list(found)  # pyright: ignore[reportUnknownArgumentType]
        else:
            members = [found] if isinstance(found, str) and found else []
        if len(members) > LIST_MAX:
            raise TooLarge(
                f"for goes through {len(members)} members; at most {LIST_MAX} are taken.", self.line
            )
        start = self._whole(self.offset, frame, 0)
        members = members[start : start + self._whole(self.limit, frame, len(members))]
        return members[::-1] if self.is_reversed else members

    def _whole(self, expression: Expression | None, frame: Frame, otherwise: int) -> int:
        value = expression(frame) if expression is not None else otherwise
        if isinstance(value, str) and len(value) < 10 and value.isdecimal():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise LiquidFault("limit and offset are whole numbers.", self.line)
        return max(0, value)


def _loop(loop: _Loop) -> Node:
    def node(frame: Frame) -> Signal:
        frame.step()
        members = loop.members(frame)
        if not members:
            return loop.otherwise(frame) if loop.otherwise is not None else None
        outer = frame.loops[-1].get("forloop") if frame.loops else None
        count = len(members)
        names: dict[str, object] = {}
        frame.loops.append(names)
        try:
            for at, member in enumerate(members):
                frame.step()
                names[loop.name] = member
                names["forloop"] = {
                    "index": at + 1,
                    "index0": at,
                    "rindex": count - at,
                    "rindex0": count - at - 1,
                    "first": at == 0,
                    "last": at == count - 1,
                    "length": count,
                    "parentloop": outer,
                }
                if loop.body(frame) == "break":
                    break
        finally:
            frame.loops.pop()
        return None

    return node
