"""Brings the code of a drop-in extension into the process, always from its source as it is now.

Python's own byte-code cache trusts a file whose time (in seconds) and size did not change; a person who edits an
extension and runs it at once would then run the old code. So nothing of an extension is cached on disk.
"""

import hashlib
import importlib
import importlib.util
import os
import stat
import sys
import types
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

ROOT = "legion_extensions"
Print = tuple[tuple[str, int, int], ...]


class _Fresh(SourceFileLoader):
    """Compiles the source each time and writes nothing beside it."""

    def get_code(self, fullname: str) -> types.CodeType | None:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Finder(MetaPathFinder):
    """Finds what lies below an extension's folder, by the folder its parent package names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{ROOT}.") or path is None:
            return None
        name = fullname.rpartition(".")[2]
        for folder in path:
            for file, inner in ((Path(folder, f"{name}.py"), None), (Path(folder, name, "__init__.py"), 1)):
                if file.is_file():
                    return importlib.util.spec_from_file_location(
                        fullname,
                        file,
                        loader=_Fresh(fullname, str(file)),
                        submodule_search_locations=[str(file.parent)] if inner else None,
                    )
        return None


_FINDER = _Finder()


def fingerprint(folder: Path) -> Print:
    """The Python files of a folder with time and size: equal while nothing changed."""
    found: list[tuple[str, int, int]] = []
    for path in sorted(folder.rglob("*.py")):
        try:
            status = path.stat()
        except OSError:  # removed just now
            continue
        found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(found)


def digest(folder: Path) -> str:
    """What its Python files hold, as one SHA-256; links are followed, as importing does."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        try:
            content = path.read_bytes()
        except OSError:  # removed just now
            continue
        whole.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()


def strangers(folder: Path) -> str:
    """Why this code is not run: somebody else could have written it. Empty if only its user could.

    A link to a folder of one's own is fine; one to a place where others write is how they would get in.
    """
    if not hasattr(os, "getuid"):
        return ""
    for path in (folder, *sorted(folder.rglob("*"))):
        if path != folder and path.suffix != ".py" and not path.is_dir():
            continue
        try:
            status = path.stat()
        except OSError:
            continue
        if status.st_uid not in (os.getuid(), 0):
            return f"{path} belongs to somebody else, so it is not run."
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            return f"Everybody may write to {path}, so it is not run: `chmod o-w` mends it."
    return ""


def import_folder(name: str, folder: Path) -> dict[str, types.ModuleType]:
    """Import the runners of the extension in `folder` afresh, by name; raises whatever its code raises.

    Runners are the modules at the top of the folder and those in `runners/`, but for those that begin with `_` or
    `test`.
    """
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    if ROOT not in sys.modules:
        root = types.ModuleType(ROOT)
        root.__path__ = []
        sys.modules[ROOT] = root
    package_name = f"{ROOT}.{name}"
    for loaded in [each for each in sys.modules if f"{each}.".startswith(f"{package_name}.")]:
        del sys.modules[loaded]
    package = types.ModuleType(package_name)
    package.__path__ = [str(folder)]
    package.__file__ = str(folder / "__init__.py")
    sys.modules[package_name] = package
    if (folder / "__init__.py").is_file():
        loader = _Fresh(package_name, str(folder / "__init__.py"))
        package.__loader__ = loader
        loader.exec_module(package)
    found: dict[str, types.ModuleType] = {}
    for prefix, place in (("", folder), ("runners.", folder / "runners")):
        for path in sorted(place.glob("*.py")):
            if not path.stem.startswith(("_", "test")):
                found[path.stem] = importlib.import_module(f"{package_name}.{prefix}{path.stem}")
    return found
