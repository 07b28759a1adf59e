"""The functions that can be run, by dotted name: `extension.runner.function`.

Three sources: what the workbench brings, installed packages (entry points `legion.extensions`), and folders in
LEGION_HOME/extensions. An extension is imported when it is first asked for; one that fails to import is listed with
its reason and disturbs no other. A folder that changed is imported again at the next call.
"""

import asyncio
import importlib
import inspect
import logging
import pkgutil
import re
import types
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from legion_core.engine.extension import ACTOR, TRAITS, Traits
from legion_core.engine.importing import Print, digest, fingerprint, import_folder, strangers
from legion_core.engine.signature import Signature, Unusable, read_signature
from legion_core.kernel.errors import InvalidInput, NotFound, Unavailable
from legion_core.storage.calls import in_thread

if TYPE_CHECKING:
    from legion_core.engine.actors import Actor

log = logging.getLogger("legion.engine")

GROUP = "legion.extensions"
Origin = Literal["builtin", "installed", "folder"]
Pool = Literal["loop", "thread", "cpu"]
NAME = re.compile(r"^[a-z][a-z0-9_]{0,63}$")
_DOTTED = re.compile(r"^[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63}){2}$")
_REASON_CHARS = 400


@dataclass(frozen=True, slots=True)
class Function:
    """One function that can be run. `folder` is where its extension lies; None if it is not a drop-in one.

    `actor` says when it runs by itself; None if never.
    """

    name: str
    call: Callable[..., Any]
    signature: Signature
    traits: Traits
    origin: Origin
    folder: Path | None = None
    actor: "Actor | None" = None

    @property
    def pool(self) -> Pool:
        """Where it runs: on the loop, in a thread, or in a process of its own."""
        if self.signature.is_async:
            return "loop"
        return "cpu" if self.traits.cpu else "thread"


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension as it was last imported; `problem` says why some or all of it cannot be used."""

    name: str
    origin: Origin
    path: str = ""
    version: str = ""
    description: str = ""
    problem: str = ""
    functions: Mapping[str, Function] = field(default_factory=dict[str, Function])


class Registry:
    """Finds functions; see the module. `builtins` are runners by `extension.runner`, each an object with functions."""

    def __init__(self, builtins: Mapping[str, object], folder: Path) -> None:
        self._folder = folder
        self._builtin = _builtin(builtins)
        self._functions = {
            name: function for each in self._builtin.values() for name, function in each.functions.items()
        }
        self._folders: dict[str, tuple[Print, Extension]] = {}
        self._installed: dict[str, Extension] | None = None
        self._importing = asyncio.Lock()
        self.on_change: Callable[[], None] | None = None  # a folder was imported anew, or is gone
        self.on_import: Callable[[str, str], Awaitable[None]] | None = (
            None  # its name and digest, before its code runs
        )

    def offer(self, extension: Extension) -> None:
        """Take an extension from somebody who makes functions at run time, in place of what they gave before."""
        before = self._builtin.get(extension.name)
        for name in before.functions if before is not None else ():
            self._functions.pop(name, None)
        self._builtin[extension.name] = extension
        self._functions.update(extension.functions)
        self._changed()

    def known(self, name: str) -> Function | None:
        """The function if it can be told at once: built in, or installed and imported before. Touches no disk."""
        return self._functions.get(name)

    async def find(self, name: str) -> Function:
        """The function as it is now; NotFound names what comes near, Unavailable says why it cannot be used."""
        if (function := self._functions.get(name)) is not None:
            return function
        if not _DOTTED.match(name):
            raise InvalidInput(
                f"{name[:80]!r} is not the name of a task.",
                hint="Names are EXTENSION.RUNNER.FUNCTION, such as http.request.get.",
            )
        extension = await self._extension(name.partition(".")[0])
        if extension is not None:
            if (function := extension.functions.get(name)) is not None:
                return function
            if extension.problem:
                raise Unavailable(
                    f"{name} cannot be used: {extension.problem}",
                    hint=f"Mend {extension.path or extension.name}; it is read again at the next call.",
                )
        raise NotFound(f"There is no task {name}.", hint=await self._hint(name))

    async def extensions(self) -> tuple[Extension, ...]:
        """All there are, by name, the folders as they are now."""
        found = dict(self._builtin)
        for name, extension in (await self._all_installed()).items():
            found.setdefault(name, extension)
        for name in await in_thread("list extensions", self._folder_names):
            extension = await self._from_folder(name)
            if extension is None:
                continue
            if name in found:
                why = f"The name {name} is taken by {_ORIGINS[found[name].origin]}."
                extension = Extension(name=f"{name}", origin="folder", path=extension.path, problem=why)
                found[f"{name} (folder)"] = extension
            else:
                found[name] = extension
        return tuple(found[name] for name in sorted(found))

    async def extension(self, name: str) -> Extension:
        """One of them; NotFound if there is none."""
        found = await self._extension(name)
        if found is None:
            names = ", ".join(each.name for each in await self.extensions())
            raise NotFound(f"There is no extension {name!r}.", hint=f"There are {names}.")
        return found

    async def _extension(self, name: str) -> Extension | None:
        if name in self._builtin:
            return self._builtin[name]
        installed = await self._all_installed()
        return installed[name] if name in installed else await self._from_folder(name)

    async def _from_folder(self, name: str) -> Extension | None:
        folder = self._folder / name
        if not NAME.match(name) or not folder.is_dir():
            if self._folders.pop(name, None) is not None:
                self._changed()
            return None
        now = fingerprint(folder)
        before = self._folders.get(name)
        if before is None or before[0] != now:
            async with self._importing:  # two at once would take each other's modules away
                before = self._folders.get(name)
                if before is None or before[0] != now:
                    if self.on_import is not None:
                        await self.on_import(name, await in_thread(f"read {name}", lambda: digest(folder)))
                    # Imported in a thread: strangers' code may take long to import.
                    before = (now, await in_thread(f"import {name}", lambda: _import(name, folder)))
                    self._folders[name] = before
                    self._changed()
        return before[1]

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    async def _all_installed(self) -> dict[str, Extension]:
        if self._installed is None:
            found = await in_thread("import installed extensions", _import_installed)
            self._installed = {name: each for name, each in found.items() if name not in self._builtin}
            for each in self._installed.values():
                self._functions.update(each.functions)
        return self._installed

    def _folder_names(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return sorted(each.name for each in self._folder.iterdir() if NAME.match(each.name) and each.is_dir())

    async def _hint(self, name: str) -> str:
        import difflib

        names = [function for each in await self.extensions() for function in each.functions]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        return f"Near it: {', '.join(near)}." if near else "`legion extension list` shows what there is."


_ORIGINS: dict[Origin, str] = {
    "builtin": "what the workbench brings",
    "installed": "an installed package",
    "folder": "a folder",
}


def _builtin(runners: Mapping[str, object]) -> dict[str, Extension]:
    found: dict[str, dict[str, Function]] = {}
    for place, runner in runners.items():
        functions, problems = _functions(place, runner, "builtin", None)
        assert not problems, problems
        assert functions, f"{place} has no functions"
        found.setdefault(place.partition(".")[0], {}).update(functions)
    return {
        name: Extension(name=name, origin="builtin", functions=functions) for name, functions in found.items()
    }


def _import(name: str, folder: Path) -> Extension:
    problem, description = "", ""
    functions: dict[str, Function] = {}
    if whose := strangers(folder):
        return Extension(name=name, origin="folder", path=str(folder), problem=whose)
    try:
        modules = import_folder(name, folder)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Extension(name=name, origin="folder", path=str(folder), problem=_reason(error))
    problems: list[str] = []
    for runner, module in modules.items():
        description = description or _first_line(module)
        found, wrong = _functions(f"{name}.{runner}", module, "folder", folder)
        functions.update(found)
        problems += wrong
    if not functions and not problems:
        problems.append("It has no functions: a runner is a file with public functions.")
    problem = " ".join(problems)
    return Extension(
        name=name,
        origin="folder",
        path=str(folder),
        description=description,
        problem=problem,
        functions=functions,
    )


def _import_installed() -> dict[str, Extension]:
    import importlib.metadata  # heavy, and only wanted once somebody names an extension

    found: dict[str, Extension] = {}
    for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda point: point.name):
        version = point.dist.version if point.dist is not None else ""
        try:
            if not NAME.match(point.name):
                raise ValueError(f"{point.name!r} is not a name: lower-case letters, digits and underscores")
            loaded: Any = point.load()
            functions: dict[str, Function] = {}
            problems: list[str] = []
            for runner, module in _runners(loaded).items():
                some, wrong = _functions(f"{point.name}.{runner}", module, "installed", None)
                functions.update(some)
                problems += wrong
            found[point.name] = Extension(
                name=point.name,
                origin="installed",
                path=str(point.value),
                version=version,
                description=_first_line(loaded),
                problem=" ".join(problems),
                functions=functions,
            )
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            found[point.name] = Extension(
                name=point.name,
                origin="installed",
                path=str(point.value),
                version=version,
                problem=_reason(error),
            )
    return found


def _runners(loaded: object) -> dict[str, object]:
    """The modules of a package, or the one module that was named."""
    if isinstance(loaded, types.ModuleType) and hasattr(loaded, "__path__"):
        return {
            name: importlib.import_module(f"{loaded.__name__}.{name}")
            for _, name, is_package in pkgutil.iter_modules(loaded.__path__)
            if not is_package and not name.startswith(("_", "test"))
        }
    name = str(getattr(loaded, "__name__", "runner"))
    return {name.rpartition(".")[2]: loaded}


def _functions(
    place: str, runner: object, origin: Origin, folder: Path | None
) -> tuple[dict[str, Function], list[str]]:
    """The functions of a runner by dotted name, and a sentence for each that cannot be one.

    Of a module all public functions written in it; of any other object those that are marked.
    """
    found: dict[str, Function] = {}
    problems: list[str] = []
    home = runner.__name__ if isinstance(runner, types.ModuleType) else None
    # Not `inspect.getmembers`: it reads `__weakref__`, which Python before 3.11.3 breaks on a slotted dataclass.
    for name in (name for name in dir(runner) if not name.startswith("_")):
        call = getattr(runner, name, None)
        traits = getattr(call, TRAITS, None)
        is_own = home is not None and inspect.isfunction(call) and call.__module__ == home
        if not callable(call) or inspect.isclass(call) or not (traits or is_own):
            continue
        dotted = f"{place}.{name}"
        try:
            if not _DOTTED.match(dotted):
                raise Unusable("names are lower-case letters, digits and underscores")
            signature = read_signature(call)
            traits = traits if isinstance(traits, Traits) else Traits()
            if traits.cpu and signature.is_async:
                raise Unusable("cpu is for plain functions, this one is asynchronous")
            if traits.cpu and home is None:
                raise Unusable("cpu is for functions of a module, which another process can import")
            found[dotted] = Function(
                dotted, call, signature, traits, origin, folder, getattr(call, ACTOR, None)
            )
        except Unusable as error:
            problems.append(f"{dotted} is left out: {error}.")
    return found, problems


def _first_line(loaded: object) -> str:
    return (inspect.getdoc(loaded) or "").partition("\n")[0] if isinstance(loaded, types.ModuleType) else ""


def _reason(error: BaseException) -> str:
    """What went wrong and where, as one sentence."""
    where = ""
    trace = error.__traceback__
    while trace is not None:
        where = f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        where = f" ({Path(error.filename or '').name}, line {error.lineno})"
    text = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
    return f"{text[:_REASON_CHARS]}{where}."
