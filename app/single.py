"""One window per data directory: a second start hands its arguments to the first and ends."""

import hashlib
import json
import os
from pathlib import Path
from typing import cast

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

ANSWER_TIME_MS = 1500
MESSAGE_MAX_BYTES = 65_536


def server_name(home: Path) -> str:
    """The name under which the window of this data directory listens; differs for each user and directory."""
    user = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    digest = hashlib.sha256(f"{user}\0{home.resolve()}".encode()).hexdigest()[:16]
    return f"legion-workbench-{digest}"


def raise_first(home: Path, argv: list[str]) -> bool:
    """Ask a running window to come to the front with these arguments; whether one answered. Blocks at most 1.5 s."""
    socket = QLocalSocket()
    socket.connectToServer(server_name(home))
    if not socket.waitForConnected(ANSWER_TIME_MS):
        return False
    socket.write(json.dumps({"argv": argv}).encode() + b"\n")
    socket.waitForBytesWritten(ANSWER_TIME_MS)
    # The answer proves that a living window took it, and not a socket file left by one that was killed.
    # It may have come while the question was still being written; then nothing more is ready to be read.
    has_answer = socket.bytesAvailable() > 0 or socket.waitForReadyRead(ANSWER_TIME_MS)
    answered = has_answer and bytes(socket.readAll().data()).startswith(b"ok")
    socket.disconnectFromServer()
    return answered


class FirstWindow(QObject):
    """Listens for later starts. `asked` carries their arguments."""

    asked = Signal(list)

    def __init__(self, home: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("single")
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._greet)
        self._parts: dict[QLocalSocket, bytes] = {}
        name = server_name(home)
        if not self._server.listen(name):
            # What listened here before was killed: its socket file is still there and nobody answers it.
            QLocalServer.removeServer(name)
            self._server.listen(name)

    @property
    def is_listening(self) -> bool:
        """Whether later starts will find this window."""
        return self._server.isListening()

    def close(self) -> None:
        """Stop listening."""
        self._server.close()

    def _greet(self) -> None:
        while self._server.hasPendingConnections():
            socket = self._server.nextPendingConnection()
            self._parts[socket] = b""
            socket.readyRead.connect(lambda peer=socket: self._hear(peer))
            socket.disconnected.connect(lambda peer=socket: self._forget(peer))
            if socket.bytesAvailable():
                self._hear(socket)

    def _hear(self, socket: QLocalSocket) -> None:
        heard = self._parts.get(socket, b"") + bytes(socket.readAll().data())
        if len(heard) > MESSAGE_MAX_BYTES:
            socket.abort()
            return
        self._parts[socket] = heard
        if b"\n" not in heard:
            return
        try:
            said = cast("dict[str, list[str]]", json.loads(heard.partition(b"\n")[0]))
            arguments = [str(argument) for argument in said.get("argv", [])]
        except (ValueError, AttributeError):
            socket.abort()
            return
        socket.write(b"ok\n")
        socket.flush()
        self.asked.emit(arguments)

    def _forget(self, socket: QLocalSocket) -> None:
        self._parts.pop(socket, None)
        socket.deleteLater()
