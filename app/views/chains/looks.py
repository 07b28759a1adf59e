"""A draft and its run as the canvas draws them: icons by task, chips of edges, faults and states in words."""

from collections.abc import Mapping

from app.viewmodels.chain_draft import Draft, EdgeDraft, NodeDraft, Place
from app.viewmodels.chain_rules import count_rules, tree_of
from app.viewmodels.chain_run import RunMarks
from app.viewmodels.wording import plural
from app.widgets.canvas.looks import EdgeLook, Kind, NodeLook, State

ICONS: Mapping[str, str] = {
    "http": "globe",
    "llm": "message-square",
    "log": "file-text",
    "file": "file",
    "shell": "terminal",
    "notify": "bell",
    "schedule": "calendar-clock",
    "webhook": "plug",
    "knowledge": "library",
    "mind": "brain",
}


class Looks:
    """Nodes and edges as they are drawn. What did not change since the last time is the same object."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[NodeDraft, tuple[object, ...], NodeLook]] = {}
        self._edges: dict[int, tuple[EdgeDraft, tuple[object, ...], EdgeLook]] = {}

    def of(
        self,
        draft: Draft,
        run: RunMarks | None = None,
        *,
        faults: Mapping[str, str] | None = None,
        edge_faults: Mapping[int, str] | None = None,
        pins: Mapping[str, object] | None = None,
    ) -> tuple[list[NodeLook], list[EdgeLook]]:
        """All of a draft. `faults` and `edge_faults` say what is wrong with a node or an edge, as a sentence."""
        wrong, wrong_edges, pinned = faults or {}, edge_faults or {}, pins or {}
        nodes: list[NodeLook] = []
        before, self._nodes = self._nodes, {}
        for node in draft.nodes:
            name = node.name
            mark = run.nodes.get(name) if run is not None else None
            state, said = (mark.state, mark.said) if mark is not None else ("", "")
            more = (draft.places.get(name, (0, 0)), state, said, wrong.get(name, ""), name in pinned)
            held = before.get(name)
            if held is None or held[0] is not node or held[1] != more:
                held = (node, more, _node(node, *more))
            self._nodes[name] = held
            nodes.append(held[2])
        edges: list[EdgeLook] = []
        before_edges, self._edges = self._edges, {}
        for at, edge in enumerate(draft.edges):
            mark = run.edges.get(at) if run is not None else None
            state = run.edge_state(at) if run is not None else ""
            came = (mark.taken, mark.refused, mark.count) if mark is not None else (0, 0, -1)
            rest = (state, came, wrong_edges.get(at, ""))
            old = before_edges.get(at)
            if old is None or old[0] is not edge or old[1] != rest:
                old = (edge, rest, _edge(edge, *rest))
            self._edges[at] = old
            edges.append(old[2])
        return nodes, edges


def _node(node: NodeDraft, place: Place, state: State, said: str, fault: str, is_pinned: bool) -> NodeLook:
    return NodeLook(
        key=node.name,
        title=node.name,
        detail=detail_of(node),
        icon=icon_of(node),
        x=place[0],
        y=place[1],
        state=state,
        said=said,
        fault=fault,
        is_pinned=is_pinned,
        joins=_join_words(node),
    )


def icon_of(node: NodeDraft) -> str:
    """The icon of what a node runs."""
    return "workflow" if node.chain else task_icon(node.task)


def task_icon(task: str) -> str:
    """The icon of a function, by its extension."""
    return ICONS.get(task.partition(".")[0], "wrench") if task else "circle-dashed"


def detail_of(node: NodeDraft) -> str:
    """The second line of a node."""
    return f"chain {node.chain}" if node.chain else node.task


def chip_of(edge: EdgeDraft) -> tuple[str, str]:
    """What stands on an edge, and its icon."""
    words: list[str] = []
    rules = count_rules(tree_of(edge.when)) if edge.when is not None else 0
    if edge.on == "failure":
        words.append("on failure")
    elif edge.on == "always":
        words.append("always")
    if rules:
        words.append(str(rules) if edge.each or words else plural(rules, "rule"))
    if edge.each:
        words.append("each")
    if edge.delay_s:
        words.append(f"{edge.delay_s:g} s")
    icon = "list-filter" if rules else "split" if edge.each else "clock" if edge.delay_s else ""
    return " · ".join(words), icon


def edge_words(edge: EdgeDraft) -> str:
    """An edge in a sentence, for lists and readers."""
    rules = count_rules(tree_of(edge.when)) if edge.when is not None else 0
    parts = [
        f"to {edge.target}",
        {"success": "", "failure": "on failure", "always": "always"}.get(edge.on, edge.on),
    ]
    if rules:
        parts.append(f"if {plural(rules, 'rule')} {'holds' if rules == 1 else 'hold'}")
    if edge.each:
        parts.append(f"once for each of {edge.each}")
    if edge.delay_s:
        parts.append(f"{edge.delay_s:g} s later")
    return ", ".join(part for part in parts if part)


def _edge(edge: EdgeDraft, state: State, came: tuple[int, int, int], fault: str) -> EdgeLook:
    chip, icon = chip_of(edge)
    kinds: dict[str, Kind] = {"success": "success", "failure": "failure", "always": "always"}
    taken, refused, count = came
    held = ""
    if edge.when is not None:
        held = "yes" if taken else "no" if refused else ""
    shown = count if count >= 0 else taken
    return EdgeLook(
        source=edge.source,
        target=edge.target,
        kind=kinds.get(edge.on, "success"),
        chip=chip,
        chip_icon=icon,
        held=held,
        state=state,
        count=f"×{shown}" if taken and (count >= 0 or taken > 1) else "",
        fault=fault,
    )


def _join_words(node: NodeDraft) -> str:
    join = node.fields.get("join")
    if join is None:
        return ""
    if isinstance(join, int) and not isinstance(join, bool):
        return f"when {join} are done"
    return "when any is done" if join == "any" else "when all are done"
