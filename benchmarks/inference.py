"""What the worker costs: our child process and its frames against the bare engine in a process of its own.

    python -m benchmarks.inference [--pairs 30] [--tokens 64] [--json] [--only first-token-overhead|throughput-loss]
                                   [--node] [--url http://127.0.0.1:4567/v1 --token T --model M --pid NODE --pid CHILD]

Pairs are interleaved, the order within a pair alternates, both models are warm, both decode on one thread, prompt and
sampling are the same. A round begins when the machine is quiet, and one during which others used more than a quarter of
a processor counts only if there are not enough quiet ones within `--patience` seconds; the report says so. With `--node`
a whole node, asked over HTTP as any client asks it, is measured in the same rounds, and with `--url` any OpenAI-style
door; the figures are then those of the last one.

Floors: first token at most 15 ms later at the 95th percentile; throughput at most 2 % lower at the median.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.supervise import Supervisor
from legion_core.testing.engines import starter_model
from legion_core.workers.frames import Chat, Load, Message, Params, Token
from legion_core.workers.supervisor import ChatRequest, Worker

FIRST_TOKEN_FLOOR_MS = 15.0
LOSS_FLOOR = 0.02
FOREIGN_CORES_MAX = 0.25
QUIET_LOOK_S = 0.3
PROMPT = "Tell me a long story about a lighthouse keeper and the sea."
CONTEXT_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer: seconds to the first token, seconds from the first to the last, how many tokens came."""

    first_s: float
    decode_s: float
    tokens: int

    @property
    def tokens_per_s(self) -> float:
        """Decoding speed: the first token belongs to the prompt."""
        return (self.tokens - 1) / self.decode_s if self.decode_s > 0 else 0.0


