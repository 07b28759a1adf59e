"""What the transcript costs: opening a very long chat, streaming into it, scrolling it.

Run: python -m benchmarks.transcript [--quick]. Times are CPU of the interface's thread (`time.thread_time`), so that
load from elsewhere does not enter; wall time stands beside them. Each line names its floor.
"""

import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from app.theme.apply import apply
from app.widgets.transcript.model import Badge, ChainStep, Message, TranscriptModel
from app.widgets.transcript.stack import Place
from app.widgets.transcript.view import TranscriptView

MESSAGES = 10_000
WORDS = (
    "The **router** walks the tiers in order and takes the first instance that can answer; `failover` continues a "
    "stream that broke, so the text has no hole. See [the page](https://example.org/routing) for the rules, or read "
    "the ledger, where every attempt stands with its cost and the reason it ended."
)
ANSWER = (
    f"{WORDS}\n\n## What happens then\n\n- the first token decides the header\n- a *second* one only follows\n"
    "- the ledger is settled at the end\n\n```python\ndef settle(ledger, attempt):\n    for line in attempt.lines:\n"
    "        ledger.add(line.tokens, line.price)  # exact\n    return ledger.total\n```\n\n"
    f"{WORDS}\n\n| tier | tokens | cost |\n|---|---:|---:|\n| local | 402 | 0.0000 |\n| cloud | 118 | 0.0041 |\n\n"
)


def chat(count: int = MESSAGES) -> list[Message]:
    """So many messages, every second an answer; about 570 letters each."""
    badge = Badge((ChainStep("local"),), "local", "smollm2-135m", 214, 1.9, 113.0, "free")
    found: list[Message] = []
    for number in range(count):
        if number % 2:
            text = ANSWER if number % 10 == 1 else f"{WORDS}\n\n{WORDS}\n\n- one\n- two\n"
            found.append(Message(id=f"m{number}", role="assistant", text=text, badge=badge))
        else:
            found.append(Message(id=f"m{number}", role="user", text=f"{WORDS} {WORDS} ({number})"))
    return found


def drain(app: QApplication) -> None:
    """Lets Qt do all it has to do now, paints included."""
    app.sendPostedEvents()
    app.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def line(name: str, samples_ms: list[float], floor_ms: float, at: float = 0.99) -> bool:
    """Prints one row and says whether it is within its floor."""
    ordered = sorted(samples_ms)

    def rank(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    good = rank(at) <= floor_ms
    print(
        f"{name:44} {len(ordered):5}  {rank(0.5):7.2f} {rank(0.95):7.2f} {rank(0.99):7.2f} {ordered[-1]:7.2f}"
        f"   {floor_ms:6.1f}  {'ok' if good else 'MISSED'}"
    )
    return good


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall ms of `work`."""
    cpu, wall = time.thread_time(), time.perf_counter()
    work()
    return (time.thread_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3


def opening(app: QApplication, rounds: int) -> tuple[TranscriptView, list[float], list[float]]:
    """Resets a shown view to the long chat and paints it."""
    view = TranscriptView()
    view.resize(976, 700)
    view.show()
    drain(app)
    cpus, walls = [], []
    for _ in range(rounds):
        messages = chat()
        view.model.clear()
        drain(app)

        def work(messages: list[Message] = messages) -> None:
            view.model.reset(messages)
            drain(app)

        cpu, wall = timed(work)
        cpus.append(cpu)
        walls.append(wall)
    return view, cpus, walls


def streaming(
    app: QApplication, model: TranscriptModel, name: str, per_frame: int, frames: int
) -> list[float]:
    """CPU per frame with so many tokens (about four letters) a frame; a frame is a tick and its paint."""
    letters = (ANSWER * 60)[: per_frame * 4 * frames]
    model.append_message(Message(id=name, role="assistant"))
    model.begin_stream(name)
    drain(app)
    samples: list[float] = []
    for frame in range(frames):
        start = frame * per_frame * 4
        for token in range(per_frame):
            model.append_text(name, letters[start + token * 4 : start + token * 4 + 4])
        # The frame timer is due in at most 66 ms; waiting is not counted, thread_time stands still in sleep.
        time.sleep(0.017)
        cpu, _ = timed(lambda: drain(app))
        samples.append(cpu)
    model.finish(name)
    drain(app)
    return samples


def scrolling(app: QApplication, view: TranscriptView, steps: int, step_px: int) -> list[float]:
    """CPU of single scroll steps with their paint."""

    def one() -> None:
        view.scroll_by(step_px)
        drain(app)

    return [timed(one)[0] for _ in range(steps)]


def jumping(app: QApplication, view: TranscriptView, jumps: int) -> list[float]:
    """CPU of jumps to messages never seen before."""
    samples: list[float] = []
    for number in range(jumps):
        target = f"m{(number * 7919 + 13) % MESSAGES}"

        def one(target: str = target) -> None:
            view.show_message(target)
            drain(app)

        samples.append(timed(one)[0])
    return samples


def drift(app: QApplication, view: TranscriptView, corrections: int) -> int:
    """The largest move in px of what is read while heights above and below are corrected."""
    view.show_message(f"m{MESSAGES // 2}")
    drain(app)
    stack = view._stack  # noqa: SLF001  (the measure is about the inside)
    here, into = stack.anchor
    before, worst = stack.y_of(here) if into else 0, 0
    for number in range(corrections):
        item = (number * 6151) % MESSAGES
        if abs(item - here.item) > 20:
            stack.height(Place(item, 0))
        stack.settle()
        worst = max(worst, abs(stack.y_of(here) - before), abs(stack.anchor[1] - into))
    return worst


def main() -> int:
    """Prints the table; exit 1 where a floor is missed."""
    quick = "--quick" in sys.argv
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    apply(app, "dark")
    print(
        f"{'CPU ms, interface thread':44} {'n':>5}  {'p50':>7} {'p95':>7} {'p99':>7} {'max':>7}   {'floor':>6}"
    )
    view, cpus, walls = opening(app, 3 if quick else 7)
    size = sum(len(message.text) for message in view.model.messages()) / 1e6
    good = line(f"open {MESSAGES:,} messages ({size:.1f} MB), median", cpus, 150, 0.5)
    good &= line("  wall", walls, 150, 0.5)
    frames = 150 if quick else 400
    good &= line("stream 200 tok/s, frame", streaming(app, view.model, "s200", 4, frames), 8)
    good &= line("stream 1,000 tok/s, frame", streaming(app, view.model, "s1000", 17, frames // 2), 12)
    good &= line("scroll up 60 px", scrolling(app, view, 150 if quick else 600, -60), 5)
    good &= line("jump to a message", jumping(app, view, 40 if quick else 150), 15)
    moved = drift(app, view, 1000)
    print(f"{'drift of what is read over 1,000 corrections':44} {moved} px   floor 0")
    return 0 if good and moved == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
