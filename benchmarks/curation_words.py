"""What tools print: source files, searches, test runs, builds, listings, JSON and logs, made from a seed.

Nothing here knows of curation. Everything is made from one small vocabulary, so that files, greps, tracebacks and diffs
of a session agree with one another.
"""

from dataclasses import dataclass, field
from random import Random

NOUNS = [
    "account",
    "alert",
    "anchor",
    "archive",
    "batch",
    "bridge",
    "broker",
    "bucket",
    "buffer",
    "builder",
    "cache",
    "channel",
    "charge",
    "cluster",
    "column",
    "cursor",
    "customer",
    "dataset",
    "device",
    "digest",
    "edge",
    "envelope",
    "event",
    "export",
    "feature",
    "fetcher",
    "field",
    "filter",
    "fleet",
    "frame",
    "gateway",
    "graph",
    "handler",
    "header",
    "history",
    "index",
    "invoice",
    "item",
    "job",
    "journal",
    "key",
    "label",
    "lease",
    "ledger",
    "limit",
    "list",
    "loader",
    "lock",
    "manifest",
    "marker",
    "mesh",
    "message",
    "metric",
    "migration",
    "mirror",
    "module",
    "monitor",
    "node",
    "notice",
    "object",
    "offer",
    "order",
    "outbox",
    "packet",
    "page",
    "parcel",
    "parser",
    "partition",
    "patch",
    "payload",
    "payment",
    "period",
    "pipeline",
    "plan",
    "policy",
    "pool",
    "port",
    "price",
    "probe",
    "profile",
    "quota",
    "queue",
    "quote",
    "range",
    "record",
    "region",
    "registry",
    "replica",
    "report",
    "request",
    "resolver",
    "retry",
    "route",
    "rule",
    "sample",
    "schedule",
    "schema",
    "scope",
    "segment",
    "sensor",
    "server",
    "session",
    "shard",
    "sheet",
    "signal",
    "slot",
    "snapshot",
    "source",
    "stage",
    "state",
    "stock",
    "store",
    "stream",
    "subject",
    "switch",
    "symbol",
    "table",
    "tag",
    "target",
    "task",
    "tenant",
    "ticket",
    "timer",
    "token",
    "topic",
    "trace",
    "tracker",
    "trigger",
    "tuple",
    "unit",
    "update",
    "user",
    "vault",
    "vector",
    "view",
    "volume",
    "watcher",
    "window",
    "worker",
    "zone",
]
VERBS = [
    "accept",
    "add",
    "apply",
    "attach",
    "begin",
    "bind",
    "build",
    "check",
    "claim",
    "clear",
    "close",
    "collect",
    "commit",
    "compare",
    "compute",
    "copy",
    "count",
    "create",
    "decode",
    "deliver",
    "drain",
    "drop",
    "emit",
    "encode",
    "enqueue",
    "evict",
    "expand",
    "expire",
    "fetch",
    "fill",
    "filter",
    "find",
    "finish",
    "flush",
    "format",
    "freeze",
    "gather",
    "group",
    "hash",
    "hold",
    "insert",
    "issue",
    "join",
    "keep",
    "lease",
    "list",
    "load",
    "lookup",
    "map",
    "mark",
    "match",
    "measure",
    "merge",
    "move",
    "normalize",
    "notify",
    "open",
    "order",
    "pack",
    "parse",
    "pick",
    "poll",
    "prepare",
    "prune",
    "publish",
    "purge",
    "push",
    "read",
    "rebuild",
    "record",
    "refresh",
    "register",
    "release",
    "remove",
    "render",
    "replay",
    "reset",
    "resolve",
    "resume",
    "retry",
    "revoke",
    "rotate",
    "route",
    "save",
    "scan",
    "schedule",
    "seal",
    "select",
    "send",
    "serve",
    "settle",
    "shift",
    "sign",
    "skip",
    "sort",
    "spill",
    "split",
    "start",
    "stop",
    "store",
    "strip",
    "submit",
    "sync",
    "tally",
    "trim",
    "unpack",
    "update",
    "validate",
    "verify",
    "wait",
    "walk",
    "write",
]
PARTS = [
    "api",
    "app",
    "billing",
    "catalog",
    "core",
    "data",
    "domain",
    "events",
    "infra",
    "jobs",
    "lib",
    "model",
    "orders",
    "platform",
    "query",
    "search",
    "service",
    "shared",
    "storage",
    "sync",
    "tasks",
    "web",
    "workers",
]
WORDS = [
    "the",
    "a",
    "of",
    "to",
    "in",
    "for",
    "with",
    "when",
    "only",
    "once",
    "after",
    "before",
    "each",
    "every",
    "until",
    "without",
    "whether",
    "which",
    "because",
    "never",
    "always",
    "first",
    "last",
    "next",
    "same",
    "other",
    "empty",
    "stale",
    "pending",
    "open",
    "closed",
    "valid",
    "missing",
    "late",
    "early",
    "partial",
    "whole",
    "original",
    "given",
    "returns",
    "raises",
    "keeps",
    "holds",
    "moves",
    "counts",
    "waits",
    "ends",
    "begins",
    "checks",
    "drops",
    "value",
    "caller",
    "result",
    "order",
    "time",
    "state",
    "error",
    "limit",
    "retry",
    "window",
    "batch",
    "record",
    "request",
    "answer",
    "total",
    "amount",
    "address",
    "version",
]
ERRORS = [
    "AssertionError",
    "KeyError",
    "ValueError",
    "TypeError",
    "TimeoutError",
    "AttributeError",
    "IndexError",
    "RuntimeError",
    "LookupError",
    "PermissionError",
    "ConnectionResetError",
]


