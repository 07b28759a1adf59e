# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A field for YAML, JSON and templates: coloured, with line numbers where asked, faults underlined, Tab leaves it."""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher

from PySide6.QtCore import QEvent, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QFontMetricsF,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
)
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy, QTextEdit, QWidget

from app.theme.apply import look
from app.theme.paint import RIGHT, rounded, text

TOKENS = (
    (re.compile(r"\{\{.*?\}\}|\{%.*?%\}"), "code.keyword"),
    (
        re.compile(r"(?:^|(?<=[\s{,\-]))(\"(?:[^\"\\]|\\.)*\"|[A-Za-z_$][\w.$-]*)(?=\s*:(?:\s|$))"),
        "code.function",
    ),
    (re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'"), "code.string"),
    (re.compile(r"(?<![\w.$-])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.-])"), "code.number"),
    (re.compile(r"(?<![\w.$-])(?:true|false|null)(?![\w-])"), "code.keyword"),
)
COMMENT = re.compile(r"(?:^|\s)#.*$")
LINE_MAX = 4_000  # characters of a line that is coloured


class Colours(QSyntaxHighlighter):
    """Five classes of tokens; all else is text."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        self._formats: dict[str, QTextCharFormat] = {}
        look().theme_changed.connect(self._restyle)

    def _restyle(self) -> None:
        self._formats.clear()
        self.rehighlight()

    def _format(self, ink: str) -> QTextCharFormat:
        found = self._formats.get(ink)
        if found is None:
            found = self._formats[ink] = QTextCharFormat()
            found.setForeground(look().colour(ink))
        return found

    def highlightBlock(self, words: str) -> None:
        if len(words) > LINE_MAX:
            return
        strings: list[tuple[int, int]] = []
        for pattern, ink in reversed(TOKENS):
            for found in pattern.finditer(words):
                self.setFormat(found.start(), found.end() - found.start(), self._format(ink))
                if ink == "code.string":
                    strings.append(found.span())
        for found in COMMENT.finditer(words):
            if not any(start < found.end() and found.start() < end for start, end in strings):
                self.setFormat(found.start(), found.end() - found.start(), self._format("code.comment"))


class CodeField(QPlainTextEdit):
    """Looks like a field; grows with its text between `least` and `most` lines, or fills its room where `most` is 0."""

    written = Signal()
    """A person, or `set_words`, made it another text; Qt's own signal also tells of colours."""

    def __init__(
        self, name: str, title: str, *, least: int = 3, most: int = 12, has_numbers: bool = False
    ) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.setToolTip(title)
        self.setProperty("bare", True)
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setLineWrapMode(
            QPlainTextEdit.LineWrapMode.NoWrap if has_numbers else QPlainTextEdit.LineWrapMode.WidgetWidth
        )
        self.document().setDocumentMargin(0)
        self._least, self._most = least, most
        self._words = ""
        self._colours = Colours(self.document())
        self._faults: Mapping[int, str] = {}
        self._numbers = _Numbers(self) if has_numbers else None
        if most:
            self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            self.textChanged.connect(self._fit)
        if self._numbers is not None:
            self.blockCountChanged.connect(self._fit_margins)
            self.updateRequest.connect(self._scrolled)
        self.cursorPositionChanged.connect(self._mark)
        self.textChanged.connect(self._tell)
        look().theme_changed.connect(self._restyle)
        self._restyle()

    def set_words(self, words: str) -> None:
        """Show a text: only the lines that differ are replaced, so that place and colours of the others stay."""
        before = self.toPlainText()
        if words == before:
            return
        old, new = before.split("\n"), words.split("\n")
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        for kind, a, b, c, d in reversed(SequenceMatcher(None, old, new, autojunk=False).get_opcodes()):
            if kind != "equal":
                self._replace(cursor, a, b, new[c:d])
        cursor.endEditBlock()

    def _replace(self, cursor: QTextCursor, first: int, end: int, lines: list[str]) -> None:
        """Other lines instead of those from `first` up to `end`."""
        document = self.document()
        last = document.blockCount()
        begin = document.findBlockByNumber(first) if first < last else document.lastBlock()
        if first == end:  # nothing goes: the new ones stand before the line that is there, or after the last
            cursor.setPosition(begin.position() if first < last else begin.position() + begin.length() - 1)
            cursor.insertText("\n".join([*lines, ""]) if first < last else "\n".join(["", *lines]))
            return
        closing = document.findBlockByNumber(end - 1)
        start, stop = begin.position(), closing.position() + closing.length() - 1
        if not lines and end < last:
            stop += 1
        elif not lines and first > 0:
            start -= 1
        cursor.setPosition(start)
        cursor.setPosition(stop, QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText("\n".join(lines))

    def _tell(self) -> None:
        words = self.toPlainText()
        if words != self._words:
            self._words = words
            self.written.emit()

    def show_faults(self, faults: Mapping[int, str]) -> None:
        """Underline these lines (from 1), and say what is wrong with each in a tooltip."""
        self._faults = dict(faults)
        self._mark()
        if self._numbers is not None:
            self._numbers.update()

    @property
    def faults(self) -> Mapping[int, str]:
        """What is wrong, by line."""
        return self._faults

    def go_to_line(self, number: int) -> None:
        """The cursor to a line (from 1), which is shown."""
        cursor = QTextCursor(self.document().findBlockByNumber(max(0, number - 1)))
        self.setTextCursor(cursor)
        self.centerCursor()

    def _mark(self) -> None:
        marks: list[QTextEdit.ExtraSelection] = []
        for number, words in self._faults.items():
            block = self.document().findBlockByNumber(number - 1)
            if not block.isValid():
                continue
            mark = QTextEdit.ExtraSelection()
            mark.cursor = QTextCursor(block)
            mark.cursor.select(QTextCursor.SelectionType.LineUnderCursor)
            mark.format.setUnderlineStyle(QTextCharFormat.UnderlineStyle.WaveUnderline)
            mark.format.setUnderlineColor(look().colour("err.mark"))
            mark.format.setToolTip(words)
            marks.append(mark)
        self.setExtraSelections(marks)

    def _restyle(self) -> None:
        self.setFont(look().font("codeSmall" if self._most else "code"))
        self.setTabStopDistance(look().metrics("code").horizontalAdvance("  "))
        self._fit_margins()
        self._fit()
        self._mark()

    def _fit_margins(self) -> None:
        left = self._numbers.wanted() if self._numbers is not None else 6
        self.setViewportMargins(left, 5, 5, 5)

    def _fit(self) -> None:
        if not self._most:
            return
        lines = self.document().size().height()
        height = min(max(lines, self._least), self._most)
        self.setFixedHeight(round(height * QFontMetricsF(self.font()).height() + 0.5) + 16)
        fits = lines <= self._most
        self.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAlwaysOff if fits else Qt.ScrollBarPolicy.ScrollBarAsNeeded
        )

    def _scrolled(self, _: QRect, dy: int) -> None:
        if self._numbers is not None:
            if dy:
                self._numbers.scroll(0, dy)
            else:
                self._numbers.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._numbers is not None:
            self._numbers.setGeometry(1, 1, self._numbers.wanted() - 4, self.height() - 2)
        self._fit()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            painter = QPainter(self)
            focused = self.hasFocus()
            border = "focus.ring" if focused else "err.mark" if self.property("error") else "line.normal"
            rounded(
                painter,
                QRectF(self.rect()),
                5,
                fill="bg.sunken" if self.isReadOnly() else "bg.content",
                line=border,
                width=2 if focused else 1,
            )
            painter.end()
            return True
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.update()
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            # A new line begins under the one above it.
            line = self.textCursor().block().text()
            indent = line[: len(line) - len(line.lstrip(" "))]
            self.textCursor().insertText(f"\n{indent}")
            self.ensureCursorVisible()
            return
        super().keyPressEvent(event)

    def paint_numbers(self, event: QPaintEvent) -> None:
        """The numbers of the lines in view; a line with a fault has a mark."""
        if self._numbers is None:
            return
        painter = QPainter(self._numbers)
        block = self.firstVisibleBlock()
        top = self.blockBoundingGeometry(block).translated(self.contentOffset()).top() + 5
        width = self._numbers.width() - 8
        while block.isValid() and top <= event.rect().bottom():
            height = self.blockBoundingRect(block).height()
            number = block.blockNumber() + 1
            is_wrong = number in self._faults
            box = QRectF(0, top, width, height)
            if is_wrong:
                rounded(painter, QRectF(2, top + height / 2 - 3, 6, 6), 3, fill="err.mark")
            text(
                painter,
                box,
                str(number),
                "codeSmall",
                "err.text" if is_wrong else "text.tertiary",
                align=RIGHT,
            )
            top += height
            block = block.next()
        painter.end()


class _Numbers(QWidget):
    """The column of line numbers."""

    def __init__(self, field: CodeField) -> None:
        super().__init__(field)
        self._field = field

    def wanted(self) -> int:
        """Its width in px."""
        digits = max(2, len(str(max(1, self._field.blockCount()))))
        return round(look().metrics("codeSmall").horizontalAdvance("0") * digits) + 28

    def sizeHint(self) -> QSize:
        return QSize(self.wanted(), 10)

    def paintEvent(self, event: QPaintEvent) -> None:
        self._field.paint_numbers(event)