class Target(Protocol):
    """Something that answers."""

    name: str

    async def open(self) -> None:
        """Load the model."""
        ...

    async def ask(self, tokens: int) -> Sample:
        """One answer of exactly so many tokens."""
        ...

    def pids(self) -> list[int]:
        """Processes whose work is ours, not foreign."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


def chat_request(tokens: int) -> ChatRequest:
    """The one question of this benchmark."""
    return ChatRequest(
        messages=(Message(role="user", content=PROMPT),),
        params=Params(output_tokens_max=tokens, temperature=0.0, seed=1),
    )


class WorkerTarget:
    """Through the worker: another process, frames over a pipe, an asyncio reader."""

    name = "worker"

    def __init__(self, model: Path) -> None:
        self._supervisor = Supervisor()
        load = Load(model_path=str(model), context_tokens=CONTEXT_TOKENS, threads=1)
        self._worker = Worker(self._supervisor, SystemClock(), load)

    async def open(self) -> None:
        """See `Target`."""
        await self._worker.start()

    async def ask(self, tokens: int) -> Sample:
        """See `Target`."""
        return await timed(self._pieces(tokens))

    async def _pieces(self, tokens: int) -> Any:
        async with aclosing(self._worker.chat(chat_request(tokens))) as answer:
            async for frame in answer:
                if isinstance(frame, Token):
                    yield frame.count

    def pids(self) -> list[int]:
        """See `Target`."""
        pid = self._worker.health.pid
        return [] if pid is None else [pid]

    async def close(self) -> None:
        """See `Target`."""
        await self._worker.stop()
        await self._supervisor.stop()


class BareTarget:
    """The engine called directly by a script that does nothing else; it keeps its own time."""

    name = "bare"

    def __init__(self, model: Path) -> None:
        self._model = model
        self._process: Process | None = None

    async def open(self) -> None:
        """See `Target`."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.inference",
            "--bare",
            str(self._model),
            stdin=PIPE,
            stdout=PIPE,
            stderr=-3,
        )
        await self._line()

    async def _line(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        return json.loads(await self._process.stdout.readline())

    async def ask(self, tokens: int) -> Sample:
        """See `Target`."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{tokens}\n".encode())
        return Sample(**await self._line())

    def pids(self) -> list[int]:
        """See `Target`."""
        return [] if self._process is None else [self._process.pid]

    async def close(self) -> None:
        """See `Target`."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()


class HttpTarget:
    """Through an OpenAI-style door: the whole way a client's request goes."""

    name = "http"

    def __init__(self, url: str, token: str, model: str, pids: list[int]) -> None:
        self._url = url
        self._token = token
        self._model = model
        self._pids = pids
        self._client: Any = None

    async def open(self) -> None:
        """See `Target`."""
        import httpx

        headers = {"Authorization": f"Bearer {self._token}"}
        self._client = httpx.AsyncClient(base_url=self._url, headers=headers, timeout=120)
        await self.ask(2)

    async def ask(self, tokens: int) -> Sample:
        """See `Target`."""
        return await timed(self._pieces(tokens))

    async def _pieces(self, tokens: int) -> Any:
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": tokens,
            "temperature": 0,
            "seed": 1,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        seen = 0
        async with self._client.stream("POST", "/chat/completions", json=body) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                event = json.loads(line[6:])
                for choice in event.get("choices", ()):
                    if choice.get("delta", {}).get("content"):
                        seen += 1
                        yield 1
                if event.get("usage"):  # one piece may have held several tokens
                    yield event["usage"]["completion_tokens"] - seen

    def pids(self) -> list[int]:
        """See `Target`."""
        return self._pids

    async def close(self) -> None:
        """See `Target`."""
        await self._client.aclose()


class NodeTarget(HttpTarget):
    """A node of its own in an empty home, decoding on one thread as the others do."""

    name = "node"

    def __init__(self) -> None:
        super().__init__("", "", "auto", [])
        self._home = tempfile.TemporaryDirectory()
        self._node: Process | None = None

    async def open(self) -> None:
        """See `Target`."""
        home = Path(self._home.name) / "home"
        home.mkdir(mode=0o700)
        settings = f"[models]\nthreads = 1\ncontext = {CONTEXT_TOKENS}\n"
        (home / "config.toml").write_text(settings, encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LEGION_")}
        self._node = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "legion_core", "start", "--port", "0",
            env={**kept, "LEGION_HOME": str(home)}, stdout=PIPE, stderr=-3,
        )  # fmt: skip
        assert self._node.stdout is not None
        await self._node.stdout.readline()  # it says where it is
        port = json.loads((home / "run" / "node.json").read_text(encoding="utf-8"))["port"]
        self._url = f"http://127.0.0.1:{port}/v1"
        self._token = (home / "token").read_text(encoding="utf-8").strip()
        await super().open()
        children = Path(f"/proc/{self._node.pid}/task/{self._node.pid}/children").read_text(encoding="ascii")
        self._pids = [self._node.pid, *map(int, children.split())]

    async def close(self) -> None:
        """See `Target`."""
        if self._client is not None:
            await super().close()
        if self._node is not None:
            self._node.terminate()
            await self._node.wait()
        self._home.cleanup()


async def timed(pieces: Any) -> Sample:
    """Time a stream of token counts from before its first request to its last piece."""
    begun = time.perf_counter()
    first = last = 0.0
    tokens = 0
    async with aclosing(pieces) as stream:
        async for count in stream:
            last = time.perf_counter()
            first = first or last
            tokens += count
    return Sample(first_s=first - begun, decode_s=last - first, tokens=tokens)


def bare(model: str) -> None:
    """The body of the bare process: load, then answer each line with a timing."""
    from legion_core.workers.engines.xllamacpp import XllamacppEngine, _request

    out = os.dup(1)
    os.dup2(2, 1)
    engine = XllamacppEngine()
    engine.load(Load(model_path=model, context_tokens=CONTEXT_TOKENS, threads=1))

    def say(value: dict[str, Any]) -> None:
        os.write(out, json.dumps(value).encode() + b"\n")

    say({"ready": True})
    for line in sys.stdin:
        question = chat_request(int(line))
        times: list[float] = []

        def take(chunk: dict[str, Any], note: Callable[[float], None] = times.append) -> bool:
            for choice in chunk.get("choices", ()):
                if choice["delta"].get("content"):
                    note(time.perf_counter())
            return False

        body = _request(Chat(id=1, messages=question.messages, params=question.params), None)
        begun = time.perf_counter()
        engine._server.handle_chat_completions(body, take)  # noqa: SLF001 - the bare engine is what is measured
        say({"first_s": times[0] - begun, "decode_s": times[-1] - times[0], "tokens": len(times)})
    os._exit(0)


@dataclass(slots=True)
class Machine:
    """Processor time: the whole machine's against ours."""

    pids: list[int]
    ticks: int = field(default_factory=lambda: os.sysconf("SC_CLK_TCK"))

    def busy_s(self) -> float:
        """Seconds all processors have worked, since the start of the machine."""
        fields = [
            int(n)
            for n in Path("/proc/stat")
            .read_text(encoding="ascii", errors="replace")
            .splitlines()[0]
            .split()[1:9]
        ]
        idle = fields[3] + fields[4]
        return (sum(fields) - idle) / self.ticks

    def ours_s(self) -> float:
        """Seconds this process and the targets have worked."""
        return sum(self._process_s(pid) for pid in (os.getpid(), *self.pids))

    def _process_s(self, pid: int) -> float:
        try:
            fields = (
                Path(f"/proc/{pid}/stat")
                .read_text(encoding="ascii", errors="replace")
                .rpartition(")")[2]
                .split()
            )
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / self.ticks


@dataclass(frozen=True, slots=True)
class Round:
    """One answer of each target, the processor seconds of each, and what others used meanwhile, in processors."""

    samples: dict[str, Sample]
    cpu_s: dict[str, float]
    foreign: float

    @property
    def is_quiet(self) -> bool:
        """Whether others hardly worked."""
        return self.foreign <= FOREIGN_CORES_MAX


async def quiet(machine: Machine, until_s: float) -> None:
    """Wait for a moment in which others hardly work, at most until that reading of the clock."""
    while time.perf_counter() < until_s:
        busy, ours = machine.busy_s(), machine.ours_s()
        await asyncio.sleep(QUIET_LOOK_S)
        if (machine.busy_s() - busy - machine.ours_s() + ours) / QUIET_LOOK_S <= FOREIGN_CORES_MAX:
            return


async def one_round(order: list[Target], machine: Machine, tokens: int) -> Round:
    """Ask each target once."""
    samples: dict[str, Sample] = {}
    cpu: dict[str, float] = {}
    begun, busy, ours = time.perf_counter(), machine.busy_s(), machine.ours_s()
    for target in order:
        before = machine.ours_s()
        samples[target.name] = await target.ask(tokens)
        cpu[target.name] = machine.ours_s() - before
    foreign = (machine.busy_s() - busy) - (machine.ours_s() - ours)
    return Round(samples, cpu, foreign / (time.perf_counter() - begun))


async def measure(targets: list[Target], pairs: int, tokens: int, patience_s: float) -> list[Round]:
    """Interleave the targets until enough quiet rounds are in or patience ends; then the quiet ones, or else all."""
    machine = Machine([pid for target in targets for pid in target.pids()])
    for target in targets:
        await target.ask(tokens)  # warm: code paths, prompt cache
    rounds: list[Round] = []
    until_s = time.perf_counter() + patience_s
    while sum(round_.is_quiet for round_ in rounds) < pairs:
        is_late = time.perf_counter() > until_s
        if is_late and len(rounds) >= pairs:
            break
        await quiet(machine, until_s)
        rounds.append(await one_round(targets if len(rounds) % 2 else targets[::-1], machine, tokens))
    return rounds


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def report(rounds: list[Round], names: list[str], pairs: int, out: TextIO) -> dict[str, Any]:
    """Print the comparison with `bare`; the figures of the last target."""
    silent = [round_ for round_ in rounds if round_.is_quiet]
    kept = silent if len(silent) >= pairs else rounds
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"rounds {len(rounds)}, quiet {len(silent)}, wanted {pairs}; figures from {len(kept)}", file=out)
    print(f"load average {load}, processors {os.cpu_count()}", file=out)
    if kept is not silent:
        print("NOT QUIET: others worked meanwhile; these figures are of a busy machine", file=out)
    for name in ["bare", *names]:
        firsts = [r.samples[name].first_s * 1000 for r in kept]
        speeds = [r.samples[name].tokens_per_s for r in kept]
        cpu = statistics.median(r.cpu_s[name] for r in kept)
        print(
            f"{name:7} first token ms p50 {statistics.median(firsts):6.1f} p95 {percentile(firsts, 0.95):6.1f}"
            f"   tokens/s min {min(speeds):6.1f} median {statistics.median(speeds):6.1f} max {max(speeds):6.1f}"
            f"   cpu s/answer {cpu:.3f}",
            file=out,
        )
    figures: dict[str, Any] = {"rounds": len(kept), "quiet": kept is silent, "load": load}
    for name in names:
        added = [(r.samples[name].first_s - r.samples["bare"].first_s) * 1000 for r in kept]
        losses = [1 - r.samples[name].tokens_per_s / r.samples["bare"].tokens_per_s for r in kept]
        p95, loss = percentile(added, 0.95), statistics.median(losses)
        print(
            f"{name} over bare: first token added ms p50 {statistics.median(added):.2f} p95 {p95:.2f}"
            f" (floor {FIRST_TOKEN_FLOOR_MS:g}); throughput loss median {loss:.2%} (floor {LOSS_FLOOR:.0%}),"
            f" middle half {percentile(losses, 0.25):.2%} … {percentile(losses, 0.75):.2%}",
            file=out,
        )
        figures |= {"target": name, "overhead_p95_ms": round(p95, 3), "loss_percent": round(loss * 100, 3)}
    return figures


