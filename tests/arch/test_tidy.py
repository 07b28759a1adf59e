"""House rules no linter knows. Every rule is a function from files to offences, shown to bite on a planted one."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable

import pytest

from tests.arch.source import ROOT, Module, dotted, imports, module, nodes, product, strings, texts

Rule = Callable[[Iterable[Module]], list[str]]

DANGEROUS_CALLS = frozenset({"eval", "exec", "compile", "os.system", "os.popen", "__import__"})
DANGEROUS_MODULES = frozenset({"pickle", "marshal", "shelve", "dill", "cloudpickle"})
URL_OPENERS = frozenset({"QDesktopServices", "webbrowser"})
UNITLESS = frozenset(
    {"timeout", "delay", "interval", "deadline", "period", "ttl", "duration", "pause", "elapsed"}
)
FOREIGN_WORDS = (
    "app/loop.py",  # asyncio's own signatures
    "legion_core/gateway/dialects/",
    "legion_core/gateway/providers/",
    "legion_core/workers/engines/",
)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")
POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)[*+?]\+")
HEX_COLOUR = re.compile(r"(?<![\w&])#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})(?![\w-])")
# Where these files were made is nobody's business: machine paths, hosts of package registries, tickets.
WORKPLACE = re.compile(
    r"(?<![\w.])/(?:work|root|home/(?!me/|ada/|you/)\w+|Users/(?!me/)\w+)/\w|pythonhosted\.|deb\.debian\.|registry\.npmjs|issue #\d|Co-Authored[-]By"
)
ENTRY_POINTS = frozenset({"app.__main__", "legion_core.__main__", "legion_core.workers.child", "app.grab"})
# Decided and tested ahead of the service that will call them; to be empty again when chains run.
AHEAD: frozenset[str] = frozenset()


def view_models_that_draw(modules: Iterable[Module]) -> list[str]:
    """View-models decide what is shown; they hold no widget and no paint."""
    return [
        f"{each.path} imports {name}"
        for each in modules
        if each.path.startswith("app/viewmodels/")
        for name in sorted(imports(each.tree))
        if name.startswith(("PySide6.QtWidgets", "PySide6.QtGui"))
    ]


def widgets_that_wait(modules: Iterable[Module]) -> list[str]:
    """A slot never awaits: it hands an intent to the bridge and returns."""
    return [
        f"{each.path}:{node.lineno} waits inside a widget"
        for each in modules
        if each.path.startswith(("app/views/", "app/widgets/"))
        for node in nodes(each.tree)
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith | ast.AsyncFunctionDef)
    ]


def dangerous_code(modules: Iterable[Module]) -> list[str]:
    """Nothing is evaluated, unpickled or handed to a shell."""
    found = []
    for each in modules:
        found += [f"{each.path} imports {name}" for name in imports(each.tree) & DANGEROUS_MODULES]
        for node in nodes(each.tree):
            if not isinstance(node, ast.Call):
                continue
            is_shell = any(
                word.arg == "shell"
                and not (isinstance(word.value, ast.Constant) and word.value.value is False)
                for word in node.keywords
            )
            if is_shell or dotted(node.func) in DANGEROUS_CALLS:
                found.append(f"{each.path}:{node.lineno} calls {dotted(node.func)}")
    return found


def colours_outside_the_tokens(modules: Iterable[Module]) -> list[str]:
    """Every colour has a name; its value stands in resources/tokens.json alone."""
    return [
        f"{each.path}:{line} has the colour {match.group()}"
        for each in modules
        if each.path.startswith("app/")
        for line, text in strings(each.tree)
        for match in HEX_COLOUR.finditer(text)
    ]


def second_openers_of_links(modules: Iterable[Module]) -> list[str]:
    """One place decides which addresses may leave for the browser."""
    openers = sorted(
        {
            each.path
            for each in modules
            for node in nodes(each.tree)
            if isinstance(node, ast.Name) and node.id in URL_OPENERS
        }
    )
    return [] if len(openers) <= 1 else [f"links are opened in {', '.join(openers)}"]


def quantities_without_a_unit(modules: Iterable[Module]) -> list[str]:
    """`timeout_s`, not `timeout`: the unit stands last in the name. Foreign words keep their own spelling."""
    found = []
    for each in modules:
        if each.path.startswith(FOREIGN_WORDS):
            continue
        for node in nodes(each.tree):
            named: list[tuple[int, str]] = []
            if isinstance(node, ast.arg):
                named = [(node.lineno, node.arg)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                named = [(node.lineno, node.target.id)]
            found += [
                f"{each.path}:{line} {name} has no unit" for line, name in named if name.lower() in UNITLESS
            ]
    return found


def unfinished_places(modules: Iterable[Module]) -> list[str]:
    """What ships is finished. A class that others derive from may leave a method to them."""
    modules = tuple(modules)
    classes = [
        (each, node) for each in modules for node in nodes(each.tree) if isinstance(node, ast.ClassDef)
    ]
    bases = {dotted(base).rpartition(".")[2] for _, node in classes for base in node.bases}
    left_to_others = {
        (each.path, inner.lineno)
        for each, node in classes
        if node.name in bases
        for inner in ast.walk(node)
        if isinstance(inner, ast.Raise)
    }
    return [
        f"{each.path}:{number} {match.group()}"
        for each in modules
        for number, line in enumerate(each.text.splitlines(), 1)
        if (match := UNFINISHED.search(line)) and (each.path, number) not in left_to_others
    ]


def modules_nobody_imports(modules: Iterable[Module]) -> list[str]:
    """Every file has an importer or is an entry point; one named in a string is imported by name."""
    modules = tuple(modules)
    used = set(ENTRY_POINTS | AHEAD)
    for each in modules:
        used |= {name for name in imports(each.tree) if name != each.name}
        used |= {text for _, text in strings(each.tree) if text.startswith(("legion_core.", "app."))}
    return [
        f"{each.path} has no importer"
        for each in modules
        if each.name not in used and not each.path.endswith("__init__.py") and "/testing/" not in each.path
    ]


def unused_or_unknown_fault_sites(modules: Iterable[Module]) -> list[str]:
    """The list of fault sites and the calls agree, so that a test can claim to have fired each one."""
    modules = tuple(modules)
    listed: set[str] = set()
    called: set[str] = set()
    for each in modules:
        uses_faults = any(name.startswith("legion_core.kernel.faults") for name in imports(each.tree))
        for node in nodes(each.tree):
            is_fault = (
                isinstance(node, ast.Call) and dotted(node.func) in {"fault", "faults.fault"} and node.args
            )
            if uses_faults and is_fault:
                assert isinstance(node.args[0], ast.Constant), (
                    f"{each.path}:{node.lineno} names its site indirectly"
                )
                called.add(str(node.args[0].value))
        if each.name == "legion_core.kernel.faults":
            listed = {text for _, text in strings(each.tree) if re.fullmatch(r"[a-z_]+\.[a-z_]+", text)}
    return [f"no code has the fault site {site}" for site in sorted(listed - called)] + [
        f"the fault site {site} is not listed" for site in sorted(called - listed)
    ]


def events_nobody_publishes(modules: Iterable[Module]) -> list[str]:
    """An event class exists because something happens; each is made somewhere in the product."""
    modules = tuple(modules)
    kinds = {
        node.name: each.path
        for each in modules
        for node in nodes(each.tree)
        if isinstance(node, ast.ClassDef) and any(dotted(base) == "Event" for base in node.bases)
    }
    made = {
        dotted(node.func).rpartition(".")[2]
        for each in modules
        for node in nodes(each.tree)
        if isinstance(node, ast.Call)
    }
    return [f"{path}: {name} is never published" for name, path in kinds.items() if name not in made]


def pure_modules_not_in_the_contract(modules: Iterable[Module]) -> list[str]:
    """A module whose docstring begins with "Pure" is listed in the contract that keeps it so."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (listed,) = (each["source_modules"] for each in contracts if each["name"].startswith("pure modules"))
    claimed = {each.name for each in modules if (ast.get_docstring(each.tree) or "").startswith("Pure")}
    return [f"{name} says it is pure, but no contract holds it" for name in sorted(claimed - set(listed))]


