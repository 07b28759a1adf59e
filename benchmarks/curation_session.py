"""A coding agent at work on a made-up project, from a seed, with the truth about everything it saw.

The agent explores, reads, edits, runs tests that fail, tries again, gives approaches up, decides, commits, and is given
the next task by its user. It re-reads files, calls tools in parallel, and meets outputs that mislead a careless reader:
an exit status that stands nowhere, an error in the middle of a log that ends in `Done.`, failing tests under exit 0,
words about success in a failed run, two runs that differ in one number.
"""

import json
from random import Random

from benchmarks import curation_words as words
from benchmarks.curation_truth import EDIT_TURNS, HOT_TURNS, ID_TURNS, CallTruth, Fact, Session, Step
from legion_core.gateway.types import (
    Block,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)

DECIDED = (
    "Decision: `{name}` will be {value}, because {why}.",
    "I'll go with {value} for `{name}`; {why}.",
    "We settle on `{name}` = {value} since {why}.",
    "Going with {value} as `{name}` from here on: {why}.",
    "Let's use {value} for `{name}`. The reason: {why}.",
    "After comparing both options I chose {value} for `{name}` ({why}).",
    "So `{name}` is set to {value}, not the old default; {why}.",
    "The plan is now to keep `{name}` at {value} as {why}.",
)
REFUTED = (
    "Trying `{name}` did not work: {why}.",
    "`{name}` is a dead end, {why}.",
    "I ruled out `{name}` because {why}.",
    "That approach (`{name}`) fails: {why}. I won't try it again.",
    "Reverting `{name}`: {why}.",
    "`{name}` turned out not to be the cause; {why}.",
    "No luck with `{name}`, since {why}.",
    "`{name}` makes it worse: {why}. Abandoning it.",
)
NARRATION = (
    "Let me look at how `{a}` is wired.",
    "Now the tests around {b}.",
    "I'll check who calls `{a}` before I change it.",
    "The trace points at {b}; reading it.",
    "Running the suite again.",
    "Applying the change to `{a}`.",
    "Next I update {b}.",
    "That narrows it down to `{a}`.",
    "",
    "",
)


