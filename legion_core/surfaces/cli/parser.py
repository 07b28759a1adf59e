"""How the command line reads and how it explains itself: a mistake is one sentence, and help ends with examples."""

import argparse
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn, cast

from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.cli.examples import EXAMPLES

ACTION_COLUMN = 26


class Usage(InvalidInput):
    """The command line cannot be understood; exit status 2."""


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=ACTION_COLUMN)

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001
            self._action_max_length += 2  # names of commands stand two further in than they are measured


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["Parser"]  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # it has no other name
else:
    Commands = argparse._SubParsersAction  # noqa: SLF001


class Group(Commands):
    """The commands under one; what is said of each in the list also heads its own help."""

    def add_parser(self, name: str, *, help: str = "", **more: Any) -> "Parser":  # type: ignore[override]  # noqa: A002  # argparse's own word
        """See argparse; `help` is one phrase."""
        more.setdefault("description", f"{help[:1].upper()}{help[1:]}." if help else None)
        return super().add_parser(name, help=help, **more)


class Parser(argparse.ArgumentParser):
    """Raises Usage instead of printing and leaving, so that it can be told as JSON too."""

    def __init__(self, **more: Any) -> None:
        self.otherwise = ""  # what is said of a word that is no command here, and near to none
        words = str(more.get("prog") or "").partition(" ")[2]
        if examples := EXAMPLES.get(words):
            more.setdefault("epilog", "examples:\n" + "\n".join(f"  legion {each}" for each in examples))
        super().__init__(formatter_class=_Help, allow_abbrev=False, **more)
        self.register("action", "parsers", Group)
        self._positionals.title = "arguments"
        # Taken off before anything is parsed, as it may stand anywhere; here it is only to be found.
        self.add_argument("--json", action="store_true", help="answer with one JSON document")

    def branch(self, dest: str, *, word: str = "ACTION", is_required: bool = True) -> Group:
        """The commands under this one; the chosen one's name is in `dest`."""
        made = self.add_subparsers(
            title=f"{word.lower()}s", dest=dest, metavar=word, required=is_required, parser_class=Parser
        )
        return cast("Group", made)

    def words(self, path: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
        """What may follow: each command with its words, and each option that has choices with these, by what is before."""
        options: list[str] = []
        places: list[str] = []
        inner: dict[str, Parser] = {}
        for action in self._actions:
            if isinstance(action, Group):
                inner |= action.choices
            elif not action.option_strings:
                places += map(str, action.choices or ())
            elif action.help != argparse.SUPPRESS:
                options += action.option_strings
                for option in action.option_strings if action.choices else ():
                    yield f"{path} {option}".strip(), tuple(map(str, action.choices or ()))
        yield path, (*inner, *places, *sorted(set(options)))
        for name, parser in inner.items():
            yield from parser.words(f"{path} {name}".strip())

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # overloaded there
        """See argparse, but what is too much is refused here: by the command it was said to, not by the first word."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        """See the class."""
        for action in self._actions:
            if isinstance(action, Group) and message.endswith(f"required: {action.metavar}"):
                raise Usage(
                    f"{self.prog!r} wants one more word.", hint=f"It is one of {', '.join(action.choices)}."
                )
        usage = " ".join(self.format_usage().removeprefix("usage: ").split())
        raise Usage(f"{message[:1].upper()}{message[1:]}.", hint=f"Usage: {usage}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """A word that is none of the choices, with the nearest of them."""
        if action.choices is None or value in action.choices:
            return
        names = [str(each) for each in action.choices]
        near = get_close_matches(str(value), names, n=1)
        is_command = isinstance(action, Group)
        what = (
            f"{self.prog} {value}"
            if is_command
            else f"{value} for {'/'.join(action.option_strings) or action.dest}"
        )
        hint = f"Did you mean {near[0]}? " if near else self.otherwise
        hint += f"`{self.prog} --help` lists them." if is_command else f"It is one of {', '.join(names)}."
        raise Usage(f"There is no {what!r}." if is_command else f"{what} is not possible.", hint=hint)