def what_the_oldest_python_misreads(modules: Iterable[Module]) -> list[str]:
    """Debian 12 has Python 3.11.2: it misreads possessive groups, and `getmembers` of slotted dataclasses."""
    found = []
    for each in modules:
        found += [
            f"{each.path}:{line} repeats a group possessively"
            for line, text in strings(each.tree)
            if POSSESSIVE_GROUP.search(text) and "(?" in text
        ]
        found += [
            f"{each.path}:{node.lineno} calls getmembers"
            for node in nodes(each.tree)
            if isinstance(node, ast.Call) and dotted(node.func) == "inspect.getmembers"
        ]
    return found


PLANTS: dict[Rule, tuple[str, str]] = {
    view_models_that_draw: ("app/viewmodels/planted.py", "from PySide6.QtWidgets import QLabel"),
    widgets_that_wait: ("app/widgets/planted.py", "class W:\n    async def go(self):\n        await x"),
    dangerous_code: ("legion_core/planted.py", "import subprocess\nsubprocess.run('ls', shell=True)"),
    colours_outside_the_tokens: ("app/planted.py", "INK = 'color: #1B1C20;'"),
    second_openers_of_links: ("app/planted.py", "QDesktopServices.openUrl(url)"),
    quantities_without_a_unit: ("legion_core/planted.py", "def wait(timeout: float) -> None: ..."),
    unfinished_places: ("legion_core/planted.py", "def later():\n    raise NotImplementedError"),
    modules_nobody_imports: ("legion_core/planted.py", "VALUE = 1"),
    unused_or_unknown_fault_sites: (
        "legion_core/planted.py",
        "from legion_core.kernel.faults import fault\nfault('no.such')",
    ),
    events_nobody_publishes: ("legion_core/planted.py", "class PlantedAndForgotten(Event): ..."),
    pure_modules_not_in_the_contract: ("legion_core/planted.py", '"""Pure fancy."""'),
    what_the_oldest_python_misreads: ("legion_core/planted.py", "PATTERN = r'(?:a|b)*+'"),
}


