# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The condition editor: rows of rules and groups, each with what it said of the last real payload; below, the chosen row."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRectF,
    QSize,
    QStringListModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QCompleter,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import pixmap
from app.theme.paint import focus_ring, hairline, rounded, text
from app.viewmodels.chain_rules import (
    Group,
    Path,
    Row,
    Rule,
    added,
    document_of,
    item_at,
    kind_of,
    paths_of,
    removed,
    rows,
    shifted,
    shown,
    tree_of,
    typed,
    with_item,
)
from app.views.chains.fields import caption, show_error
from app.views.painted import PillRow
from app.views.parts import bind, button, column, fill, icon_button, label, row
from app.widgets.segmented import Segmented

Index = QModelIndex | QPersistentModelIndex
ROW_ROLE = Qt.ItemDataRole.UserRole + 1
HEIGHT, INDENT = 32, 12
BRIEF_MAX = 200
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
GROUP_WORDS = {"all": "All of", "any": "Any of", "not": "None of"}
TAKES_WORDS = {
    "any": "text, a number, true, false or null; in quotes it is text",
    "scalar": "text or a number",
    "ordered": "a number, or text",
    "pair": "two values, as in 1, 5",
    "text": "text",
    "pattern": "a regular expression",
    "set": "values with commas between",
    "count": "a whole number",
}


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator to choose: the kind of value it takes, and its words."""

    name: str
    takes: str
    words: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a row said of the payload; `why` tells what kept a rule from being decided."""

    holds: bool
    actual: object = None
    why: str = ""
    is_rule: bool = True


class _Model(QAbstractListModel):
    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[Row, ...] = ()
        self.said: dict[Path, Said] = {}
        self.words: Mapping[str, Operator] = {}

    def show(self, found: tuple[Row, ...]) -> None:
        if [each.path for each in found] == [each.path for each in self.rows]:
            self.rows = found
            if found:
                self.dataChanged.emit(self.index(0), self.index(len(found) - 1))
            return
        self.beginResetModel()
        self.rows = found
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def words_of(self, line: Row) -> tuple[str, str, str]:
        """Fact, operator and value of a rule."""
        item = line.item
        assert isinstance(item, Rule)
        operator = self.words.get(item.operator)
        takes = operator.takes if operator else "any"
        value = "" if takes == "none" else shown(item.value, takes)
        return item.fact or "no fact", operator.words if operator else item.operator or "no operator", value

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        line = self.rows[index.row()]
        if role == ROW_ROLE:
            return line
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            said = self.said.get(line.path)
            words = (
                " ".join(self.words_of(line)) if isinstance(line.item, Rule) else GROUP_WORDS[line.item.word]
            )
            return f"{words}, {'holds' if said.holds else 'does not hold'}" if said else words
        return None


