"""Can it be answered? Each fact of a session is looked for in a view, and by one recall; and is anything written false?"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.curation_policies import Policy, words_of
from benchmarks.curation_truth import VIEW_KINDS, CallTruth, Fact, Session
from legion_core.gateway.types import Block, Message, TextBlock, ThinkingBlock, ToolResultBlock, ToolUseBlock

NEAR_CHARS = 320  # name and value of a decision stand this close together
COLD_MOST = 30  # asked at one request
REGION_CHARS = 900  # of an extract or a line about a command
_EXIT = r"(?i)exit(?:ed)?(?:[ _]with)?(?:[ _](?:code|status))?\"?[ :=]*{code}\b"
_CLAIMS = (
    ("exit_code", re.compile(r"(?i)exit(?:ed)?(?:[ _]with)?(?:[ _](?:code|status))?\"?[ :=]+(-?\d+)")),
    ("passed", re.compile(r"(\d+) passed")),
    ("failed", re.compile(r"(\d+) failed")),
    ("matches", re.compile(r"(\d+) match(?:es)?\b")),
)
_LINES = re.compile(r"([\d,]+) lines")
_PATH = re.compile(r"(?<![\w/.-])(?:/?[\w.-]+/)+[\w.-]+\.(?:py|ts|go)\b")
# What parts one quote from the next in written text. A quote is what the call or the assistant said, word for word.
_JOINTS = re.compile(r"^#\w+:? |[“”\[\]…]| \| | / |; all of it: recall #\w+")
_KEY = re.compile(r"#[a-z]?\d+")
_ITEM = re.compile(r"^#(\d+) ", re.MULTILINE)


@dataclass(slots=True)
class Reading:
    """A view as somebody reads it."""

    whole: str  # system text first
    results: dict[str, str]
    written: list[tuple[str, str]]  # (call id, text) of what is not the original's
    said: str  # all texts of the history but results

    @classmethod
    def of(
        cls, view: Sequence[Message], system: Sequence[str], originals: dict[str, str], said: set[str]
    ) -> "Reading":
        """`originals` are results by call id, `said` all other texts of the history."""
        texts: list[str] = list(system)
        results: dict[str, str] = {}
        written: list[tuple[str, str]] = []
        for message in view:
            for block in message.content:
                texts.append(words_of(block))
                if isinstance(block, ToolResultBlock):
                    results[block.call_id] = block.text
                    if originals.get(block.call_id) != block.text:
                        written.append((block.call_id, block.text))
                elif isinstance(block, TextBlock | ThinkingBlock) and block.text not in said:
                    written.append(("", block.text))
        return cls("\n".join(texts), results, written, "\n".join(said))


@dataclass(slots=True)
class Asked:
    """How many facts of each kind were asked, found in the view, and found with one recall."""

    asked: dict[str, int] = field(default_factory=dict[str, int])
    in_view: dict[str, int] = field(default_factory=dict[str, int])
    recalled: dict[str, int] = field(default_factory=dict[str, int])
    lost: list[str] = field(default_factory=list[str])

    def add(self, kind: str, is_in_view: bool, is_recalled: bool) -> None:
        """Note one."""
        self.asked[kind] = self.asked.get(kind, 0) + 1
        self.in_view[kind] = self.in_view.get(kind, 0) + is_in_view
        self.recalled[kind] = self.recalled.get(kind, 0) + (is_in_view or is_recalled)

    def merge(self, other: "Asked") -> None:
        """Add the counts of another."""
        for mine, theirs in (
            (self.asked, other.asked),
            (self.in_view, other.in_view),
            (self.recalled, other.recalled),
        ):
            for kind, count in theirs.items():
                mine[kind] = mine.get(kind, 0) + count
        lost = self.lost + other.lost
        self.lost = sorted(lost, key=lambda told: "NOT RECALLED" not in told)[:60]  # the rarer first

    def share(self, found: dict[str, int], kinds: Sequence[str]) -> float:
        """Percent of those kinds."""
        asked = sum(self.asked.get(kind, 0) for kind in kinds)
        return 100.0 * sum(found.get(kind, 0) for kind in kinds) / asked if asked else 100.0


def ask(session: Session, turn: int, policy: Policy, reading: Reading) -> Asked:
    """Ask everything that holds at this request."""
    asked = Asked()
    for kind, fact in _sample(session, turn):
        is_there = stands(fact, reading)
        is_back = is_there or recalled(fact, policy, reading)
        asked.add(kind, is_there, is_back)
        if (not is_there and kind in VIEW_KINDS) or not is_back:
            asked.lost.append(
                f"{session.name} turn {turn} {kind}{'' if is_back else ' NOT RECALLED'} (from {fact.born}): {fact.question} → {' & '.join(fact.needles)[:160]}"
            )
    for born, rule in session.rules:
        if born <= turn:
            asked.add("rule", rule in reading.whole, rule in reading.whole)
    return asked


def _sample(session: Session, turn: int) -> list[tuple[str, Fact]]:
    """All that holds, but of what has gone cold at most `COLD_MOST`, spread evenly over the conversation."""
    alive = [
        (fact.cold_kind if fact.cold_kind and turn > fact.cools else fact.kind, fact)
        for fact in session.alive(turn)
    ]
    cold = [pair for pair in alive if pair[0] not in VIEW_KINDS]
    return [pair for pair in alive if pair[0] in VIEW_KINDS] + cold[:: max(1, -(-len(cold) // COLD_MOST))]


def stands(fact: Fact, reading: Reading) -> bool:
    """Whether the answer stands in the view, tied to what was asked."""
    kind = fact.kind
    if kind in {"decision", "refuted"}:
        return _near(fact.needles[0], fact.needles[1], reading.whole)
    if not kind.startswith("run_"):
        return all(needle in reading.whole for needle in fact.needles)
    return any(_tells(fact, region) for region in _regions(fact, reading))


def recalled(fact: Fact, policy: Policy, reading: Reading) -> bool:
    """Whether one call of recall gives it: by the newest key beside the subject, or with the question as query."""
    tries = [fact.question]
    at = reading.whole.rfind(fact.subject)
    if at >= 0:
        line = reading.whole[reading.whole.rfind("\n", 0, at) + 1 : at + 200]
        tries += _KEY.findall(line)[:1]
        tries += _KEY.findall(reading.results.get(fact.call_id, ""))[:1]
    for asked in tries:
        text = policy.recall(asked)
        if not text:
            continue
        if fact.kind.startswith("run_"):
            if _tells(fact, text):
                return True
        elif (
            all(needle in text for needle in fact.needles)
            or all(
                needle in words_of(ToolUseBlock(id="", name="", arguments=line))
                for needle in fact.needles
                for line in [text]
            )
            or all(needle in text or _escaped(needle) in text for needle in fact.needles)
        ):
            return True
    return False


def falsehoods(session: Session, reading: Reading, order: dict[int, CallTruth]) -> list[str]:
    """Statements in written text which the truth contradicts. `order`: calls by their number in the conversation."""
    found: list[str] = []
    for call_id, text in reading.written:
        own = session.calls.get(call_id)
        starts = [
            (match.start(), order.get(int(match[1])))
            for match in _ITEM.finditer(text)
            if own is None or text[match.start() :].split("\n", 1)[0].removesuffix("…") not in own.text
        ]
        pieces = [(0, own), *starts] if not starts or starts[0][0] > 0 else starts
        for place, (begin, truth) in enumerate(pieces):
            end = pieces[place + 1][0] if place + 1 < len(pieces) else len(text)
            if truth is not None:
                found += [
                    f"{session.name} {truth.id}: {fault}"
                    for fault in _contradictions(text[begin:end], truth, reading.said)
                ]
    return found


def _contradictions(text: str, truth: CallTruth, said: str) -> list[str]:
    found: list[str] = []
    for line in text.split("\n"):
        for part in [line] if line.strip() in truth.text else _JOINTS.split(line):
            quote = part.strip().removesuffix("…").rstrip()
            if not quote or quote in truth.text or quote in truth.arguments or quote in said:
                continue
            for name, pattern in _CLAIMS:
                actual = getattr(truth, name)
                for match in pattern.finditer(part):
                    if match[0] in truth.arguments or (actual is None and match[0] in truth.text):
                        continue
                    if actual is None or int(match[1]) != actual:
                        found.append(f"says {match[0]!r}, is {actual}")
            for match in _LINES.finditer(part):
                if int(match[1].replace(",", "")) > truth.text.count("\n") + 1:
                    found.append(f"says {match[0]!r} of {truth.text.count(chr(10)) + 1}")
            known = truth.text + truth.arguments
            found += [
                f"names {path}"
                for path in _PATH.findall(part)
                if path.rstrip("…") not in known and path.split("/")[-1] not in known
            ]
    return found


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _near(name: str, value: str, text: str) -> bool:
    at = text.find(name)
    while at >= 0:
        if value in text[max(0, at - NEAR_CHARS) : at + NEAR_CHARS]:
            return True
        at = text.find(name, at + 1)
    return False


def _regions(fact: Fact, reading: Reading) -> list[str]:
    """Where the view speaks of that run: its own result, and what was written beside the command."""
    found = [reading.results[fact.call_id]] if fact.call_id in reading.results else []
    for _, text in reading.written:
        at = text.rfind(fact.subject)
        if at >= 0:
            end = text.find("\n#", at)
            found.append(text[at : min(at + REGION_CHARS * 3, end if end >= 0 else len(text))])
    return found


def _tells(fact: Fact, text: str) -> bool:
    if fact.kind == "run_exit":
        return re.search(_EXIT.format(code=re.escape(fact.needles[0])), text) is not None
    return all(needle in text for needle in fact.needles)


def originals_of(session: Session) -> tuple[dict[str, str], set[str], dict[int, CallTruth]]:
    """Results by call id, all other texts, and calls by number."""
    results: dict[str, str] = {}
    said: set[str] = set()
    order: dict[int, CallTruth] = {}
    for step in session.steps:
        for message in step.added:
            for block in message.content:
                _note(block, results, said, order, session)
    return results, said, order


def _note(
    block: Block, results: dict[str, str], said: set[str], order: dict[int, CallTruth], session: Session
) -> None:
    if isinstance(block, ToolResultBlock):
        results[block.call_id] = block.text
        order[len(order) + 1] = session.calls[block.call_id]
    elif isinstance(block, TextBlock | ThinkingBlock):
        said.add(block.text)