def sentence(rng: Random, low: int = 6, high: int = 14) -> str:
    """Some words with a capital and a full stop."""
    words = rng.choices(WORDS, k=rng.randint(low, high))
    words[rng.randrange(len(words))] = rng.choice(NOUNS)
    return " ".join(words).capitalize() + "."


def hexes(rng: Random, size: int) -> str:
    """Hexadecimal digits."""
    return f"{rng.getrandbits(size * 4):0{size}x}"


def camel(*words: str) -> str:
    """Words as a class is written."""
    return "".join(word.capitalize() for word in words)


@dataclass(slots=True)
class SourceFile:
    """A file of the project, as it is now; `version` counts its edits."""

    path: str
    lines: list[str]
    symbols: list[str]
    version: int = 0
    changed: list[int] = field(default_factory=list[int])

    def numbered(self, start: int, end: int, style: str) -> str:
        """The lines `start`…`end` (from 1, inclusive) as a read tool prints them."""
        part = self.lines[start - 1 : end]
        if style == "arrow":
            return "\n".join(f"{at:6d}\u2192{line}" for at, line in enumerate(part, start))
        if style == "tab":
            return "\n".join(f"{at:6d}\t{line}" for at, line in enumerate(part, start))
        if style == "window":
            head = (
                f"[File: /repo/{self.path} ({len(self.lines)} lines total)]\n({start - 1} more lines above)\n"
            )
            tail = f"\n({max(0, len(self.lines) - end)} more lines below)"
            return head + "\n".join(f"{at}:{line}" for at, line in enumerate(part, start)) + tail
        return "\n".join(part)


def source_file(rng: Random, taken: set[str]) -> SourceFile:
    """A module of 90 to 520 lines."""
    while True:
        parts = rng.sample(PARTS, k=rng.choice((1, 2, 2, 3)))
        stem = rng.choice((rng.choice(NOUNS), f"{rng.choice(NOUNS)}_{rng.choice(NOUNS)}"))
        kind = rng.choices(("py", "ts", "go"), weights=(6, 3, 1))[0]
        path = "/".join(["src", *parts, f"{stem}.{kind}"])
        if path not in taken:
            break
    taken.add(path)
    want = int(90 * 5.8 ** rng.random())
    writer = {"py": _python, "ts": _typescript, "go": _go}[kind]
    lines: list[str] = []
    symbols: list[str] = []
    writer(rng, lines, symbols, want, parts)
    return SourceFile(path, lines, symbols)


