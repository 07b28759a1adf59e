"""Marks are painted where they belong: what lies beside them is not theirs to change."""

from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QApplication

from app.theme.paint import focus_ring
from tests.gui.conftest import plain_look


def touched(image: QImage, ground: int) -> list[tuple[int, int]]:
    return [
        (x, y) for y in range(image.height()) for x in range(image.width()) if image.pixel(x, y) != ground
    ]


def test_the_ring_inside_a_row_leaves_the_rows_beside_it_alone(qapp: QApplication) -> None:
    """A row is repainted alone: what its ring left on another would stay there."""
    plain_look(qapp)
    image = QImage(60, 60, QImage.Format.Format_RGB32)
    image.fill(0)
    ground = image.pixel(0, 0)
    painter = QPainter(image)
    focus_ring(painter, QRectF(10, 20, 40, 20), 3, inside=True)
    painter.end()
    ring = touched(image, ground)
    assert min(y for _, y in ring) == 20
    assert max(y for _, y in ring) == 39
    assert min(x for x, _ in ring) == 10
    assert max(x for x, _ in ring) == 49
    assert image.pixel(30, 20) == image.pixel(30, 21) != ground  # two whole px