async def main(arguments: argparse.Namespace) -> int:
    """Run the comparison; 0 if the floors hold, 1 if not, 2 if there is nothing to run it with."""
    model = Path(arguments.gguf) if arguments.gguf else starter_model()
    if model is None:
        print("the starter model is not installed; give --gguf", file=sys.stderr)
        return 2
    targets: list[Target] = [BareTarget(model), WorkerTarget(model)]
    if arguments.node:
        targets.append(NodeTarget())
    if arguments.url:
        targets.append(HttpTarget(arguments.url, arguments.token, arguments.model, arguments.pid))
    try:
        for target in targets:
            await target.open()
        rounds = await measure(targets, arguments.pairs, arguments.tokens, arguments.patience)
    finally:
        for target in targets:
            await target.close()
    out = sys.stderr if arguments.json else sys.stdout
    figures = report(rounds, [target.name for target in targets[1:]], arguments.pairs, out)
    if arguments.json:
        print(json.dumps(figures))
    is_early = figures["overhead_p95_ms"] <= FIRST_TOKEN_FLOOR_MS
    is_fast = figures["loss_percent"] <= LOSS_FLOOR * 100
    holds = {"first-token-overhead": is_early, "throughput-loss": is_fast}.get(
        arguments.only, is_early and is_fast
    )
    return 0 if holds else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for quiet rounds")
    parser.add_argument("--json", action="store_true", help="the figures as one JSON object on the last line")
    parser.add_argument("--only", default="", choices=["", "first-token-overhead", "throughput-loss"])
    parser.add_argument("--gguf", default="", help="a model file; the starter model if left out")
    parser.add_argument("--node", action="store_true", help="measure a whole node over HTTP too")
    parser.add_argument("--url", default="", help="an OpenAI-style base URL to measure too")
    parser.add_argument("--token", default="")
    parser.add_argument("--model", default="auto")
    parser.add_argument(
        "--pid", type=int, action="append", default=[], help="a process behind --url: not foreign load"
    )
    parser.add_argument("--bare", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        bare(given.bare)
    raise SystemExit(asyncio.run(main(given)))