def test_file(rng: Random, of: SourceFile) -> SourceFile:
    """Tests of that file, with a name for each test."""
    stem = of.path.rsplit("/", 1)[1].rsplit(".", 1)[0]
    lines = [
        f"from {of.path[4:].rsplit('.', 1)[0].replace('/', '.')} import {', '.join(of.symbols[:4])}",
        "",
        "",
    ]
    names: list[str] = []
    for _ in range(rng.randint(6, 24)):
        name = f"test_{rng.choice(VERBS)}_{rng.choice(NOUNS)}_{rng.choice(('when_empty', 'twice', 'after_retry', 'in_order', 'at_limit', 'with_' + rng.choice(NOUNS), 'on_timeout', 'is_idempotent'))}"
        if name in names:
            continue
        names.append(name)
        lines += [
            f"def {name}():",
            f"    {rng.choice(NOUNS)} = {rng.choice(of.symbols)}({rng.randint(1, 900)}, {rng.choice(NOUNS)!r})",
            f"    got = {rng.choice(of.symbols)}({rng.choice(NOUNS)!r}, limit={rng.randint(1, 99)})",
            f"    assert got == {rng.randint(0, 5000)}",
            "",
            "",
        ]
    return SourceFile(f"tests/{stem}/test_{stem}.py", lines, names)


def _python(rng: Random, lines: list[str], symbols: list[str], want: int, parts: list[str]) -> None:
    lines += [f'"""{sentence(rng)} {sentence(rng)}"""', ""]
    lines += [
        f"from {rng.choice(parts)}.{rng.choice(NOUNS)} import {camel(rng.choice(NOUNS), rng.choice(NOUNS))}"
        for _ in range(rng.randint(2, 7))
    ]
    lines += ["import logging", "", "logger = logging.getLogger(__name__)"]
    lines += [
        f"{rng.choice(NOUNS).upper()}_{rng.choice(NOUNS).upper()}_{rng.choice(('S', 'MAX', 'BYTES'))} = {rng.randint(2, 9000)}"
        for _ in range(3)
    ]
    while len(lines) < want:
        name = camel(rng.choice(NOUNS), rng.choice(NOUNS))
        symbols.append(name)
        lines += [
            "",
            "",
            "@dataclass(slots=True)" if rng.random() < 0.4 else "# " + sentence(rng),
            f"class {name}:",
            f'    """{sentence(rng)}"""',
            "",
        ]
        fields = rng.sample(NOUNS, k=rng.randint(2, 5))
        lines += [
            f"    {each}: {rng.choice(('int', 'str', 'float', 'bytes', 'list[str]'))} = {rng.choice(('0', repr(rng.choice(NOUNS)), str(rng.randint(1, 500))))}"
            for each in fields
        ]
        for _ in range(rng.randint(2, 6)):
            method = f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}"
            symbols.append(method)
            given = rng.sample(NOUNS, k=2)
            lines += [
                "",
                f"    def {method}(self, {given[0]}: str, {given[1]}: int = {rng.randint(0, 99)}) -> {rng.choice(('int', 'str', 'bool', name))}:",
                f'        """{sentence(rng)}"""',
            ]
            for _ in range(rng.randint(3, 12)):
                lines.append("        " + _statement(rng, given, fields))
            lines.append(f"        return self.{rng.choice(fields)}")