class _Delegate(QStyledItemDelegate):
    def __init__(self, model: _Model, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(100, look().px(HEIGHT))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        line: Row = index.data(ROW_ROLE)
        box = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(box, look().colour("bg.selected"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(box, look().colour("bg.hover"))
        hairline(painter, box.left(), box.bottom() - 1, box.right())
        left = box.left() + 8 + max(0, line.depth - 1) * INDENT + (INDENT if line.depth else 0) * 0
        dpr = painter.device().devicePixelRatioF()
        said = self._model.said.get(line.path)
        if said is not None:
            glyph, ink = ("check", "ok.mark") if said.holds else ("x", "err.mark")
            if said.why:
                glyph, ink = "circle-help", "warn.mark"
            painter.drawPixmap(round(left), round(box.center().y() - 7), pixmap(glyph, ink, 14, dpr))
        left += 22
        room = QRectF(left, box.top(), box.right() - left - 8, box.height())
        if isinstance(line.item, Group):
            text(painter, room, GROUP_WORDS[line.item.word], "ui", "text.secondary")
        else:
            fact, operator, value = self._model.words_of(line)
            used = text(painter, room.adjusted(0, 0, -room.width() * 0.5, 0), fact, "codeSmall")
            right = text(
                painter, room.adjusted(room.width() * 0.62, 0, 0, 0), value, "codeSmall", align=RIGHT
            )
            middle = room.adjusted(used + 8, 0, -(right + 8 if right else 0), 0)
            text(painter, middle, operator, "small", "text.secondary", align=RIGHT)
        if state & QStyle.StateFlag.State_HasFocus and has_keyboard_focus(option.widget):
            focus_ring(painter, box, 5, inside=True)


class RuleList(QListView):
    """Arrows walk, Enter edits, Delete removes, Alt with an arrow moves a row in its group."""

    asked = Signal(str)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        alt = event.modifiers() & Qt.KeyboardModifier.AltModifier
        match event.key():
            case Qt.Key.Key_Delete | Qt.Key.Key_Backspace:
                self.asked.emit("remove")
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.asked.emit("edit")
            case Qt.Key.Key_Up if alt:
                self.asked.emit("up")
            case Qt.Key.Key_Down if alt:
                self.asked.emit("down")
            case _:
                super().keyPressEvent(event)

    def paintEvent(self, event: Any) -> None:
        painter = QPainter(self.viewport())
        rounded(painter, QRectF(self.viewport().rect()), 5, fill="bg.raised", line="line.normal")
        painter.end()
        super().paintEvent(event)


class ConditionEditor(QWidget):
    """Shows a condition; `told` gets it after each change (None: no condition), and what kind of change it was."""

    def __init__(
        self,
        told: Callable[[Mapping[str, object] | None, str], None],
        operators: Sequence[Operator] = (),
    ) -> None:
        super().__init__()
        self.setObjectName("chains.condition")
        self._told = told
        self._root = Group()
        self._path: Path = ()
        self._payload: object = None
        self._is_quiet = False
        self._operators = {operator.name: operator for operator in operators}
        layout = column(self, spacing=8)
        head = row(spacing=8)
        self.word = Segmented(
            (("all", "All"), ("any", "Any"), ("not", "None")), "Rules of the group", small=True
        )
        self.word.setObjectName("chains.condition.word")
        self.word.changed.connect(self._set_word)
        self.verdict = PillRow("chains.condition.verdict")
        fill(head, self.word, None)
        head.addWidget(self.verdict)
        layout.addLayout(head)
        self._model = _Model()
        self._model.words = self._operators
        self.list = RuleList()
        self.list.setObjectName("chains.condition.rules")
        self.list.setAccessibleName("Rules of the condition")
        self.list.setModel(self._model)
        self.list.setItemDelegate(_Delegate(self._model, self.list))
        self.list.setMouseTracking(True)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.selectionModel().currentChanged.connect(self._stand_on)
        self.list.asked.connect(self._act)
        layout.addWidget(self.list)
        self.add_rule = button(
            "Rule", "chains.condition.addRule", self._add_rule, icon="plus", small=True, tip="Add a rule"
        )
        self.add_group = button(
            "Group",
            "chains.condition.addGroup",
            self._add_group,
            icon="plus",
            small=True,
            tip="Add a group of rules",
        )
        self.remove = icon_button(
            "trash-2",
            "chains.condition.remove",
            "Remove the row",
            lambda: self._act("remove"),
            keys="Delete",
            small=True,
        )
        adds = row(spacing=6)
        fill(adds, self.add_rule, self.add_group, None, self.remove)
        layout.addLayout(adds)
        self._make_fields(layout)
        self._refresh()

    def _make_fields(self, layout: Any) -> None:
        self._editing = QWidget()
        inner = column(self._editing, spacing=6)
        self.fact = QLineEdit()
        self.fact.setObjectName("chains.condition.fact")
        self.fact.setAccessibleName("Fact: the path of a value")
        self.fact.setToolTip("The path of a value, such as result.status")
        self.fact.setPlaceholderText("result.status")
        self._paths = QStringListModel(self)
        completer = QCompleter(self._paths, self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.activated.connect(bind(self._edited))
        self.fact.setCompleter(completer)
        self.fact.textEdited.connect(bind(self._edited))
        self.operator = QComboBox()
        self.operator.setObjectName("chains.condition.operator")
        self.operator.setAccessibleName("Operator")
        self.operator.setToolTip("Operator")
        self.operator.activated.connect(bind(self._edited))
        self._fill_operators()
        self.value = QLineEdit()
        self.value.setObjectName("chains.condition.value")
        self.value.setAccessibleName("Value")
        self.value.textEdited.connect(bind(self._edited))
        self.kind = label("", "small", "tertiary")
        self._value_head = row(spacing=6)
        self.value_caption = caption("Value")
        fill(self._value_head, self.value_caption, None, self.kind)
        self.now = label("", "small", "secondary", wraps=True, selectable=True, name="chains.condition.now")
        self.now_caption = caption("Value now")
        fill(
            inner,
            caption("Fact"),
            self.fact,
            caption("Operator"),
            self.operator,
            self._value_head,
            self.value,
        )
        fill(inner, self.now_caption, self.now)
        layout.addWidget(self._editing)

    def set_operators(self, operators: Sequence[Operator]) -> None:
        """These can be chosen."""
        self._operators = {operator.name: operator for operator in operators}
        self._model.words = self._operators
        self._fill_operators()
        self._refresh()

    def _fill_operators(self) -> None:
        self.operator.clear()
        for operator in self._operators.values():
            self.operator.addItem(operator.words, operator.name)
            self.operator.setItemData(self.operator.count() - 1, operator.name, Qt.ItemDataRole.ToolTipRole)

    # What is shown

    def show_condition(self, when: object) -> None:
        """Show this condition; the row that was chosen stays so if it is still there."""
        root = tree_of(when)
        if root != self._root and document_of(root) != document_of(self._root):
            self._root = root
            self._model.said = {}
            if item_at(root, self._path) is None:
                self._path = (0,) if root.members else ()
        if not self._path and self._root.members:
            self._path = (0,)
        self._refresh()

    def show_payload(self, payload: object) -> None:
        """The facts the rules are held against; None where there are none."""
        self._payload = payload
        self._paths.setStringList(list(paths_of(payload)))

    def show_said(self, explained: object, label_: str = "") -> None:
        """What every rule said: the tree the engine gave; None for nothing."""
        self._model.said = {}
        if explained is not None:
            self._take_said(explained, ())
            holds = self._model.said[()].holds
            words = ("True" if holds else "False") + (f" for {label_}" if label_ else "")
            self.verdict.show_pills((words, "ok" if holds else "err", "check" if holds else "x"))
        else:
            self.verdict.show_pills()
        self._refresh()

    def _take_said(self, found: Any, path: Path) -> None:
        members = getattr(found, "rules", None)
        if members is None:
            why = str(getattr(found, "why", ""))
            self._model.said[path] = Said(bool(found.result), getattr(found, "actual", None), why)
            return
        self._model.said[path] = Said(bool(found.valid), is_rule=False)
        for at, each in enumerate(members):
            self._take_said(each, (*path, at))

    def _refresh(self) -> None:
        self._is_quiet = True
        shown_rows = tuple(line for line in rows(self._root) if line.path)
        self._model.show(shown_rows)
        self.list.setVisible(bool(shown_rows))
        self.list.setFixedHeight(min(10, max(1, len(shown_rows))) * look().px(HEIGHT) + 2)
        place = next((at for at, line in enumerate(shown_rows) if line.path == self._path), -1)
        if place >= 0 and self.list.currentIndex().row() != place:
            self.list.setCurrentIndex(self._model.index(place))
        group = self._group_path()
        found = item_at(self._root, group)
        if isinstance(found, Group):
            self.word.choose(found.word)
        self.word.setVisible(bool(shown_rows))
        self.add_group.setVisible(bool(shown_rows))
        self.remove.setVisible(bool(shown_rows))
        self._show_fields()
        self._is_quiet = False

    def _show_fields(self) -> None:
        item = item_at(self._root, self._path)
        self._editing.setVisible(isinstance(item, Rule))
        if not isinstance(item, Rule):
            return
        if self.fact.text() != item.fact:
            self.fact.setText(item.fact)
        place = self.operator.findData(item.operator)
        self.operator.setCurrentIndex(place)
        operator = self._operators.get(item.operator)
        takes = operator.takes if operator else "any"
        has_value = takes != "none"
        self.value.setVisible(has_value)
        self.value_caption.setVisible(has_value)
        self.kind.setVisible(has_value)
        if has_value:
            if "value" in item.fields and typed(self.value.text(), takes) != item.value:
                self.value.setText(shown(item.value, takes))
            elif "value" not in item.fields:
                self.value.setText("")
            self.value.setPlaceholderText(TAKES_WORDS.get(takes, ""))
            self.value.setToolTip(f"Value: {TAKES_WORDS.get(takes, '')}")
            self.kind.setText(kind_of(item.value) if "value" in item.fields else "")
        self._say_now(item)

    def _say_now(self, item: Rule) -> None:
        said = self._model.said.get(self._path)
        self.now.setVisible(said is not None)
        self.now_caption.setVisible(said is not None)
        if said is None:
            return
        if said.why == "missing":
            words = f"{item.fact} is missing, so this does not hold."
        else:
            holds = "so this holds" if said.holds else "so this does not hold"
            words = f"{item.fact} = {_brief(said.actual)}, {holds}."
            if said.why == "types_differ":
                words = f"{item.fact} = {_brief(said.actual)} is {kind_of(said.actual)}, which cannot be compared so."
        self.now.setText(words)

    # What a person does

    def _group_path(self) -> Path:
        item = item_at(self._root, self._path)
        return self._path if isinstance(item, Group) else self._path[:-1]

    def _set_word(self, word: str) -> None:
        path = self._group_path()
        group = item_at(self._root, path)
        if isinstance(group, Group):
            self._change(with_item(self._root, path, Group(cast("Any", word), group.members)), "group")

    def _add_rule(self) -> None:
        known = paths_of(self._payload)
        fact = next((path for path in known if path.startswith("result.")), "result")
        rule = Rule({"fact": fact, "operator": "not_nil"})
        root, path = added(self._root, self._path, rule)
        self._path = path
        self._change(root, "rule")
        self.fact.setFocus(Qt.FocusReason.OtherFocusReason)
        self.fact.selectAll()

    def _add_group(self) -> None:
        rule = Rule({"fact": "result", "operator": "not_nil"})
        word = "any" if self._root.word == "all" else "all"
        root, path = added(self._root, self._path, Group(cast("Any", word), (rule,)))
        self._path = (*path, 0)
        self._change(root, "group")

    def _act(self, what: str) -> None:
        match what:
            case "remove":
                root, self._path = removed(self._root, self._path)
                self._change(root, "remove")
            case "edit":
                self.fact.setFocus(Qt.FocusReason.TabFocusReason)
            case "up" | "down":
                root, self._path = shifted(self._root, self._path, -1 if what == "up" else 1)
                self._change(root, "order")
            case _:
                pass

    def _stand_on(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid() and not self._is_quiet:
            self._path = self._model.rows[current.row()].path
            self._refresh()

    def _edited(self) -> None:
        item = item_at(self._root, self._path)
        if not isinstance(item, Rule) or self._is_quiet:
            return
        name = self.operator.currentData() or item.operator
        operator = self._operators.get(name)
        takes = operator.takes if operator else "any"
        fields: dict[str, object] = {**item.fields, "fact": self.fact.text(), "operator": name}
        if takes == "none":
            fields.pop("value", None)
        else:
            fields["value"] = typed(self.value.text(), takes)
        show_error(self.fact, "" if self.fact.text().strip() else "Write the path of a value.")
        root = with_item(self._root, self._path, Rule(fields))
        self._change(root, f"edit.{'.'.join(map(str, self._path))}")

    def _change(self, root: Group, what: str) -> None:
        self._root = root
        self._model.said = {}
        self._refresh()
        self._told(document_of(root), what)


def _brief(value: object) -> str:
    words = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else shown(value)
    return words if len(words) <= BRIEF_MAX else f"{words[:BRIEF_MAX]}…"
