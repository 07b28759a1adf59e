"""What can be wrong on a machine, looked at one by one, each with what to do."""

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from legion_core.api.models import Models
from legion_core.api.rbac import RbacDoor
from legion_core.api.secrets import SecretNames
from legion_core.api.settings import Settings
from legion_core.api.types import Check
from legion_core.storage.sqlite import Database

FREE_BYTES_LOW = 2_000_000_000
FREE_BYTES_TOO_LITTLE = 200_000_000


class Doctor:
    """Runs every check; none of them changes anything."""

    def __init__(
        self,
        home: Path,
        database: Database,
        settings: Settings,
        secrets: SecretNames,
        models: Models,
        http_problem: Callable[[], str],
        rbac: RbacDoor | None = None,
    ) -> None:
        self._home = home
        self._database = database
        self._settings = settings
        self._secrets = secrets
        self._models = models
        self._http_problem = http_problem
        self._rbac = rbac

    async def examine(self) -> tuple[Check, ...]:
        """All findings, in the order a person would look."""
        return (
            _python(),
            await asyncio.to_thread(self._disk),
            await self._journal(),
            self._configuration(),
            await self._secret_store(),
            *(await self._access()),
            _engine(),
            await self._model_files(),
            self._http(),
            _display(),
        )

    def _disk(self) -> Check:
        free = shutil.disk_usage(self._home).free
        found = f"{self._home}, {free / 1e9:.1f} GB free"
        if free < FREE_BYTES_TOO_LITTLE:
            return Check(
                name="disk", state="failed", found=found, todo="Free some space; nothing can be kept."
            )
        if free < FREE_BYTES_LOW:
            return Check(
                name="disk", state="warning", found=found, todo="Free some space before adding a model."
            )
        return Check(name="disk", state="ok", found=found)

    async def _journal(self) -> Check:
        wrong = await self._database.check()
        if wrong:
            return Check(
                name="journal",
                state="failed",
                found="; ".join(wrong[:3]),
                todo="Restore a backup of the data directory.",
            )
        notes = "; ".join(self._database.notes)
        return Check(name="journal", state="warning" if notes else "ok", found=notes or "No fault found")

    async def _access(self) -> tuple[Check, ...]:
        if self._rbac is None:
            return ()
        policy = await self._rbac.policy()
        if policy.faults:
            kept = "the one before it is in force" if policy.is_in_force else "so tokens may do nothing"
            found = f"{policy.path} is not in force, {kept}: {'; '.join(policy.faults[:3])}"
            todo = "Mend it, or take it away: `legion rbac policy remove`."
            return (Check(name="access", state="warning", found=found, todo=todo),)
        found = (
            f"The policy {policy.path}"
            if policy.is_in_force
            else "No policy: tokens may do what their scopes say"
        )
        return (Check(name="access", state="ok", found=found),)

    def _configuration(self) -> Check:
        faults = self._settings.faults()
        if faults:
            return Check(
                name="configuration",
                state="failed",
                found="; ".join(faults),
                todo=f"Mend {self._settings.path}; until then the last good configuration is in force.",
            )
        is_there = self._settings.path.exists()
        return Check(
            name="configuration", state="ok", found=str(self._settings.path) if is_there else "Defaults"
        )

    async def _secret_store(self) -> Check:
        match await self._secrets.backend():
            case "keyring":
                return Check(name="secrets", state="ok", found="The system's keyring")
            case "file":
                return Check(name="secrets", state="ok", found="An encrypted file, unlocked")
            case "locked":
                return Check(
                    name="secrets",
                    state="warning",
                    found="An encrypted file, locked",
                    todo="Set LEGION_PASSPHRASE or unlock it in Settings.",
                )
            case _:
                return Check(
                    name="secrets",
                    state="warning",
                    found="No keyring answers here",
                    todo="Set LEGION_PASSPHRASE for an encrypted file, or write env://NAME in the configuration.",
                )

    async def _model_files(self) -> Check:
        rows = await self._models.list()
        usable = [row.name for row in rows if not row.problem]
        broken = [f"{row.name}: {row.problem}" for row in rows if row.problem]
        if not usable:
            return Check(
                name="models",
                state="failed",
                found="; ".join(broken) or "No model file",
                todo="Run `make run` once to fetch the starter model, or `legion model import FILE`.",
            )
        found = ", ".join(usable)
        if broken:
            return Check(name="models", state="warning", found=f"{found}; not usable: {'; '.join(broken)}")
        return Check(name="models", state="ok", found=found)

    def _http(self) -> Check:
        problem = self._http_problem()
        if problem:
            return Check(
                name="http",
                state="failed",
                found=problem,
                todo="Choose another port in Settings or LEGION_PORT.",
            )
        return Check(name="http", state="ok", found="Port free or in use by this node")


def _python() -> Check:
    import apsw

    found = f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, {platform.platform(terse=True)}"
    return Check(name="system", state="ok", found=found)


def _engine() -> Check:
    names = [name for name in ("xllamacpp", "llama_cpp") if find_spec(name) is not None]
    if not names:
        return Check(
            name="engine",
            state="failed",
            found="No native engine",
            todo="Run `make run` once more: it installs xllamacpp.",
        )
    return Check(name="engine", state="ok", found=", ".join(names))


def _display() -> Check:
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return Check(
            name="display",
            state="warning",
            found="No display",
            todo="`legion start` serves without a window.",
        )
    return Check(name="display", state="ok", found="There is a display")
