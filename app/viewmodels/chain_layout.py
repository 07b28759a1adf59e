"""Where the nodes of a chain stand by themselves: in layers from left to right. Pure, and the same for the same chain.

Edges that close a cycle are left out of the order; each node stands right of all that lead to it; within a layer nodes
are ordered by where their neighbours stand (barycentres, a few sweeps), and an edge over several layers keeps a lane
free for itself.
"""

from collections.abc import Collection, Mapping, Sequence

from app.viewmodels.chain_draft import GRID, Draft, Place

WIDTH, HEIGHT = 176, 54
GAP, GAP_CHIP, ROW = 72, 112, HEIGHT + 42
COLUMN = WIDTH + GAP_CHIP
SWEEPS = 6
LANES_MAX = 4_000  # of long edges; beyond, they run behind the nodes
LANE = 0.5  # of a row


def arranged(draft: Draft) -> dict[str, Place]:
    """A place for every node."""
    index = {node.name: at for at, node in enumerate(draft.nodes)}
    edges = [
        (index[edge.source], index[edge.target])
        for edge in draft.edges
        if edge.source in index and edge.target in index
    ]
    chips = {
        (index[edge.source], index[edge.target])
        for edge in draft.edges
        if edge.fields and edge.target in index
    }
    points = _points(len(index), edges, chips)
    return {name: points[at] for name, at in index.items()}


def completed(draft: Draft) -> Mapping[str, Place]:
    """The draft's own places; nodes that have none are put where they belong, beside what leads to them."""
    missing = [node.name for node in draft.nodes if node.name not in draft.places]
    if not missing:
        return draft.places
    known = {node.name for node in draft.nodes} - set(missing)
    if not known:
        return arranged(draft)
    made = {name: draft.places[name] for name in known}
    taken = set(made.values())
    for name in missing:
        before = [made[edge.source] for edge in draft.edges if edge.target == name and edge.source in made]
        x, y = max(before) if before else (min(p[0] for p in made.values()) - COLUMN, 0)
        place = (x + COLUMN, y)
        while any(abs(place[0] - other[0]) < WIDTH and abs(place[1] - other[1]) < HEIGHT for other in taken):
            place = (place[0], place[1] + ROW - ROW % GRID)
        made[name] = place
        taken.add(place)
    return made


def _points(count: int, edges: Sequence[tuple[int, int]], chips: Collection[tuple[int, int]]) -> list[Place]:
    out: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        if source != target:
            out[source].append(target)
    order, back = _order(out)
    forward = [(a, b) for a, b in edges if a != b and (a, b) not in back]
    layer = _layers(count, order, forward)
    layers, up, down = _with_lanes(count, layer, forward)
    _untangle(layers, up, down)
    rows = _rows(layers, up, down, count)
    # Something stands on these edges, and wants room between its nodes.
    wide = {layer[target] for source, target in chips if layer[target] > layer[source]}
    left = [0]
    for column in range(1, len(layers)):
        left.append(left[-1] + WIDTH + (GAP_CHIP if column in wide else GAP))
    return [(_snap(left[layer[node]]), _snap(rows[node] * ROW)) for node in range(count)]


def _order(out: list[list[int]]) -> tuple[list[int], set[tuple[int, int]]]:
    """A walk in depth: nodes in reverse order of their ends, and the edges that close a cycle."""
    state = [0] * len(out)
    ended: list[int] = []
    back: set[tuple[int, int]] = set()
    has_parent = [False] * len(out)
    for targets in out:
        for target in targets:
            has_parent[target] = True
    starts = [node for node in range(len(out)) if not has_parent[node]]
    for start in [*starts, *range(len(out))]:
        if state[start]:
            continue
        state[start] = 1
        stack = [(start, iter(out[start]))]
        while stack:
            node, targets = stack[-1]
            for target in targets:
                if state[target] == 1:
                    back.add((node, target))
                elif not state[target]:
                    state[target] = 1
                    stack.append((target, iter(out[target])))
                    break
            else:
                state[node] = 2
                ended.append(node)
                stack.pop()
    ended.reverse()
    return ended, back


def _layers(count: int, order: list[int], edges: Sequence[tuple[int, int]]) -> list[int]:
    layer = [0] * count
    into: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        into[target].append(source)
    for node in order:
        layer[node] = max((layer[parent] + 1 for parent in into[node]), default=0)
    return layer


def _with_lanes(
    count: int, layer: list[int], edges: Sequence[tuple[int, int]]
) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """Layers of nodes, and of a stand-in for each layer a long edge crosses; neighbours to the left and to the right."""
    layers: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for node in range(count):
        layers[layer[node]].append(node)
    up: list[list[int]] = [[] for _ in range(count)]
    down: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        last = source
        for between in range(layer[source] + 1, layer[target]):
            if len(up) - count >= LANES_MAX:
                break
            lane = len(up)
            layers[between].append(lane)
            up.append([last])
            down.append([])
            down[last].append(lane)
            last = lane
        up[target].append(last)
        down[last].append(target)
    return layers, up, down


def _untangle(layers: list[list[int]], up: list[list[int]], down: list[list[int]]) -> None:
    """Orders each layer by where its neighbours stand, from the left and from the right in turn."""
    place = [0.0] * len(up)
    for members in layers:
        for at, node in enumerate(members):
            place[node] = at
    for sweep in range(SWEEPS):
        is_forward = sweep % 2 == 0
        near = up if is_forward else down
        for members in layers if is_forward else reversed(layers):
            key = {
                node: (
                    sum(place[other] for other in near[node]) / len(near[node]) if near[node] else place[node]
                )
                for node in members
            }
            members.sort(key=lambda node: (key[node], place[node]))  # used at once
            for at, node in enumerate(members):
                place[node] = at


def _rows(layers: list[list[int]], up: list[list[int]], down: list[list[int]], count: int) -> list[float]:
    """The row of each node: near the mean of its neighbours, never nearer to the next one than a row."""
    rows = [0.0] * len(up)
    for members in layers:
        at = 0.0
        for node in members:
            rows[node] = at
            at += 1.0 if node < count else LANE
    for sweep in range(SWEEPS):
        is_forward = sweep % 2 == 0
        near = up if is_forward else down
        for members in layers if is_forward else reversed(layers):
            wish = [
                sum(rows[other] for other in near[node]) / len(near[node]) if near[node] else rows[node]
                for node in members
            ]
            _spread(members, wish, rows, count)
    lowest = min((rows[node] for node in range(count)), default=0.0)
    return [row - lowest for row in rows]


def _spread(members: list[int], wish: list[float], rows: list[float], count: int) -> None:
    """Gives each its wish as far as order and distance allow: clusters of those too near stand round their mean."""
    clusters: list[tuple[float, float, int]] = []  # sum of (wish - offset), height, members
    sizes = [1.0 if node < count else LANE for node in members]
    for at, want in enumerate(wish):
        total, height, number = want, sizes[at], 1
        while clusters:
            before_total, before_height, before_number = clusters[-1]
            if before_total / before_number + before_height <= total / number:
                break
            clusters.pop()
            # Members of the later cluster stand `before_height` further down than its start.
            total = before_total + total - before_height * number
            height += before_height
            number += before_number
        clusters.append((total, height, number))
    at = 0
    for total, _, number in clusters:
        row = total / number
        for _ in range(number):
            rows[members[at]] = row
            row += sizes[at]
            at += 1


def _snap(value: float) -> int:
    return round(value / GRID) * GRID
