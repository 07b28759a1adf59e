"""Extensions: which there are, what their functions take, and the beginning of a new one."""

import asyncio
from pathlib import Path

from legion_core.api.actors import Actors
from legion_core.api.extension_types import Created, ExtensionRow, FunctionRow
from legion_core.api.settings import Record, unrecorded
from legion_core.engine.registry import NAME, Extension, Function, Registry
from legion_core.kernel.errors import Conflict, InvalidInput
from legion_core.storage.failures import from_os


class Extensions:
    """What can be run here."""

    def __init__(
        self, registry: Registry, folder: Path, actors: Actors, record: Record | None = None
    ) -> None:
        """`record` writes down what is about to be laid down, or refuses it."""
        self._registry = registry
        self._record = record or unrecorded
        self._actors = actors
        self._folder = folder

    async def list(self) -> tuple[ExtensionRow, ...]:
        """All of them, by name, as they are now; one that cannot be imported says why."""
        return tuple(self._row(each) for each in await self._registry.extensions())

    async def get(self, name: str) -> ExtensionRow:
        """One of them; NotFound names those there are."""
        return self._row(await self._registry.extension(name))

    async def function(self, name: str) -> FunctionRow:
        """One function by its dotted name; NotFound names what comes near."""
        return _function(await self._registry.find(name))

    async def create(self, name: str) -> Created:
        """Lay down a new extension that runs and whose test passes. Conflict if the name is taken."""
        if not NAME.match(name):
            raise InvalidInput(
                f"{name[:80]!r} is not a name for an extension.",
                hint="Lower-case letters, digits and underscores, beginning with a letter.",
            )
        if name in {each.name for each in await self._registry.extensions()}:
            raise Conflict(f"There is an extension {name} already.", hint="Choose another name.")
        folder = self._folder / name
        await self._record("extension.created", name, str(folder))
        await asyncio.to_thread(_lay_down, folder, name)
        made = await self._registry.extension(name)
        return Created(path=str(folder), functions=tuple(made.functions))

    def _row(self, extension: Extension) -> ExtensionRow:
        functions = [each for _, each in sorted(extension.functions.items())]
        actors = [self._actors.row(each) for each in functions]
        return ExtensionRow(
            name=extension.name,
            origin=extension.origin,
            path=extension.path,
            version=extension.version,
            description=extension.description,
            problem=extension.problem,
            functions=tuple(_function(each) for each in functions),
            actors=tuple(each for each in actors if each is not None),
        )


def _lay_down(folder: Path, name: str) -> None:
    try:
        (folder / "tests").mkdir(parents=True, mode=0o700)
        for path, text in _SCAFFOLD.items():
            (folder / path).write_text(text.replace("NAME", name), encoding="utf-8")
    except FileExistsError as error:
        raise Conflict(f"{folder} is there already.", hint="Choose another name.") from error
    except OSError as error:
        raise from_os(error, folder) from error


_SCAFFOLD = {
    "__init__.py": '"""What NAME does, in a sentence."""\n',
    "runner.py": '''"""NAME: each public function here is a task, NAME.runner.FUNCTION. A change is in force at the next call."""

from legion_core.engine.extension import Context
from legion_core.engine.extension import function as task


@task(effect="pure", timeout_s=30)
def function(context: Context, name: str = "world", times: int = 1) -> dict[str, object]:
    """Greet somebody.

    Args:
        name: whom
        times: how often
    """
    context.log(f"greeting {name}")
    return {"greetings": [f"Hello, {name}."] * times}
''',
    "tests/test_runner.py": '''"""Run with: pytest PATH-TO-THIS-FOLDER"""

import importlib.util
from pathlib import Path

PATH = Path(__file__).parent.parent / "runner.py"


class Log:
    """As much of a Context as the function uses."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, text: str, level: str = "info") -> None:
        self.lines.append(text)


def load():
    spec = importlib.util.spec_from_file_location("NAME_runner", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_greets_as_often_as_asked() -> None:
    log = Log()
    assert load().function(log, name="Ada", times=2) == {"greetings": ["Hello, Ada.", "Hello, Ada."]}
    assert log.lines == ["greeting Ada"]
''',
    "README.md": """# NAME

    legion extension info NAME
    legion task run NAME.runner.function name:Ada times:2
    pytest tests
""",
}


def _function(function: Function) -> FunctionRow:
    return FunctionRow(
        name=function.name,
        description=function.signature.description,
        arguments=function.signature.schema,
        effect=function.traits.effect,
        timeout_s=function.traits.timeout_s,
        retries=function.traits.retry.max,
        runs_in=function.pool,
        risk=function.traits.risk,
    )
