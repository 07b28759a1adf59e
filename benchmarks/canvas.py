"""What the canvas of the Chains page costs: opening a chain of 1,000 nodes, panning, zooming and dragging in it.

Run: python -m benchmarks.canvas [--quick]. Times are CPU of the interface's thread (`time.thread_time`), so that load
from elsewhere does not enter; wall time stands beside them. Each line names what it should stay below. Every pan is painted: what is
timed is the step and the paint that follows from it.
"""

import os
import random
import sys

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from app.theme.apply import apply
from app.viewmodels.chain_draft import Draft, EdgeDraft, NodeDraft
from app.viewmodels.chain_layout import arranged
from app.views.chains.looks import Looks
from app.views.parts import icon_button
from app.widgets.canvas.minimap import Minimap
from app.widgets.canvas.over import OverBar
from app.widgets.canvas.view import GraphView
from benchmarks.transcript import drain, line, timed

NODES = 1_000
TASKS = ("http.request.get", "llm.chat.ask", "log.message.write", "file.text.write", "notify.desktop.send")


def chain(count: int = NODES, seed: int = 3) -> Draft:
    """A chain of so many nodes, each after one or two of the forty before it; some edges have conditions."""
    chance = random.Random(seed)
    nodes = tuple(
        NodeDraft(f"step-{at}", {"task": TASKS[at % len(TASKS)], "args": {"url": "{{ input.url }}"}})
        for at in range(count)
    )
    edges: list[EdgeDraft] = []
    for at in range(1, count):
        for before in {chance.randrange(max(0, at - 40), at) for _ in range(chance.choice((1, 1, 2)))}:
            fields: dict[str, object] = {}
            if chance.random() < 0.3:
                fields["when"] = {"all": [{"fact": "result.status", "operator": "equal", "value": 200}]}
            if chance.random() < 0.1:
                fields["on"] = "failure"
            edges.append(EdgeDraft(f"step-{before}", f"step-{at}", fields))
    return Draft({"name": "thousand"}, nodes, tuple(edges))


def canvas(app: QApplication) -> GraphView:
    """A canvas as large as the page gives it, with its map and bars."""
    view = GraphView("bench.canvas")
    view.resize(1024, 720)
    view.lay_over(Minimap(view), Qt.Corner.BottomRightCorner)
    for corner in (Qt.Corner.BottomLeftCorner, Qt.Corner.TopLeftCorner):
        bar = OverBar("bench.bar")
        for name in ("minus", "plus", "maximize"):
            bar.row.addWidget(icon_button(name, f"bench.{name}", name, small=True))
        bar.adjustSize()
        view.lay_over(bar, corner)
    view.show()
    drain(app)
    return view


def opening(app: QApplication, rounds: int) -> tuple[list[float], list[float]]:
    """From a draft without places to a painted canvas: layout, looks, items, fit, paint."""
    cpus: list[float] = []
    walls: list[float] = []
    for number in range(rounds):
        view = canvas(app)
        draft = chain(seed=number)

        def work(view: GraphView = view, draft: Draft = draft) -> None:
            placed = draft.moved(arranged(draft))
            view.show_graph(*Looks().of(placed))
            view.fit()
            drain(app)
            view.set_zoom(1.0)
            drain(app)

        cpu, wall = timed(work)
        cpus.append(cpu)
        walls.append(wall)
        view.close()
        view.deleteLater()
        drain(app)
    return cpus, walls


def panning(app: QApplication, view: GraphView, zoom: float, steps: int) -> list[float]:
    """Single pans of 24 px to and fro in both directions, each painted."""
    view.set_zoom(zoom, least=0.02)
    view.centre_on(view.graph.bounds.center())
    drain(app)
    samples: list[float] = []
    for step in range(steps):
        dx = 24 if step // 40 % 2 == 0 else -24
        dy = 9 if step // 25 % 2 == 0 else -9

        def one(dx: int = dx, dy: int = dy) -> None:
            view.pan(dx, dy)
            drain(app)

        samples.append(timed(one)[0])
    return samples


def repainting(app: QApplication, view: GraphView, zoom: float, frames: int) -> list[float]:
    """The whole canvas anew, as after a zoom or a theme switch."""
    view.set_zoom(zoom, least=0.02)
    view.centre_on(view.graph.bounds.center())
    drain(app)
    samples: list[float] = []
    for _ in range(frames):

        def one() -> None:
            view.viewport().update()
            drain(app)

        samples.append(timed(one)[0])
    return samples


def zooming(app: QApplication, view: GraphView, steps: int) -> list[float]:
    """Zoom steps through all details, in and out, each painted."""
    samples: list[float] = []
    for step in range(steps):
        factor = 1.1 if step // 20 % 2 == 0 else 1 / 1.1

        def one(factor: float = factor) -> None:
            view.set_zoom(view.zoom * factor)
            drain(app)

        samples.append(timed(one)[0])
    return samples


def dragging(app: QApplication, view: GraphView, steps: int) -> list[float]:
    """A node with its edges moved step by step."""
    view.set_zoom(1.0)
    busy = max(view.graph.nodes, key=lambda key: len(view.graph.edges_of(key)))
    node = view.graph.nodes[busy]
    view.show_node(busy)
    drain(app)
    samples: list[float] = []
    for step in range(steps):
        place = (node.x + 8 * (step % 30), node.y + 8 * (step % 11))

        def one(place: tuple[float, float] = place) -> None:
            view.graph.place({busy: place})
            drain(app)

        samples.append(timed(one)[0])
    return samples


def main() -> int:
    """Prints the table; exit 1 where a floor is missed."""
    quick = "--quick" in sys.argv
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    apply(app, "dark")
    print(
        f"{'CPU ms, interface thread':44} {'n':>5}  {'p50':>7} {'p95':>7} {'p99':>7} {'max':>7}   {'floor':>6}"
    )
    cpus, walls = opening(app, 3 if quick else 7)
    good = line(f"open {NODES:,} nodes, median", cpus, 300, 0.5)
    good &= line("  wall", walls, 300, 0.5)
    view = canvas(app)
    draft = chain()
    view.show_graph(*Looks().of(draft.moved(arranged(draft))))
    drain(app)
    steps = 200 if quick else 1000
    good &= line("pan at 100 %", panning(app, view, 1.0, steps), 8)
    good &= line("pan at 50 %", panning(app, view, 0.5, steps), 8)
    good &= line("pan at 20 %, flat", panning(app, view, 0.2, steps), 8)
    view.fit()
    good &= line("pan all in view", panning(app, view, view.zoom, steps), 8)
    # What follows is aimed at and shown; the promise is about opening and panning.
    line("repaint at 100 %", repainting(app, view, 1.0, steps // 4), 16)
    line("repaint at 50 %", repainting(app, view, 0.5, steps // 4), 16)
    line("zoom step", zooming(app, view, steps // 2), 16)
    line("drag the busiest node", dragging(app, view, steps // 2), 8)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
