"""The inspector of the Chains page: the chain, or the one node or edge that is chosen."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QStackedWidget, QWidget

from app.theme.apply import look
from app.theme.icons import pixmap
from app.viewmodels.chain_editor import ChainEditor
from app.views.chains.chain_panel import ChainPanel
from app.views.chains.edge_panel import EdgePanel
from app.views.chains.node_panel import NodePanel
from app.views.parts import ElidedLabel, Head, column, icon_button
from app.views.scrolled import Scrolled

CHAIN, NODE, EDGE = range(3)


class ChainDetails(QWidget):
    """Follows what is chosen."""

    def __init__(
        self,
        editor: ChainEditor,
        set_input: Callable[[object], None],
        go_to: Callable[[str, int | None], None],
        ask_task: Callable[..., None],
        close: Callable[[], None],
    ) -> None:
        super().__init__()
        self.setObjectName("chains.inspectorContent")
        self._editor = editor
        layout = column(self)
        head = Head(left=12, right=8)
        self._icon = QLabel()
        self._title = ElidedLabel("Chain", "heading", name="chains.panelTitle")
        shut = icon_button("x", "chains.inspector.close", "Close the details", close, small=True)
        head.add(self._icon, 2, self._title, None, shut)
        layout.addWidget(head)
        self.chain = ChainPanel(editor, set_input, go_to)
        self.node = NodePanel(editor, ask_task)
        self.edge = EdgePanel(editor)
        self.panels = QStackedWidget()
        self.panels.setObjectName("chains.panels")
        for panel in (self.chain, self.node, self.edge):
            self.panels.addWidget(Scrolled(panel, f"{panel.objectName()}.scroll", "Details"))
        layout.addWidget(self.panels, 1)
        editor.selected.connect(self.refresh)
        look().theme_changed.connect(self.refresh)

    def refresh(self) -> None:
        """Show what is chosen now."""
        editor = self._editor
        at, words, glyph = CHAIN, "Chain", "workflow"
        if editor.node is not None:
            at, words, glyph = NODE, editor.node.name, "box"
        elif editor.edge is not None:
            at, words, glyph = EDGE, f"{editor.edge.source} to {editor.edge.target}", "split"
        elif (many := len(editor.nodes) + len(editor.edges)) > 1:
            words = f"{many} chosen"
        if self.panels.currentIndex() != at:
            self.panels.setCurrentIndex(at)
        self._title.set_words(words)
        self._icon.setPixmap(pixmap(glyph, "text.secondary", 16))

    def enter(self) -> None:
        """Focus on the first thing that can be changed."""
        target: QWidget | None = None
        match self.panels.currentIndex():
            case 1:  # a node
                rows = list(self.node.form.rows.values())
                target = rows[0].control if rows else self.node.task
            case 2:
                target = self.edge.on
            case _:
                pass
        if target is not None:
            target.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def enter_name(self) -> None:
        """Focus on the node's name, to write another."""
        self.node.name.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.node.name.selectAll()
