"""A draft and its run as the canvas draws them: icons by task, chips of edges, faults and states in words."""

from collections.abc import Callable, Mapping

from app.viewmodels.chain_draft import Draft, EdgeDraft, NodeDraft
from app.viewmodels.chain_rules import count_rules, tree_of
from app.viewmodels.chain_run import RunMarks
from app.viewmodels.wording import plural
from app.widgets.canvas.looks import EdgeLook, Kind, NodeLook

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
Say = Callable[[str], str]
SayEdge = Callable[[int], str]


def _quiet(_: object) -> str:
    return ""


def looks_of(
    draft: Draft,
    run: RunMarks | None = None,
    *,
    fault: Say = _quiet,
    edge_fault: SayEdge = _quiet,
    pins: Mapping[str, object] | None = None,
) -> tuple[list[NodeLook], list[EdgeLook]]:
    """Nodes and edges as they are drawn. `fault` and `edge_fault` give what is wrong with each, as a sentence."""
    pinned = pins or {}
    joins = _joins(draft)
    nodes: list[NodeLook] = []
    for node in draft.nodes:
        x, y = draft.places.get(node.name, (0, 0))
        mark = run.nodes.get(node.name) if run is not None else None
        nodes.append(
            NodeLook(
                key=node.name,
                title=node.name,
                detail=detail_of(node),
                icon=icon_of(node),
                x=x,
                y=y,
                state=mark.state if mark is not None else "",
                said=mark.said if mark is not None else "",
                fault=fault(node.name),
                is_pinned=node.name in pinned,
                joins=joins.get(node.name, ""),
            )
        )
    edges = [_edge(at, edge, run, edge_fault(at)) for at, edge in enumerate(draft.edges)]
    return nodes, edges


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


def _edge(at: int, edge: EdgeDraft, run: RunMarks | None, fault: str) -> EdgeLook:
    chip, icon = chip_of(edge)
    kinds: dict[str, Kind] = {"success": "success", "failure": "failure", "always": "always"}
    mark = run.edges.get(at) if run is not None else None
    held = ""
    if mark is not None and edge.when is not None:
        held = "yes" if mark.taken else "no" if mark.refused else ""
    count = ""
    if mark is not None and mark.count >= 0 and mark.taken:
        count = f"×{mark.count}"
    elif mark is not None and mark.taken > 1:
        count = f"×{mark.taken}"
    return EdgeLook(
        source=edge.source,
        target=edge.target,
        kind=kinds.get(edge.on, "success"),
        chip=chip,
        chip_icon=icon,
        held=held,
        state=run.edge_state(at) if run is not None else "",
        count=count,
        fault=fault,
    )


def _joins(draft: Draft) -> dict[str, str]:
    words: dict[str, str] = {}
    for node in draft.nodes:
        join = node.fields.get("join")
        if join is None:
            continue
        words[node.name] = (
            f"when {join} are done"
            if isinstance(join, int) and not isinstance(join, bool)
            else f"when {join} is done"
            if join == "any"
            else "when all are done"
        )
    return words
