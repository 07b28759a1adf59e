"""What the command line asks of a node about chains: through its HTTP surface, or of one opened for the command."""

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from legion_core.surfaces.cli.http import Wire, part

if TYPE_CHECKING:
    from legion_core.api.chain_types import (
        ChainFault,
        ChainRow,
        ChainView,
        EdgeExplained,
        NodePayload,
        Renamed,
        RunRow,
        RunView,
    )
    from legion_core.api.chains import Chains

T = TypeVar("T")
_CHAINS, _RUNS = "/api/v1/chains", "/api/v1/runs"
WAIT_S = 30  # how long one request waits for a run's end before it asks again


class ChainDoor(Protocol):
    """See `legion_core.api.chains`; all calls block."""

    def apply(self, text: str) -> "ChainRow":
        """Keep a chain."""
        ...

    def check(self, text: str) -> "tuple[ChainFault, ...]":
        """What is wrong with one."""
        ...

    def list(self) -> "tuple[ChainRow, ...]":
        """By name."""
        ...

    def show(self, name: str, version: int) -> "ChainView":
        """One of them."""
        ...

    def rename(self, old: str, new: str) -> "Renamed":
        """Give it another name."""
        ...

    def delete(self, name: str) -> None:
        """Take it away."""
        ...

    def run(
        self, name: str, given: object, *, dry_run: bool, pins: Mapping[str, object], version: int
    ) -> str:
        """Begin a run."""
        ...

    def runs(self, name: str, limit: int) -> "tuple[RunRow, ...]":
        """Newest first."""
        ...

    def run_show(self, run: str) -> "RunView":
        """A run with its nodes."""
        ...

    def wait(self, run: str) -> "RunView":
        """The run at its end."""
        ...

    def cancel(self, run: str) -> "RunView":
        """End it."""
        ...

    def replay(self, run: str, node: str) -> str:
        """Do it anew from a node."""
        ...

    def payload(self, run: str, node: str) -> "NodePayload":
        """What went into a node and what came out."""
        ...

    def explain(self, run: str, edge: int) -> "EdgeExplained":
        """Why an edge led on or not."""
        ...


class LocalChains(ChainDoor):
    """See `ChainDoor`. `run` waits for a coroutine; `door` opens the node."""

    # ruff: noqa: D102  (every method is documented in the Protocol)

    def __init__(self, run: "Callable[[Coroutine[Any, Any, T]], T]", door: "Callable[[], Chains]") -> None:
        self._run: Callable[[Coroutine[Any, Any, Any]], Any] = run
        self._door = door

    def apply(self, text: str) -> "ChainRow":
        return self._run(self._door().apply(text))

    def check(self, text: str) -> "tuple[ChainFault, ...]":
        return self._run(self._door().validate(text))

    def list(self) -> "tuple[ChainRow, ...]":
        return self._run(self._door().list())

    def show(self, name: str, version: int) -> "ChainView":
        return self._run(self._door().show(name, version))

    def rename(self, old: str, new: str) -> "Renamed":
        return self._run(self._door().rename(old, new))

    def delete(self, name: str) -> None:
        self._run(self._door().delete(name))

    def run(
        self, name: str, given: object, *, dry_run: bool, pins: Mapping[str, object], version: int
    ) -> str:
        work = self._door().run(name, given, dry_run=dry_run, pins=pins, version=version)
        return self._run(work).id

    def runs(self, name: str, limit: int) -> "tuple[RunRow, ...]":
        return self._run(self._door().runs(name, limit=limit)).runs

    def run_show(self, run: str) -> "RunView":
        return self._run(self._door().get_run(run))

    def wait(self, run: str) -> "RunView":
        return self._run(self._door().wait(run))

    def cancel(self, run: str) -> "RunView":
        return self._run(self._door().cancel(run))

    def replay(self, run: str, node: str) -> str:
        return self._run(self._door().replay(run, node)).id

    def payload(self, run: str, node: str) -> "NodePayload":
        return self._run(self._door().payload(run, node))

    def explain(self, run: str, edge: int) -> "EdgeExplained":
        return self._run(self._door().explain(run, edge))


class RemoteChains(ChainDoor):
    """See `ChainDoor`: the running node."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def apply(self, text: str) -> "ChainRow":
        from legion_core.api.chain_types import ChainRow

        return self._wire.ask("POST", _CHAINS, ChainRow, body={"text": text})

    def check(self, text: str) -> "tuple[ChainFault, ...]":
        from legion_core.api.chain_types import ChainFault

        path = f"{_CHAINS}/check"
        return self._wire.ask("POST", path, dict[str, tuple[ChainFault, ...]], body={"text": text})["faults"]

    def list(self) -> "tuple[ChainRow, ...]":
        from legion_core.api.chain_types import ChainRow

        return self._wire.get(_CHAINS, tuple[ChainRow, ...])

    def show(self, name: str, version: int) -> "ChainView":
        from legion_core.api.chain_types import ChainView

        return self._wire.get(f"{_CHAINS}/{part(name)}", ChainView, version=version)

    def rename(self, old: str, new: str) -> "Renamed":
        from legion_core.api.chain_types import Renamed

        return self._wire.ask("POST", f"{_CHAINS}/{part(old)}/rename", Renamed, body={"to": new})

    def delete(self, name: str) -> None:
        self._wire.ask("DELETE", f"{_CHAINS}/{part(name)}", dict[str, str])

    def run(
        self, name: str, given: object, *, dry_run: bool, pins: Mapping[str, object], version: int
    ) -> str:
        body = {"input": given, "dry_run": dry_run, "pins": dict(pins), "version": version}
        return self._wire.ask("POST", f"{_CHAINS}/{part(name)}/run", dict[str, str], body=body)["run"]

    def runs(self, name: str, limit: int) -> "tuple[RunRow, ...]":
        from legion_core.api.chain_types import RunRow

        return self._wire.get(f"{_CHAINS}/{part(name)}/runs", tuple[RunRow, ...], limit=limit)

    def run_show(self, run: str) -> "RunView":
        from legion_core.api.chain_types import RunView

        return self._wire.get(f"{_RUNS}/{part(run)}", RunView)

    def wait(self, run: str) -> "RunView":
        from legion_core.api.chain_types import RunView

        while True:
            view = self._wire.get(f"{_RUNS}/{part(run)}", RunView, wait_s=WAIT_S)
            if view.status != "running":
                return view

    def cancel(self, run: str) -> "RunView":
        from legion_core.api.chain_types import RunView

        return self._wire.ask("POST", f"{_RUNS}/{part(run)}/cancel", RunView)

    def replay(self, run: str, node: str) -> str:
        path = f"{_RUNS}/{part(run)}/replay"
        return self._wire.ask("POST", path, dict[str, str], body={"from": node})["run"]

    def payload(self, run: str, node: str) -> "NodePayload":
        from legion_core.api.chain_types import NodePayload

        return self._wire.get(f"{_RUNS}/{part(run)}/nodes/{part(node)}", NodePayload)

    def explain(self, run: str, edge: int) -> "EdgeExplained":
        from legion_core.api.chain_types import EdgeExplained

        return self._wire.get(f"{_RUNS}/{part(run)}/edges/{edge}", EdgeExplained)
