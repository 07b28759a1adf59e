"""The one-window handshake where Python has no Unix sockets: a named pipe, by Qt."""

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from app.handshake import ANSWER_TIME_S, MESSAGE_MAX_BYTES, decode, encode

ANSWER_TIME_MS = int(ANSWER_TIME_S * 1000)


def raise_first(name: str, argv: list[str]) -> bool:
    """See `app.single.raise_first`."""
    pipe = QLocalSocket()
    pipe.connectToServer(name)
    if not pipe.waitForConnected(ANSWER_TIME_MS):
        return False
    pipe.write(encode(argv))
    pipe.waitForBytesWritten(ANSWER_TIME_MS)
    # It may have come while the question was still being written; then nothing more is ready to be read.
    has_answer = pipe.bytesAvailable() > 0 or pipe.waitForReadyRead(ANSWER_TIME_MS)
    answered = has_answer and bytes(pipe.readAll().data()).startswith(b"ok")
    pipe.disconnectFromServer()
    return answered


class Pipe(QObject):
    """Listens under `name`; `hear` gets the arguments of each later start."""

    def __init__(self, name: str, hear: Callable[[list[str]], None], parent: QObject) -> None:
        super().__init__(parent)
        self._tell = hear
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._greet)
        self._parts: dict[QLocalSocket, bytes] = {}
        if not self._server.listen(name):
            QLocalServer.removeServer(name)
            self._server.listen(name)

    def _greet(self) -> None:
        while self._server.hasPendingConnections():
            pipe = self._server.nextPendingConnection()
            self._parts[pipe] = b""
            pipe.readyRead.connect(lambda peer=pipe: self._hear(peer))
            pipe.disconnected.connect(lambda peer=pipe: self._forget(peer))
            if pipe.bytesAvailable():
                self._hear(pipe)

    def _hear(self, pipe: QLocalSocket) -> None:
        heard = self._parts.get(pipe, b"") + bytes(pipe.readAll().data())
        if len(heard) > MESSAGE_MAX_BYTES:
            pipe.abort()
            return
        self._parts[pipe] = heard
        if b"\n" not in heard:
            return
        try:
            arguments = decode(heard.partition(b"\n")[0])
        except ValueError:
            pipe.abort()
            return
        pipe.write(b"ok\n")
        pipe.flush()
        self._tell(arguments)

    def _forget(self, pipe: QLocalSocket) -> None:
        self._parts.pop(pipe, None)
        pipe.deleteLater()
