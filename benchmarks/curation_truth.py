"""What is true in a session: the facts that may be asked for, what each call really did, and the words of both."""

from dataclasses import dataclass, field

from legion_core.gateway.types import Message

# Kinds which the view has to answer. `rule` is counted by itself (it has to be 100 %), the rest together.
VIEW_KINDS = ("run_exit", "run_counts", "run_failing", "decision", "refuted", "hot_line", "edit_text", "id")
# Kinds for which one recall is enough: the body of what was read long ago, and identifiers of long ago.
RECALL_KINDS = ("cold_line", "cold_id", "old_run")
HOT_TURNS = 3  # a file touched in this many turns is at hand
EDIT_TURNS = 20
ID_TURNS = 40


@dataclass(slots=True)
class Fact:
    """A question with an exact answer. It holds from the request `born` to before the request `dies`."""

    kind: str
    question: str
    needles: tuple[str, ...]  # each must stand literally in the view
    subject: str  # path, command or name that a placeholder about it would carry
    born: int
    dies: int = 1 << 30
    cools: int = 1 << 30  # from this request on, one recall is enough
    call_id: str = ""  # the call whose result says it
    cold_kind: str = ""


@dataclass(slots=True)
class CallTruth:
    """What a tool call did. None: the tool has no such thing."""

    id: str
    tool: str
    arguments: str
    text: str
    path: str = ""
    exit_code: int | None = None
    passed: int | None = None
    failed: int | None = None
    failing: tuple[str, ...] = ()
    matches: int | None = None


@dataclass(slots=True)
class Step:
    """What came into the history before a request, and the clock of the request."""

    added: tuple[Message, ...]
    at_s: float


@dataclass(slots=True)
class Session:
    """A recorded conversation: request number i (from 1) goes out after `steps[i-1].added` was added."""

    name: str
    system: tuple[str, ...]
    steps: list[Step] = field(default_factory=list[Step])
    last: Message | None = None
    facts: list[Fact] = field(default_factory=list[Fact])
    calls: dict[str, CallTruth] = field(default_factory=dict[str, CallTruth])
    rules: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    secrets: list[str] = field(default_factory=list[str])

    def alive(self, turn: int) -> list[Fact]:
        """What may be asked at this request."""
        return [fact for fact in self.facts if fact.born <= turn < fact.dies]
