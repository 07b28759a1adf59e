"""Where the arrow keys lead from a node, and which edge comes next. Pure but for Qt's names of keys."""

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt

from app.widgets.canvas.looks import EdgeLook, NodeLook

ARROWS: dict[Qt.Key, tuple[int, int]] = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
ASIDE = 3.0  # how much worse a px across the way is than one along it


def nearest(nodes: Mapping[str, NodeLook], current: str, x: int, y: int) -> str:
    """The node next in that direction; the first one from nowhere, and empty where there is none further on."""
    here = nodes.get(current)
    if here is None:
        return next(iter(nodes), "")
    best, least = "", float("inf")
    for key, node in nodes.items():
        along = (node.x - here.x) * x + (node.y - here.y) * y
        across = abs((node.x - here.x) * y) + abs((node.y - here.y) * x)
        if key == current or along <= 0 or across > along * 4 + 200:
            continue
        cost = along + ASIDE * across
        if cost < least:
            best, least = key, cost
    return best


def next_edge(edges: Sequence[EdgeLook], current: str, selected: Sequence[int], step: int) -> int:
    """The next edge of the node (of the chain, if on none), after the one that is chosen; -1 if there is none."""
    mine = [at for at, edge in enumerate(edges) if not current or current in (edge.source, edge.target)]
    if not mine:
        return -1
    if selected and selected[0] in mine:
        return mine[(mine.index(selected[0]) + step) % len(mine)]
    return mine[0 if step > 0 else -1]