def _statement(rng: Random, given: list[str], fields: list[str]) -> str:
    kind = rng.randrange(7)
    a, b = rng.choice(NOUNS), rng.choice(NOUNS)
    if kind == 0:
        return f"{a} = self.{rng.choice(fields)}.{rng.choice(VERBS)}({given[0]}, {given[1]} + {rng.randint(1, 64)})"
    if kind == 1:
        return f'if {given[1]} > {rng.randint(1, 400)}: raise {rng.choice(ERRORS)}(f"{b} {{{given[0]}}} is past its {a}")'
    if kind == 2:
        return f'logger.{rng.choice(("debug", "info", "warning"))}("{rng.choice(VERBS)} %s of %d {a}s", {given[0]}, {given[1]})'
    if kind == 3:
        return f"for {a} in {rng.choice(VERBS)}_{b}s({given[0]}): self._{rng.choice(VERBS)}({a}, {rng.randint(0, 30)})"
    if kind == 4:
        return f"# {sentence(rng, 5, 11)}"
    if kind == 5:
        return f"{a}_{b} = [each.{rng.choice(NOUNS)} for each in {given[0]} if each.{a} != {rng.choice(NOUNS)!r}]"
    return (
        f"self.{rng.choice(fields)} = {rng.choice(VERBS)}({a!r}, {rng.choice(NOUNS)}={rng.randint(0, 4096)})"
    )


def _typescript(rng: Random, lines: list[str], symbols: list[str], want: int, parts: list[str]) -> None:
    lines += [
        f'import {{ {camel(rng.choice(NOUNS))}, {camel(rng.choice(NOUNS))} }} from "../{rng.choice(parts)}/{rng.choice(NOUNS)}";'
        for _ in range(rng.randint(2, 6))
    ]
    while len(lines) < want:
        name = rng.choice(VERBS) + camel(rng.choice(NOUNS), rng.choice(NOUNS))
        symbols.append(name)
        a, b, c = rng.sample(NOUNS, k=3)
        lines += [
            "",
            f"/** {sentence(rng)} */",
            f"export async function {name}({a}: string, {b}: number = {rng.randint(1, 90)}): Promise<{camel(c)}> {{",
        ]
        for _ in range(rng.randint(3, 12)):
            x, y = rng.choice(NOUNS), rng.choice(NOUNS)
            lines.append(
                "  "
                + rng.choice(
                    (
                        f"const {x}{camel(y)} = await {rng.choice(VERBS)}{camel(x)}({a}, {{ {y}: {rng.randint(0, 900)} }});",
                        f"if ({b} >= {rng.randint(1, 500)}) {{ throw new Error(`{x} ${{{a}}} exceeds {y}`); }}",
                        f"this.{x}.{rng.choice(VERBS)}({a} ?? {y!r}, {b} * {rng.randint(2, 60)});",
                        f"// {sentence(rng, 5, 10)}",
                    )
                )
            )
        lines += [f"  return {{ {c}: {a}, {rng.choice(NOUNS)}: {b} }} as {camel(c)};", "}"]


def _go(rng: Random, lines: list[str], symbols: list[str], want: int, parts: list[str]) -> None:
    lines += [
        f"package {parts[-1]}",
        "",
        "import (",
        '\t"context"',
        '\t"fmt"',
        f'\t"example.org/{parts[0]}/{rng.choice(NOUNS)}"',
        ")",
    ]
    while len(lines) < want:
        name = camel(rng.choice(VERBS), rng.choice(NOUNS))
        symbols.append(name)
        a, b = rng.sample(NOUNS, k=2)
        lines += [
            "",
            f"// {name} {sentence(rng).lower()}",
            f"func (s *{camel(a)}) {name}(ctx context.Context, {b} string) (int, error) {{",
        ]
        for _ in range(rng.randint(2, 8)):
            x = rng.choice(NOUNS)
            lines += [
                f"\t{x}, err := s.{rng.choice(VERBS)}(ctx, {b}, {rng.randint(1, 800)})",
                "\tif err != nil {",
                f'\t\treturn 0, fmt.Errorf("{rng.choice(VERBS)} {x} {rng.choice(NOUNS)}: %w", err)',
                "\t}",
            ]
        lines += [f"\treturn len({b}) + {rng.randint(1, 99)}, nil", "}"]


def fresh_lines(rng: Random, count: int, indent: str) -> list[str]:
    """New code for an edit."""
    given, fields = rng.sample(NOUNS, k=2), rng.sample(NOUNS, k=3)
    return [indent + _statement(rng, given, fields) for _ in range(count)]