@pytest.mark.parametrize("rule", PLANTS, ids=lambda rule: rule.__name__)
def test_the_product_keeps_the_rule(rule: Rule) -> None:
    assert rule(product()) == []


@pytest.mark.parametrize("rule", PLANTS, ids=lambda rule: rule.__name__)
def test_the_rule_bites_on_a_planted_offence(rule: Rule) -> None:
    planted = module(*PLANTS[rule])
    elsewhere = module("app/elsewhere.py", "webbrowser.open(url)")
    assert any("planted" in offence or "no.such" in offence for offence in rule([elsewhere, planted]))


def workplace_words(files: Iterable[tuple[str, str]]) -> list[str]:
    return [
        f"{path}:{number} {match.group()}"
        for path, text in files
        for number, line in enumerate(text.splitlines(), 1)
        if (match := WORKPLACE.search(line))
    ]


def test_no_file_tells_where_it_was_made() -> None:
    assert workplace_words(texts()) == []


def test_a_machine_path_would_be_seen() -> None:
    path = "/".join(("", "home", "someone", "x"))
    assert workplace_words([("a.md", f"see {path}")]) == [f"a.md:1 {path}"]


def broken_links(files: Iterable[tuple[str, str]]) -> list[str]:
    found = []
    for path, text in files:
        if not path.endswith(".md"):
            continue
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
            if not ((ROOT / path).parent / target).exists():
                found.append(f"{path} links to {target}")
    return found


def test_every_link_between_documents_leads_somewhere() -> None:
    assert broken_links(texts()) == []


def test_a_broken_link_would_be_seen() -> None:
    assert broken_links([("docs/a.md", "[x](no-such.md)")]) == ["docs/a.md links to no-such.md"]


IMPORT_BUDGET = {
    "legion_core": {"msgspec", "asyncio", "apsw"},
    "legion_core.api.types": {
        "PySide6",
        "httpx",
        "starlette",
        "uvicorn",
        "keyring",
        "xllamacpp",
        "apsw",
        "numpy",
    },
    "legion_core.api.facade": {"PySide6", "httpx", "starlette", "uvicorn", "keyring", "xllamacpp", "numpy"},
    "legion_core.node": {
        "PySide6",
        "httpx",
        "starlette",
        "uvicorn",
        "keyring",
        "xllamacpp",
        "numpy",
        "cryptography",
    },
    "app.__main__": {"PySide6", "legion_core", "asyncio", "msgspec", "httpx"},
}


@pytest.mark.requirement("provider.install-only-used")
@pytest.mark.parametrize("name", IMPORT_BUDGET)
def test_an_import_brings_nothing_heavy_along(name: str) -> None:
    program = f"import sys, {name}; print(*sorted({{each.partition('.')[0] for each in sys.modules}}))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert set(run.stdout.split()) & IMPORT_BUDGET[name] == set()


def test_the_import_budget_would_see_a_heavy_import() -> None:
    program = "import sys, httpx; print(*sorted({each.partition('.')[0] for each in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "httpx" in run.stdout.split()
