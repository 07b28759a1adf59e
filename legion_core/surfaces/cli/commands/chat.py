"""`legion chat` and `legion chat prompt`."""

import argparse
import sys
from collections.abc import Iterator

from legion_core.kernel.errors import InvalidInput, LegionError
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.backend import Spoken
from legion_core.surfaces.cli.commands.providers import pins_of
from legion_core.surfaces.cli.failures import kind_of
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting
from legion_core.surfaces.shapes import MessageShape, PinsShape, tier_of

HELP = """/model NAME   answer by this model (/model auto lets the router choose)
/tier NAME    answer on this tier: local, direct, fleet, cloud, frontier, auto
/new          begin another chat
/help         this
/quit         leave (also Ctrl-D); Ctrl-C stops an answer"""
PROMPT_MAX = 4 * 1024 * 1024


def prompt(setting: Setting, args: argparse.Namespace) -> Outcome:
    """One question, one answer; nothing is kept but the bill."""
    text = sys.stdin.read(PROMPT_MAX) if args.text == "-" else args.text
    if not text.strip():
        raise InvalidInput("The question is empty.", hint='Such as: legion chat prompt "Hello"')
    spoken: Spoken | None = None
    for piece in setting.backend.prompt(text, pins_of(args)):
        if isinstance(piece, Spoken):
            spoken = piece
        else:
            setting.say(words.harmless(piece), end="")
    setting.say("")
    assert spoken is not None, "an answer ended without saying how"
    setting.aside(route_line(spoken))
    return Outcome(spoken)


def route_line(answer: Spoken | MessageShape) -> str:
    """`local · local/smollm2 · 118 tokens · $0.00`."""
    parts = [answer.tier, f"{answer.instance}/{answer.model}"]
    if answer.usage is not None:
        parts.append(f"{words.count(answer.usage.output_tokens)} tokens")
    if isinstance(answer, MessageShape) and answer.duration_s is not None:
        parts.append(words.span(answer.duration_s))
    parts.append("free" if answer.tier == "local" else words.money(answer.cost_usd))
    if len(answer.attempts) > 1:
        parts.append(f"{len(answer.attempts)} attempts")
    return " · ".join(parts)


def repl(setting: Setting, args: argparse.Namespace) -> Outcome:
    """A chat in the terminal, kept like any other."""
    if setting.is_json:
        raise InvalidInput("A chat is no single answer.", hint='Use `legion chat prompt "text" --json`.')
    return Repl(setting, pins_of(args)).run()


class Repl:
    """Reads a line, streams the answer; one conversation until `/new`."""

    def __init__(self, setting: Setting, pins: PinsShape) -> None:
        self._setting = setting
        self._pins = pins
        self._conversation = ""
        self._count = 0

    def run(self) -> Outcome:
        """Until the person leaves."""
        if self._setting.is_terminal:
            try:
                import readline  # arrows and history at the prompt

                assert readline
            except ImportError:
                pass
            self._setting.aside("A chat with the nearest model. /help lists the commands.")
        for line in self._lines():
            if line.startswith("/"):
                if not self._command(line):
                    break
            elif line:
                self._ask(line)
        return Outcome({"conversation": self._conversation, "answers": self._count})

    def _lines(self) -> Iterator[str]:
        question = "> " if self._setting.is_terminal else ""
        while True:
            try:
                yield input(question).strip()
            except EOFError:
                if question:
                    self._setting.aside("")
                return
            except KeyboardInterrupt:
                if not question:
                    raise
                self._setting.aside("\n/quit leaves.")

    def _command(self, line: str) -> bool:
        """Obey; False to leave."""
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        match word:
            case "/quit" | "/exit":
                return False
            case "/help":
                self._setting.aside(HELP)
            case "/new":
                self._conversation = ""
                self._setting.aside("A new chat.")
            case "/model":
                free = rest in ("", "auto", "legion")
                self._pins = PinsShape(
                    tier=self._pins.tier, instance=self._pins.instance, model=None if free else rest
                )
                self._setting.aside("The router chooses." if free else f"Answers come from {rest}.")
            case "/tier":
                self._tier(rest)
            case _:
                self._setting.aside(f"{word} is not a command. /help lists them.")
        return True

    def _tier(self, word: str) -> None:
        try:
            tier = None if word in ("", "auto") else tier_of(word).word
        except LegionError as error:
            self._setting.aside(error.sentence())
            return
        self._pins = PinsShape(tier=tier, instance=self._pins.instance, model=self._pins.model)
        self._setting.aside(f"Answers come from tier {tier}." if tier else "The router chooses.")

    def _ask(self, text: str) -> None:
        backend = self._setting.backend
        try:
            if not self._conversation:
                self._conversation = backend.create_conversation().id
            for piece in backend.say(self._conversation, text, self._pins):
                if isinstance(piece, MessageShape):
                    self._told(piece)
                else:
                    self._setting.say(words.harmless(piece), end="")
        except KeyboardInterrupt:
            backend.stop_answer(self._conversation)
            self._setting.aside("\nStopped. What was said is kept.")
        except LegionError as error:
            # At a terminal the chat goes on; in a pipe the failure is the result.
            if not self._setting.is_terminal:
                raise
            self._setting.aside(error.sentence())

    def _told(self, answer: MessageShape) -> None:
        self._setting.say("")
        self._count += 1
        if answer.status == "failed":
            code = answer.attempts[-1].outcome if answer.attempts else ""
            raise kind_of(code)(answer.error or "No model could answer.")
        self._setting.aside(route_line(answer))


ACTIONS: Actions = {
    None: repl,
    "prompt": prompt,
}