def pytest_run(
    rng: Random, tests: list[tuple[str, str]], failing: list[str], is_verbose: bool, sources: list[SourceFile]
) -> str:
    """What pytest prints: `tests` are (path, name), `failing` are node ids."""
    lines = [
        "=" * 29 + " test session starts " + "=" * 30,
        "platform linux -- Python 3.11.9, pytest-8.3.3, pluggy-1.5.0",
        "rootdir: /repo",
        "configfile: pyproject.toml",
        f"collected {len(tests)} items",
        "",
    ]
    bad = set(failing)
    if is_verbose:
        total = max(1, len(tests))
        lines += [
            f"{path}::{name} {'FAILED' if f'{path}::{name}' in bad else 'PASSED'} [{100 * at // total:3d}%]"
            for at, (path, name) in enumerate(tests, 1)
        ]
    else:
        by_path: dict[str, str] = {}
        for path, name in tests:
            by_path[path] = by_path.get(path, "") + ("F" if f"{path}::{name}" in bad else ".")
        lines += [f"{path} {marks}" for path, marks in by_path.items()]
    if failing:
        lines += ["", "=" * 35 + " FAILURES " + "=" * 35]
        for node in failing:
            source = rng.choice(sources)
            at = rng.randrange(3, max(4, len(source.lines) - 3))
            error = rng.choice(ERRORS)
            lines += ["_" * 20 + f" {node.rsplit('::', 1)[1]} " + "_" * 20, ""]
            lines += ["    " + line for line in source.lines[at - 3 : at]]
            lines += [
                f">   {source.lines[at].strip() or 'pass'}",
                f"E   {error}: {sentence(rng, 4, 9)[:-1]} (expected {rng.randint(1, 900)}, got {rng.randint(1, 900)})",
                "",
                f"{source.path}:{at + 1}: {error}",
            ]
            if rng.random() < 0.5:
                lines += ["-" * 29 + " Captured log call " + "-" * 29]
                lines += [log_line(rng) for _ in range(rng.randint(2, 14))]
        lines += ["=" * 27 + " short test summary info " + "=" * 27]
        lines += [f"FAILED {node} - {rng.choice(ERRORS)}: {sentence(rng, 3, 7)[:-1]}" for node in failing]
    took = f"{rng.uniform(0.4, 48):.2f}s"
    passed = len(tests) - len(failing)
    lines.append(
        "=" * 20
        + (
            f" {len(failing)} failed, {passed} passed in {took} "
            if failing
            else f" {passed} passed in {took} "
        )
        + "=" * 20
    )
    return "\n".join(lines)


def log_line(rng: Random) -> str:
    """One line of a server's log."""
    level = rng.choices(("INFO", "DEBUG", "WARNING", "ERROR"), weights=(60, 25, 10, 5))[0]
    return f"2026-03-{rng.randint(1, 28):02d}T{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}.{rng.randint(0, 999):03d}Z {level:7s} {rng.choice(PARTS)}.{rng.choice(NOUNS)} request={hexes(rng, 8)} {rng.choice(VERBS)} {rng.choice(NOUNS)} took_ms={rng.randint(1, 2400)} {rng.choice(NOUNS)}={rng.choice(NOUNS)}"


