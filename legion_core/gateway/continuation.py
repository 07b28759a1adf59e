"""Pure asking of a model to go on with an answer that broke off elsewhere.

nothing given yet         the same request, from the beginning
a text to go on with      that text and the one given so far: exact
native, prefill           the text given so far as the beginning of the answer: exact
instruct                  the text as an answer of its own, and a request for the rest: joined by `splice`, degraded
"""

from typing import Final

import msgspec

from legion_core.gateway.splice import Splice
from legion_core.gateway.types import Lane, Message, Params, Request, TextBlock

EXACT: Final = ("native", "prefill")
INSTRUCTION: Final = (
    "Your last message was cut off. Write the rest of it. Begin by repeating its last words exactly, letter by letter; "
    "they are:\n\n{anchor}\n\nThen go on from there without a break. No introduction, no comment, no quotation marks, "
    "and do not begin anew."
)
ANCHOR_TOKENS: Final = 64  # room for the repeated words, beside what the client allows


class Asked(msgspec.Struct, frozen=True):
    """What one attempt is asked; `splice` joins its text to what was given, if it was only instructed to go on."""

    request: Request
    prefix: str = ""
    splice: Splice | None = None

    @property
    def is_degraded(self) -> bool:
        """Whether the place where the two texts meet is found and not known."""
        return self.splice is not None


def can_continue(lane: Lane) -> bool:
    """Whether the lane can go on with a text in any way."""
    return lane.offer.continuation != "none"


def is_exact(lane: Lane) -> bool:
    """Whether the lane goes on from a given text to the letter."""
    return lane.offer.continuation in EXACT


def asked_of(lane: Lane, request: Request, text: str, tokens: int) -> Asked:
    """What to ask of `lane` when the client has `text`, about `tokens` tokens of it and of the thinking before it."""
    if not text:
        return Asked(request)
    if request.is_raw:  # a text that has grown: to go on with it is what is asked anyway
        told = Message(role="user", content=(TextBlock(text=request.messages[-1].text + text),))
        return Asked(msgspec.structs.replace(_less(request, tokens, 0), messages=(told,)))
    if is_exact(lane):
        return Asked(_less(request, tokens, 0), prefix=text)
    splice = Splice(text)
    said = Message(role="assistant", content=(TextBlock(text=text),))
    wanted = Message(role="user", content=(TextBlock(text=INSTRUCTION.format(anchor=splice.anchor)),))
    request = _less(request, tokens, ANCHOR_TOKENS)
    return Asked(msgspec.structs.replace(request, messages=(*request.messages, said, wanted)), splice=splice)


def _less(request: Request, tokens: int, spare: int) -> Request:
    """The request with what is left of its allowance, and without a form that only a whole answer can have.

    A grammar for JSON is applied to what is generated: it would make the rest an object of its own. Thinking comes
    before the words, which have begun: a provider refuses a budget for it behind them, and one that is as large as the
    client's allowance would not fit into what is left.
    """
    params, system = request.params, request.system
    if params.json_schema is not None or params.json_mode:
        shape = "The answer as a whole is one JSON value and nothing else."
        if params.json_schema is not None:
            shape += f" It matches this JSON Schema: {msgspec.json.encode(params.json_schema).decode()}"
        system = (*system, shape)
    left = None if params.max_tokens is None else max(1, params.max_tokens - tokens) + spare
    params = msgspec.structs.replace(
        params, max_tokens=left, json_schema=None, json_mode=False, thinking_budget_tokens=None
    )
    return msgspec.structs.replace(request, params=params, system=system)


def is_whole_json(params: Params, text: str) -> bool:
    """Whether `text` has the form that was asked for: true where none was."""
    if params.json_schema is None and not params.json_mode:
        return True
    try:
        msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True
