"""Extracts of tool results: some of their lines, as they stand there, chosen by rules and checked against the original.

Nothing here says what a result means. An extract quotes whole lines, or beginnings of lines marked by `…`, in their
order; the only thing added is a count of lines. `is_true` checks an extract against the original without knowing how
it was made: what fails is not used, and the original stays.
"""

import re
from collections.abc import Sequence

LINE_CHARS_MAX = 200
HITS_PER_WORD_MAX = 12  # from the end: what a command says last is its outcome
LINE_CHARS_LEAST = 3  # a bracket tells nothing
EDGE_LINES = 2
OUTCOME_WEIGHT = 8
_FAILED = ("FAILED ", "ERROR ")  # how pytest names a test in its summary
_RULE = re.compile(r"[=_*#-]{3,}[^a-z0-9]*\Z")  # a headline between rules
# A credential is not quoted again for having been printed once; the original gives it back.
_CREDENTIAL = re.compile(
    r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|AKIA|ASIA|AIza|hf_|npm_|pypi-)[A-Za-z0-9_-]{12}|-----BEGIN [A-Z ]*PRIVATE"
)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

# What an agent comes back for, strongest first: how it ended, what failed, what was counted, names and places. Found
# by plain search, because a pattern over every line costs milliseconds.
_WORDS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (9, ("exit code", "Exit code", "exit status", "exited with", "exit_code", "returncode", "return code", "Exit status")),
    (8, ("FAILED", "FAIL", " failed", " passed", "Failed", "failures", "timed out", "Killed", "Segmentation")),
    (6, ("rror", "ERROR", "xception", "Traceback", "panic", "ssert", "FATAL", "fatal", "denied", "ot found", "refused")),
    (4, ("arning", " match", "Found ", "found ", "otal", "count", "changed", "insertion", "deletion", "results")),
    (3, ("version", "Version", "commit", " port", "_id", " id", "id:", "id=", "://", "key", "KEY", "oken", "hash", "DECI", "ecided")),
    (2, ("def ", "class ", "func ", "fn ", "function ", "interface ", "export ", "struct ", "import ", "## ", " = ")),
)  # fmt: skip


def chosen_lines(text: str, chars_max: int, least_weight: int = 0, *, has_edges: bool = True) -> list[str]:
    """Lines of `text` worth keeping in about `chars_max` characters, in order; long ones cut, with `…` at the end.

    With `has_edges` the first and the last lines count as telling. Work is bounded: a few plain searches over the text.
    """
    weights = dict[int, int]()  # by where the line begins
    if has_edges:
        _add_edges(text, weights)
    for weight, words in _WORDS:
        if weight < least_weight or len(weights) > 60:
            break
        for word in words:
            place = len(text)
            for _ in range(HITS_PER_WORD_MAX):
                place = text.rfind(word, 0, place)
                if place < 0:
                    break
                begin = text.rfind("\n", 0, place) + 1
                weights[begin] = max(weights.get(begin, 0), weight)
                place = begin
    left, taken, seen = chars_max, list[tuple[int, str]](), set[str]()
    for begin in sorted(weights, key=lambda begin: (-weights[begin], -begin)):
        if weights[begin] < least_weight or left <= 0:
            break
        line = _line_at(text, begin)
        if len(line) > left + 40 and not taken and left > 40:
            line = line[:left] + "…"
        if len(line.strip()) < LINE_CHARS_LEAST or line in seen or len(line) + 1 > left + 41:
            continue
        if _CREDENTIAL.search(line):
            continue
        seen.add(line)
        taken.append((begin, line))
        left -= len(line) + 1
    return [line for _, line in sorted(taken)]


def outcome_lines(text: str, chars_max: int) -> list[str]:
    """How a command ended: exit codes, counts, failures, each test that failed once, without why."""
    lines = chosen_lines(text, 2 * chars_max, OUTCOME_WEIGHT, has_edges=False)
    told = [line for line in lines if not _RULE.match(line)]
    names = {line.split(" ")[1] for line in told if line.startswith(_FAILED)}
    left, kept = chars_max, list[str]()
    for line in reversed(told):  # what a command says last is its outcome
        if line.startswith(_FAILED):
            name, dash, _ = line.partition(" - ")
            line = f"{name}…" if dash else line
        elif any(name in line for name in names):
            continue
        if len(line) <= left:
            kept.append(line)
            left -= len(line) + 1
    return kept[::-1]


def longest_lines(text: str, chars_max: int) -> list[str]:
    """The longest lines of `text` in about `chars_max` characters, in order and without indentation."""
    lines = [line.strip() for line in text.split("\n")]
    left, taken = chars_max, set[int]()
    for at in sorted(range(len(lines)), key=lambda at: -len(lines[at])):
        if not lines[at] or left <= 0:
            break
        if _CREDENTIAL.search(lines[at]):
            continue
        if len(lines[at]) <= left or not taken:
            taken.add(at)
            left -= len(lines[at]) + 3
    return [line if len(line := lines[at]) <= chars_max else line[:chars_max] + "…" for at in sorted(taken)]


def is_true(extract: Sequence[str], original: str) -> bool:
    """Whether each line of `extract` is a line of `original`, or with `…` behind it a line's beginning, in this order."""
    place = 0
    for line in extract:
        place = _found(line, original, place)
        if place < 0:
            return False
    return True


def line_count(text: str) -> int:
    """Lines as an editor counts them."""
    return text.count("\n") + (0 if text.endswith("\n") or not text else 1)


def fingerprint(text: str) -> str:
    """The text without what only a screen shows: equal fingerprints are equal to a reader, digits included."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    return "\n".join([line.rstrip() for line in text.strip().split("\n")])


def _add_edges(text: str, weights: dict[int, int]) -> None:
    begin = 0
    for _ in range(EDGE_LINES):
        weights[begin] = 3
        begin = text.find("\n", begin) + 1
        if begin == 0:
            break
    end = len(text.rstrip())
    for _ in range(EDGE_LINES + 1):
        begin = text.rfind("\n", 0, max(0, end)) + 1
        weights[begin] = max(weights.get(begin, 0), 5)
        end = begin - 1
        if begin == 0:
            break


def _line_at(text: str, begin: int) -> str:
    end = text.find("\n", begin)
    end = len(text) if end < 0 else end
    if end - begin > LINE_CHARS_MAX:
        return text[begin : begin + LINE_CHARS_MAX] + "…"
    return text[begin:end].rstrip()


def _found(line: str, original: str, place: int) -> int:
    """Where `line` ends in `original` behind `place`; -1 if it is none of its lines."""
    for literal, is_cut in ((line, False), (line[:-1], True)):
        if is_cut and not line.endswith("…"):
            break
        at = original.find(literal, place)
        while at >= 0:
            end = at + len(literal)
            begins = at == 0 or original[at - 1] == "\n"
            ends = is_cut or not original[end : _end_of_line(original, end)].strip()
            if begins and ends:
                return end
            at = original.find(literal, at + 1)
    return -1


def _end_of_line(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end