def build_log(rng: Random, size: int, is_ok: bool) -> str:
    """Steps of a build with warnings; the error, if any, stands somewhere in it and not at its end."""
    lines = ["> build", "> tsc -p . && vite build", ""]
    at = rng.randrange(size // 3, max(size // 3 + 1, size - 4))
    for step in range(size):
        kind = rng.randrange(4)
        path = f"src/{rng.choice(PARTS)}/{rng.choice(NOUNS)}.ts"
        if not is_ok and step == at:
            lines.append(
                f"{path}({rng.randint(4, 400)},{rng.randint(2, 60)}): error TS{rng.randint(2000, 2999)}: Property '{rng.choice(NOUNS)}' does not exist on type '{camel(rng.choice(NOUNS), rng.choice(NOUNS))}'."
            )
        if kind == 0:
            lines.append(
                f"#{step + 4} [{rng.choice(('deps', 'build', 'runtime'))} {step % 9 + 1}/9] RUN install {rng.choice(NOUNS)}-{rng.choice(NOUNS)}@{rng.randint(0, 9)}.{rng.randint(0, 40)}.{rng.randint(0, 9)}"
            )
        elif kind == 1:
            lines.append(
                f"  dist/assets/{rng.choice(NOUNS)}-{hexes(rng, 8)}.js  {rng.uniform(0.4, 400):.2f} kB \u2502 gzip: {rng.uniform(0.2, 120):.2f} kB"
            )
        elif kind == 2:
            lines.append(f"warning: {path}: '{rng.choice(NOUNS)}' is declared but its value is never read")
        else:
            lines.append(f"transforming ({rng.randint(1, 900)}) {path}")
    lines += [
        f"\u2713 {rng.randint(40, 900)} modules transformed."
        if is_ok
        else "npm error Lifecycle script `build` failed with error:",
        "Done." if rng.random() < 0.5 else f"done in {rng.uniform(1, 60):.1f}s",
    ]
    return "\n".join(lines)


def listing(rng: Random, count: int, known: list[str]) -> str:
    """`find` or `ls -l`, with the known paths among others."""
    paths = [
        *known,
        *(
            f"src/{rng.choice(PARTS)}/{rng.choice(NOUNS)}/{rng.choice(NOUNS)}_{rng.choice(NOUNS)}.py"
            for _ in range(max(0, count - len(known)))
        ),
    ]
    rng.shuffle(paths)
    if rng.random() < 0.5:
        return "\n".join(f"./{path}" for path in paths)
    return "\n".join(
        f"-rw-r--r-- 1 dev dev {rng.randint(200, 90000):6d} Mar {rng.randint(1, 28):2d} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d} {path}"
        for path in paths
    )


def grep(rng: Random, files: list[SourceFile], word: str, most: int) -> str:
    """Lines of the project that hold the word, `path:line:text`."""
    found = [
        f"{file.path}:{at}:{line}" for file in files for at, line in enumerate(file.lines, 1) if word in line
    ]
    if not found:
        return ""
    start = rng.randrange(max(1, len(found) - most + 1))
    return "\n".join(found[start : start + most])


def records(rng: Random, count: int) -> str:
    """A JSON answer of an API."""
    import json

    keys = rng.sample(NOUNS, k=5)
    rows = [
        {
            "id": f"{rng.choice(NOUNS)}_{hexes(rng, 10)}",
            "created_at": f"2026-02-{rng.randint(1, 28):02d}T10:{rng.randint(0, 59):02d}:00Z",
            **{
                key: rng.choice(
                    (rng.randint(0, 99999), rng.choice(NOUNS), round(rng.uniform(0, 900), 2), None, True)
                )
                for key in keys
            },
        }
        for _ in range(count)
    ]
    return json.dumps({"data": rows, "next": hexes(rng, 16), "total": count * rng.randint(1, 9)}, indent=2)


def git_log(rng: Random, count: int) -> str:
    """Commits, one a line."""
    return "\n".join(
        f"{hexes(rng, 7)} {rng.choice(('fix', 'feat', 'refactor', 'test', 'docs'))}({rng.choice(PARTS)}): {rng.choice(VERBS)} {rng.choice(NOUNS)} {rng.choice(NOUNS)}"
        for _ in range(count)
    )


def thought(rng: Random, sentences: int, subject: str) -> str:
    """Reasoning of a model about a subject."""
    opens = (
        "Let me think about",
        "The failure may come from",
        "Looking at",
        "Wait,",
        "Now",
        "I should check",
        "So",
        "Perhaps",
        "Actually,",
    )
    return " ".join(
        f"{rng.choice(opens)} {rng.choice((subject, rng.choice(NOUNS) + '_' + rng.choice(NOUNS)))}: {sentence(rng, 8, 18).lower()}"
        for _ in range(sentences)
    )
