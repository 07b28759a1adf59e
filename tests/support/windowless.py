"""Lets the suite run where Qt's libraries are missing: window tests are left out, counted, and end the run with 3.

Loaded by `addopts` before any other plugin, because pytest-qt refuses to start without Qt. Where Qt loads, this
plugin does nothing.
"""

import ast
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXIT_WINDOWS_LEFT_OUT = 3
QT_FIXTURES = frozenset({"qtbot", "qapp", "qtlog", "qtmodeltester", "qapp_args", "qapp_cls"})
QT_ROOTS = frozenset({"PySide6", "shiboken6", "qasync", "pytestqt"})


def why_qt_does_not_load() -> str:
    """The loader's own sentence, or nothing where Qt loads."""
    try:
        import PySide6.QtWidgets  # noqa: F401
    except ImportError as error:
        return str(error)
    return ""


def needs_qt(source: str) -> bool:
    """Whether a test file cannot be imported without Qt: it names Qt, or a part of the app that does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            root, _, rest = name.partition(".")
            if root in QT_ROOTS or (root == "app" and rest != "__main__"):
                return True
    return False


def count_tests(source: str) -> int:
    """How many test functions a file holds; a parametrised one counts once, since it cannot be imported here."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return sum(
        isinstance(node, functions) and node.name.startswith("test_") for node in ast.walk(ast.parse(source))
    )


class Windowless:
    """Takes pytest-qt's place: keeps its options known and leaves out what needs a window."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self._unread: dict[Path, int] = {}
        self._deselected = 0

    @property
    def left_out(self) -> int:
        """How many tests did not run."""
        return sum(self._unread.values()) + self._deselected

    def pytest_configure(self, config: pytest.Config) -> None:
        """Stay in one process, which counts what it left out; xdist looks at this after us."""
        if hasattr(config.option, "tx"):
            config.option.dist, config.option.tx = "no", []

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        for name in ("qt_api", "qt_log_level_fail", "qt_log_ignore", "qt_default_raising"):
            parser.addini(name, "unused without Qt", type="linelist" if name == "qt_log_ignore" else "string")

    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        # pytest also asks about the neighbours of every folder on the way down to what it was told to run.
        asked = [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
        if not any(collection_path.is_relative_to(path) for path in asked):
            return None
        if collection_path.is_dir():
            # A folder whose conftest needs Qt is left out whole, since pytest would import that first.
            deciding, files = collection_path / "conftest.py", sorted(collection_path.rglob("test_*.py"))
        else:
            deciding, files = collection_path, [collection_path]
        if (
            deciding.suffix != ".py"
            or not deciding.exists()
            or not needs_qt(deciding.read_text(encoding="utf-8"))
        ):
            return None
        # Keyed by path: pytest asks about a folder and then again about what is in it.
        self._unread.update({file: count_tests(file.read_text(encoding="utf-8")) for file in files})
        return True

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        self._deselected += leave_out(
            config, items, lambda item: bool(QT_FIXTURES & set(getattr(item, "fixturenames", ())))
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("window tests")
        terminalreporter.line(f"{self.left_out} window tests did not run: {self.reason}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        end_with_left_out(session, self.left_out)


class NoXServer:
    """Leaves out the tests that need an X server where none can be started."""

    def __init__(self) -> None:
        self.left_out = 0

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        self.left_out += leave_out(config, items, lambda item: item.get_closest_marker("xvfb") is not None)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.left_out:
            terminalreporter.line(f"{self.left_out} window tests did not run: Xvfb is not installed")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        end_with_left_out(session, self.left_out)


def leave_out(
    config: pytest.Config, items: list[pytest.Item], is_left_out: Callable[[pytest.Item], bool]
) -> int:
    """Deselect what matches and return how many that were."""
    dropped = [item for item in items if is_left_out(item)]
    if dropped:
        items[:] = [item for item in items if item not in dropped]
        config.hook.pytest_deselected(items=dropped)
    return len(dropped)


def end_with_left_out(session: pytest.Session, left_out: int) -> None:
    """Turn a green run that is not whole into exit status 3."""
    if left_out and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = EXIT_WINDOWS_LEFT_OUT


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    """Step in before pytest-qt is loaded, which is when this very module is registered."""
    if plugin is not sys.modules[__name__]:
        return
    if reason := why_qt_does_not_load():
        manager.set_blocked("pytest-qt")
        manager.register(Windowless(reason), "windowless-guard")
    if shutil.which("Xvfb") is None:
        manager.register(NoXServer(), "no-x-server")
