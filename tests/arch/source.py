"""The project's own files, read and parsed once for all structural tests."""

import ast
import gc
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("legion_core", "app")
TEXT_FOLDERS = ("legion_core", "app", "tests", "benchmarks", "packaging", "docs", ".ci", "resources")
TEXT_SUFFIXES = frozenset(
    {".py", ".md", ".toml", ".txt", ".sh", ".sql", ".json", ".in", ".spec", ".desktop", ".svg", ""}
)


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file: its path from the root, its dotted name, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def module(path: str, text: str) -> Module:
    """A module from text, as the planted ones are."""
    return Module(path=path, text=text, tree=ast.parse(text, path))


@cache
def product() -> tuple[Module, ...]:
    """Every module that ships."""
    files = (file for folder in PRODUCT for file in sorted((ROOT / folder).rglob("*.py")))
    made = tuple(
        module(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")) for file in files
    )
    for each in made:
        nodes(each.tree)
    # A million nodes without a cycle among them: no collection has to walk them, and letting them go frees them.
    gc.freeze()
    return made


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """`(path, text)` of every text file a reader may open; locks are left out, being hashes."""
    files = [file for file in ROOT.iterdir() if file.is_file() and file.name not in ("LICENSE", ".git")]
    for folder in TEXT_FOLDERS:
        files += [
            file for file in (ROOT / folder).rglob("*") if file.is_file() and "__pycache__" not in file.parts
        ]
    return tuple(
        (file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))
        for file in sorted(files)
        if file.suffix in TEXT_SUFFIXES and "locks" not in file.parts
    )


@cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """All nodes of a tree; kept, because every rule reads them."""
    return tuple(ast.walk(tree))


@cache
def imports(tree: ast.AST) -> frozenset[str]:
    """Dotted names a tree imports, anywhere in it; `from a import b` gives both `a` and `a.b`."""
    names: set[str] = set()
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def dotted(node: ast.AST) -> str:
    """`a.b.c` for a chain of attributes on a name, else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (start := dotted(node.value)):
        return f"{start}.{node.attr}"
    return ""


def strings(tree: ast.AST) -> list[tuple[int, str]]:
    """`(line, text)` of every string constant."""
    return [
        (node.lineno, node.value)
        for node in nodes(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def forget() -> None:
    """Let go of every tree and text; whoever reads next reads anew."""
    for kept in (product, texts, nodes, imports):
        kept.cache_clear()
