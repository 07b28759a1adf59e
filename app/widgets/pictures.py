"""Pictures made ready for a model: as they are where they are small enough, else made smaller. Needs no window."""

from dataclasses import dataclass

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize, Qt
from PySide6.QtGui import QImage, QImageReader

EDGE_MAX = 2048  # no provider looks at more
BYTES_MAX = 3_500_000  # five million as base64, which is the least that a provider takes


class NoPicture(Exception):
    """What is wrong, as the end of a sentence that begins with the picture's name."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A picture of `width` by `height` px in a form that every provider takes."""

    data: bytes
    media_type: str
    width: int
    height: int


def fitted(data: bytes, media_type: str) -> Fitted:
    """The picture in `data`, turned as its camera says and no larger than is looked at. Raises NoPicture."""
    source = QBuffer()
    source.setData(QByteArray(data))
    source.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(source)
    reader.setAutoTransform(True)
    size = reader.size()
    if not size.isValid() or not reader.canRead():
        raise NoPicture("looks like a picture, but it is damaged.")
    if max(size.width(), size.height()) <= EDGE_MAX and len(data) <= BYTES_MAX:
        return Fitted(data, media_type, size.width(), size.height())
    reader.setScaledSize(_within(size))  # read small: a large picture would take the memory of its pixels
    image = reader.read()
    if image.isNull():
        raise NoPicture("looks like a picture, but it is damaged.")
    return encoded(image)


def encoded(image: QImage) -> Fitted:
    """A picture that never was a file, such as one from the clipboard. Raises NoPicture."""
    if image.isNull():
        raise NoPicture("is empty.")
    if max(image.width(), image.height()) > EDGE_MAX:
        image = image.scaled(
            _within(image.size()),
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
    for form, media_type, quality in (("PNG", "image/png", -1), ("JPEG", "image/jpeg", 85)):
        bare = image if form == "PNG" else image.convertToFormat(QImage.Format.Format_RGB32)
        target = QBuffer()
        target.open(QIODevice.OpenModeFlag.WriteOnly)
        if bare.save(target, form, quality) and target.size() <= BYTES_MAX:  # type: ignore[call-overload]
            return Fitted(bytes(target.data().data()), media_type, image.width(), image.height())
    raise NoPicture("is too large a picture, even made smaller.")


def _within(size: QSize) -> QSize:
    if max(size.width(), size.height()) <= EDGE_MAX:
        return size
    return size.scaled(EDGE_MAX, EDGE_MAX, Qt.AspectRatioMode.KeepAspectRatio)