class Agent:
    """Plays one session of `turns` requests."""

    def __init__(self, seed: str, turns: int) -> None:
        self.rng = Random(seed)
        self.turns = turns
        self.turn = 0
        self.at_s = 0.0
        self.session = Session(seed, ())
        self.style = self.rng.choice(("plain", "codex", "marker", "claude"))
        self.numbering = self.rng.choice(("arrow", "arrow", "tab", "window", "none"))
        taken: set[str] = set()
        size = min(60, 14 + turns // 6)
        self.files = [words.source_file(self.rng, taken) for _ in range(size)]
        self.tests = [words.test_file(self.rng, file) for file in self.files[: max(4, size // 2)]]
        self.known = [file.path for file in self.files]
        self.commands = self._commands()
        self.lines: dict[str, list[Fact]] = {}
        self.edits: dict[str, Fact] = {}
        self.runs: dict[str, list[Fact]] = {}
        self.decisions: dict[str, Fact] = {}
        self.failing: list[str] = []
        self.hot: list[words.SourceFile] = []
        self.pending: list[tuple[ToolUseBlock, ToolResultBlock]] = []
        self.calls = 0

    def play(self) -> Session:
        """The whole session."""
        self.session.system = (self._system(),)
        added: list[Message] = []
        left = 0
        while self.turn < self.turns:
            if left <= 0:
                added.append(self._ask())
                left = self.rng.randint(6, 22)
                self._rest(is_user=self.turn > 0)
            else:
                self._rest(is_user=False)
            self.turn += 1
            self.session.steps.append(Step(tuple(added), self.at_s))
            added = []
            left -= 1
            answer, results = self._answer(is_last=left <= 0)
            if self.turn == self.turns:
                self.session.last = answer
                break
            added.append(answer)
            if results:
                added.append(Message(role="tool", content=results))
            elif left > 0:
                left = 0
        return self.session

    # -- who says what ------------------------------------------------------------------------------------------

    def _system(self) -> str:
        rng = self.rng
        rules = [self._rule(0) for _ in range(6)]
        general = " ".join(words.sentence(rng, 10, 20) for _ in range(110))
        self.session.secrets.append(f"sk-live-{words.hexes(rng, 32)}")
        return (
            "You are a coding agent at work in /repo. Use the tools; say shortly what you do.\n\n# Rules\n"
            + "\n".join(f"- {rule}" for rule in rules)
            + f"\n\n# Project notes\n{general}"
        )

    def _rule(self, turn: int) -> str:
        rng = self.rng
        text = rng.choice(
            (
                f"Never touch `{rng.choice(self.files).path}` without asking (rule R-{rng.randint(100, 999)}).",
                f"All new {rng.choice(words.NOUNS)} code must go through `{rng.choice(words.VERBS)}_{rng.choice(words.NOUNS)}`; no exceptions.",
                f"Do not add dependencies; {rng.choice(words.NOUNS)} limits stay below {rng.randint(10, 900)}.",
                f"Commit messages start with {rng.choice(words.PARTS).upper()}-{rng.randint(1000, 9999)}.",
                f"Keep the public name `{rng.choice(rng.choice(self.files).symbols)}` as it is.",
            )
        )
        self.session.rules.append((turn + 1, text))
        return text

    def _ask(self) -> Message:
        rng = self.rng
        file = rng.choice(self.files)
        text = rng.choice(
            (
                f"Please fix {rng.choice(words.NOUNS)} handling in {file.path}: {words.sentence(rng)} {words.sentence(rng)}",
                f"Now {rng.choice(words.VERBS)} the {rng.choice(words.NOUNS)} {rng.choice(words.NOUNS)} in `{rng.choice(file.symbols)}`. {words.sentence(rng)}",
                f"Yes, that is right. Next: {words.sentence(rng)} See {file.path}.",
                f"No, not like that. {words.sentence(rng)} I want `{rng.choice(file.symbols)}` to stay small. {words.sentence(rng)}",
                f"Thanks, correct. Ticket {rng.choice(words.PARTS).upper()}-{rng.randint(1000, 9999)}: {words.sentence(rng)} {words.sentence(rng)}",
            )
        )
        text += "".join(" " + words.sentence(rng) for _ in range(rng.randint(4, 26)))
        if rng.random() < 0.5:
            text += "\n\n" + self._rule(self.turn)
        if rng.random() < 0.2 and self.turns > 12:
            text += "\n\nSpecification:\n" + "\n".join(
                f"{at}. {words.sentence(rng, 10, 24)}" for at in range(1, rng.randint(12, 40))
            )
        return Message(role="user", content=(TextBlock(text=text),))

    def _rest(self, *, is_user: bool) -> None:
        """Time goes by: the model and its tools take some seconds, a person takes minutes now and then."""
        rng = self.rng
        self.at_s += rng.uniform(4, 45)
        if rng.random() < 0.02:
            self.at_s += rng.uniform(60, 240)  # a long build
        if is_user:
            self.at_s += rng.choice(
                (
                    rng.uniform(10, 120),
                    rng.uniform(10, 120),
                    rng.uniform(60, 280),
                    rng.uniform(60, 280),
                    rng.uniform(400, 4000),
                )
            )

    def _answer(self, *, is_last: bool) -> tuple[Message, tuple[Block, ...]]:
        rng = self.rng
        blocks: list[Block] = []
        if rng.random() < 0.75:
            thinking = words.thought(rng, rng.randint(6, 40), rng.choice(self.files).path)
            blocks.append(ThinkingBlock(text=thinking, signature=words.hexes(rng, 40), origin="upstream"))
        text = rng.choice(NARRATION).format(
            a=rng.choice(rng.choice(self.files).symbols), b=rng.choice(self.known)
        )
        text += self._insight()
        if is_last:
            text += self._summary()
            blocks.append(TextBlock(text=text))
            return Message(role="assistant", content=tuple(blocks)), ()
        if text:
            blocks.append(TextBlock(text=text))
        self.pending = []
        self._act()
        blocks += [call for call, _ in self.pending]
        return Message(role="assistant", content=tuple(blocks)), tuple(result for _, result in self.pending)

    def _summary(self) -> str:
        rng = self.rng
        return f" Done: {words.sentence(rng)} I changed {rng.choice(self.known)} and ran the tests. {words.sentence(rng)}"

    def _insight(self) -> str:
        """Now and then a decision is made or an approach is given up, in the agent's own words."""
        rng = self.rng
        chance = rng.random()
        why = f"{words.sentence(rng, 6, 12).lower()[:-1]}"
        if chance < 0.085:
            again = list(self.decisions)
            name = (
                rng.choice(again)
                if again and rng.random() < 0.25
                else f"{rng.choice(words.NOUNS)}_{rng.choice(words.NOUNS)}_{rng.choice(('s', 'max', 'mode', 'policy'))}"
            )
            value = rng.choice(
                (
                    str(rng.randint(2, 5000)),
                    f"{rng.choice(words.VERBS)}-{rng.choice(words.NOUNS)}",
                    f"{rng.choice(words.NOUNS)}_v{rng.randint(2, 9)}",
                )
            )
            if name in self.decisions:
                self.decisions[name].dies = self.turn + 1
            text = rng.choice(DECIDED).format(name=name, value=value, why=why)
            self.decisions[name] = self._fact(
                "decision", f"What was decided for {name}?", (name, value), name
            )
            return " " + text
        if chance < 0.15:
            name = f"{rng.choice(words.VERBS)}_{rng.choice(words.NOUNS)}_{rng.choice(words.NOUNS)}"
            text = rng.choice(REFUTED).format(name=name, why=why)
            self._fact("refuted", f"Was {name} tried, and why was it given up?", (name, why), name)
            return " " + text
        return ""

    def _fact(
        self, kind: str, question: str, needles: tuple[str, ...], subject: str, call_id: str = ""
    ) -> Fact:
        fact = Fact(kind, question, needles, subject, self.turn + 1, call_id=call_id)
        self.session.facts.append(fact)
        return fact

    # -- what is done -------------------------------------------------------------------------------------------

    def _act(self) -> None:
        """One to four calls; early on, and after a new task, the agent mostly reads."""
        rng = self.rng
        early = 1.0 if self.turn < 15 else max(0.0, (32 - self.turn) / 17)
        if rng.random() < 0.18 + 0.5 * early:
            for _ in range(rng.choice((2, 3, 3, 4) if early > 0 else (1, 2, 2))):
                rng.choices((self._read, self._grep, self._listing), weights=(6, 2, 1))[0]()
            return
        steps = (
            self._read,
            self._edit,
            self._run,
            self._grep,
            self._build,
            self._records,
            self._log,
            self._diff,
            self._write,
            self._commit,
            self._web,
        )
        rng.choices(steps, weights=(17, 26, 28, 8, 5, 4, 4, 4, 2, 5, 3))[0]()
        for chance in (0.55, 0.3):
            if rng.random() < chance:
                rng.choices((self._read, self._run, self._grep, self._log), weights=(5, 3, 3, 1))[0]()
        if rng.random() < 0.02:
            self._fail()

    def _call(
        self, tool: str, arguments: dict[str, object], text: str, *, is_error: bool = False, **truth: object
    ) -> CallTruth:
        self.calls += 1
        call_id = f"toolu_{self.calls:05d}{words.hexes(self.rng, 8)}"
        written = json.dumps(arguments, ensure_ascii=False)
        self.pending.append(
            (
                ToolUseBlock(id=call_id, name=tool, arguments=written),
                ToolResultBlock(call_id=call_id, text=text, is_error=is_error),
            )
        )
        record = CallTruth(call_id, tool, written, text, **truth)  # type: ignore[arg-type]
        self.session.calls[call_id] = record
        return record

    def _shell(self, command: str, output: str, code: int, **truth: object) -> CallTruth:
        """The command's output as this session's tool wraps it."""
        took = self.rng.uniform(0.1, 60)
        if self.style == "codex":
            text = f"Exit code: {code}\nWall time: {took:.1f} seconds\nOutput:\n{output}"
        elif self.style == "marker":
            text = f"{output}\n[The command completed with exit code {code}.]"
        elif self.style == "claude":
            text = f"Exit code {code}\n{output}" if code else output
        else:
            text = output
        return self._call(
            "Bash",
            {"command": command, "description": words.sentence(self.rng, 3, 5)[:-1]},
            text,
            is_error=bool(code) and self.style in {"claude", "marker"},
            exit_code=code,
            **truth,
        )

    def _pick(self) -> words.SourceFile:
        rng = self.rng
        if self.hot and rng.random() < 0.55:
            return rng.choice(self.hot[-6:])
        return rng.choice(self.files if rng.random() < 0.8 else self.tests)

    def _read(self) -> None:
        rng = self.rng
        file = self._pick()
        total = len(file.lines)
        arguments: dict[str, object] = {"file_path": f"/repo/{file.path}"}
        start, end = 1, total
        if (total > 260 and rng.random() < 0.7) or rng.random() < 0.2:
            start = rng.randrange(1, max(2, total - 120))
            end = min(total, start + rng.randint(60, 250))
            arguments |= {"offset": start, "limit": end - start + 1}
        record = self._call("Read", arguments, file.numbered(start, end, self.numbering), path=file.path)
        self._touch(file)
        self._line(file, start, end, record.id)

    def _line(self, file: words.SourceFile, start: int, end: int, call_id: str) -> None:
        """A line of what was read becomes a question: at hand for some turns, then one recall away."""
        for _ in range(8):
            at = self.rng.randint(start, end)
            text = file.lines[at - 1].strip()
            if len(text) >= 24 and sum(text in line for line in file.lines) == 1:
                fact = self._fact(
                    "hot_line", f"What does line {at} of {file.path} say?", (text,), file.path, call_id
                )
                fact.cools, fact.cold_kind = self.turn + HOT_TURNS, "cold_line"
                self.lines.setdefault(file.path, []).append(fact)
                return

    def _touch(self, file: words.SourceFile) -> None:
        if file in self.hot:
            self.hot.remove(file)
        self.hot.append(file)

    def _edit(self) -> None:
        rng = self.rng
        file = self._pick()
        at = rng.randrange(4, max(5, len(file.lines) - 6))
        old = file.lines[at : at + rng.randint(1, 6)]
        if not any(line.strip() for line in old):
            return self._read()
        indent = old[0][: len(old[0]) - len(old[0].lstrip())] or "    "
        new = words.fresh_lines(rng, rng.randint(1, 10), indent)
        file.lines[at : at + len(old)] = new
        file.version += 1
        self._changed(file, old)
        shown = "\n".join(
            f"{row:6d}\u2192{line}"
            for row, line in enumerate(file.lines[max(0, at - 3) : at + len(new) + 3], max(0, at - 3) + 1)
        )
        record = self._call(
            "Edit",
            {"file_path": f"/repo/{file.path}", "old_string": "\n".join(old), "new_string": "\n".join(new)},
            f"The file /repo/{file.path} has been updated. Here's the result of running `cat -n` on a snippet of the edited file:\n{shown}",
            path=file.path,
        )
        self._touch(file)
        self._edited(file, max(new, key=len).strip(), record.id)
        return None

    def _edited(self, file: words.SourceFile, text: str, call_id: str) -> None:
        if file.path in self.edits:
            self.edits[file.path].dies = min(self.edits[file.path].dies, self.turn + 1)
        fact = self._fact(
            "edit_text", f"What did the latest edit put into {file.path}?", (text,), file.path, call_id
        )
        fact.cools, fact.cold_kind = self.turn + EDIT_TURNS, "cold_line"
        self.edits[file.path] = fact

    def _changed(self, file: words.SourceFile, old: list[str]) -> None:
        """Lines move when a file changes: what was asked by number is over, for good or for the next read."""
        for fact in self.lines.pop(file.path, []):
            fact.dies = min(fact.dies, self.turn + 1)

    def _write(self) -> None:
        taken = set(self.known)
        file = words.source_file(self.rng, taken)
        file.lines = file.lines[: self.rng.randint(30, 110)]
        self.known.append(file.path)
        self.files.append(file)
        text = max(file.lines, key=len).strip()
        record = self._call(
            "Write",
            {"file_path": f"/repo/{file.path}", "content": "\n".join(file.lines)},
            f"File created successfully at: /repo/{file.path}",
            path=file.path,
        )
        self._touch(file)
        self._edited(file, text, record.id)

    def _commands(self) -> list[tuple[str, list[words.SourceFile], bool]]:
        rng = self.rng
        chosen = [rng.choice(self.tests) for _ in range(4)]
        found = [
            ("pytest -q", self.tests, False),
            ("make test", self.tests, False),
            ("pytest tests -v --tb=short 2>&1 | tail -150", self.tests[:9], True),
        ]
        found += [
            (f"pytest {file.path} -v", [file], True) for file in {file.path: file for file in chosen}.values()
        ]
        return found

    def _run(self) -> None:
        rng = self.rng
        command, files, is_verbose = rng.choice(self.commands)
        tests = [(file.path, name) for file in files for name in file.symbols]
        count = rng.choice((0, 0, 1, 1, 2, 3, 4, 9))
        kept = [node for node in self.failing if any(node == f"{path}::{name}" for path, name in tests)][
            :count
        ]
        failing = list(
            dict.fromkeys(
                kept + [f"{path}::{name}" for path, name in rng.sample(tests, k=min(count, len(tests)))]
            )
        )[:count]
        self.failing = failing
        output = words.pytest_run(rng, tests, failing, is_verbose, self.files)
        code = 1 if failing else 0
        if "| tail" in command:
            output, code = "\n".join(output.split("\n")[-150:]), 0  # the exit status is tail's
        elif failing and command == "make test":
            output += "\nmake: *** [Makefile:14: test] Error 1"
            code = 2
        elif not failing and rng.random() < 0.08:
            output += f"\nCoverage check: ERROR: total of {rng.randint(60, 79)} is less than fail-under={rng.randint(80, 95)}\nexit code 0 was expected"
            code = 2
        record = self._shell(
            command,
            output,
            code,
            passed=len(tests) - len(failing),
            failed=len(failing),
            failing=tuple(failing),
        )
        self._ran(command, record, output)

    def _ran(self, command: str, record: CallTruth, output: str) -> None:
        for fact in self.runs.pop(command, []):
            fact.dies = min(fact.dies, self.turn + 1)
        facts: list[Fact] = []
        if self.style in {"codex", "marker"} or (self.style == "claude" and record.exit_code):
            facts.append(
                self._fact(
                    "run_exit",
                    f"With what exit code did `{command}` last end?",
                    (str(record.exit_code),),
                    command,
                    record.id,
                )
            )
        if record.failed is not None:
            counts = (f"{record.passed} passed", *((f"{record.failed} failed",) if record.failed else ()))
            facts.append(
                self._fact(
                    "run_counts",
                    f"How many tests passed and failed when `{command}` last ran?",
                    counts,
                    command,
                    record.id,
                )
            )
        if record.failing:
            facts.append(
                self._fact(
                    "run_failing",
                    f"Which tests failed when `{command}` last ran?",
                    record.failing,
                    command,
                    record.id,
                )
            )
        for fact in facts:
            fact.cools, fact.cold_kind = self.turn + 120, "old_run"
        self.runs[command] = facts

    def _build(self) -> None:
        rng = self.rng
        is_ok = rng.random() < 0.6
        command = rng.choice(("npm run build", "docker compose build api"))
        output = words.build_log(rng, rng.randint(30, 260), is_ok)
        record = self._shell(command, output, 0 if is_ok else rng.choice((1, 2, 17)))
        self._ran(command, record, output)

    def _grep(self) -> None:
        rng = self.rng
        word = rng.choice((rng.choice(words.NOUNS), rng.choice(rng.choice(self.files).symbols)))
        text = words.grep(rng, self.files, word, rng.choice((15, 40, 100)))
        self._call(
            "Grep",
            {"pattern": word, "path": "/repo/src", "output_mode": "content"},
            text or "No matches found",
            matches=text.count("\n") + 1 if text else 0,
        )

    def _listing(self) -> None:
        rng = self.rng
        self._shell(
            rng.choice(("find . -name '*.py'", "ls -lR src", "git ls-files")),
            words.listing(rng, rng.randint(20, 160), self.known),
            0,
        )

    def _records(self) -> None:
        rng = self.rng
        text = words.records(rng, rng.randint(4, 50))
        if rng.random() < 0.15:
            secret = f"ghp_{words.hexes(rng, 36)}"
            self.session.secrets.append(secret)
            text = text[:-1] + f', "debug_token": "{secret}"}}'
        self._shell(f"curl -s http://localhost:8080/api/{rng.choice(words.NOUNS)}s?limit=50", text, 0)

    def _log(self) -> None:
        rng = self.rng
        lines = [words.log_line(rng) for _ in range(rng.randint(20, 140))]
        at = rng.randrange(len(lines))
        lines[at:at] = [
            "Traceback (most recent call last):",
            *(
                f'  File "/repo/{rng.choice(self.known)}", line {rng.randint(4, 400)}, in {rng.choice(words.VERBS)}_{rng.choice(words.NOUNS)}'
                for _ in range(6)
            ),
            f"{rng.choice(words.ERRORS)}: {words.sentence(rng)}",
        ]
        self._shell(f"docker logs --tail {len(lines)} {rng.choice(words.NOUNS)}-1", "\n".join(lines), 0)

    def _diff(self) -> None:
        rng = self.rng
        if not self.hot:
            return self._listing()
        lines: list[str] = []
        for file in self.hot[-3:]:
            at = rng.randrange(max(1, len(file.lines) - 30))
            lines += [
                f"diff --git a/{file.path} b/{file.path}",
                f"index {words.hexes(rng, 7)}..{words.hexes(rng, 7)} 100644",
                f"--- a/{file.path}",
                f"+++ b/{file.path}",
                f"@@ -{at + 1},30 +{at + 1},32 @@",
            ]
            lines += [rng.choice((" ", " ", "+", "-")) + line for line in file.lines[at : at + 30]]
        self._shell("git diff", "\n".join(lines), 0)
        return None

    def _commit(self) -> None:
        rng = self.rng
        kind = rng.randrange(3)
        name = f"{rng.choice(words.VERBS)} {rng.choice(words.NOUNS)} {rng.choice(words.NOUNS)}"
        if kind == 0:
            made = words.hexes(rng, 10)
            record = self._shell(
                f'git commit -am "{name}"',
                f"[main {made}] {name}\n {rng.randint(1, 9)} files changed, {rng.randint(4, 300)} insertions(+), {rng.randint(0, 90)} deletions(-)",
                0,
            )
            question = f"Which commit is '{name}'?"
        elif kind == 1:
            made = f"dep_{words.hexes(rng, 14)}"
            record = self._shell(
                f"deployctl push staging --note '{name}'",
                f"uploading layers\n{words.git_log(rng, 6)}\nqueued\ndeployment {made} is live (region {rng.choice(('eu-1', 'us-2'))})",
                0,
            )
            question = f"What is the id of the deployment '{name}'?"
        else:
            made = f"{rng.choice(words.PARTS).upper()}-{rng.randint(10000, 99999)}"
            record = self._call(
                "CreateTicket",
                {"title": name},
                json.dumps(
                    {
                        "ok": True,
                        "key": made,
                        "url": f"https://tracker.example.org/browse/{made}",
                        "watchers": rng.sample(words.NOUNS, k=3),
                    }
                ),
            )
            question = f"What is the key of the ticket '{name}'?"
        fact = self._fact("id", question, (made,), name, record.id)
        fact.cools, fact.cold_kind = self.turn + ID_TURNS, "cold_id"

    def _web(self) -> None:
        rng = self.rng
        text = "\n\n".join(
            "## "
            + words.sentence(rng, 3, 6)[:-1]
            + "\n"
            + " ".join(words.sentence(rng, 9, 20) for _ in range(rng.randint(4, 14)))
            for _ in range(rng.randint(4, 14))
        )
        self._call(
            "WebFetch",
            {"url": f"https://docs.example.org/{rng.choice(words.NOUNS)}/{rng.choice(words.VERBS)}"},
            text,
        )

    def _fail(self) -> None:
        file = self.rng.choice(self.files)
        self._call(
            "Edit",
            {"file_path": f"/repo/{file.path}", "old_string": words.sentence(self.rng), "new_string": "pass"},
            f"<tool_use_error>String to replace not found in file /repo/{file.path}.</tool_use_error>",
            is_error=True,
            path=file.path,
        )
