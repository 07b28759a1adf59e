"""One window per data directory: a second start hands its arguments to the first and ends.

A Unix socket of the standard library: Qt's network module would keep 3 MB resident for this alone. Windows has no such
sockets in Python, so there it is a named pipe, by Qt (`app/single_pipe.py`).
"""

import contextlib
import hashlib
import os
import socket
import sys
import tempfile
from pathlib import Path

from PySide6.QtCore import QObject, QSocketNotifier, Signal

from app.handshake import ANSWER_TIME_S, MESSAGE_MAX_BYTES, decode, encode

PATH_MAX_BYTES = 100  # what a socket's address holds everywhere, less a little


def server_name(home: Path) -> str:
    """A name that differs for each user and data directory."""
    user = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    digest = hashlib.sha256(f"{user}\0{home.resolve()}".encode()).hexdigest()[:16]
    return f"legion-workbench-{digest}"


def address(home: Path) -> Path:
    """Where the window of this data directory listens: inside it, which only its owner may enter, if the path is short enough."""
    inside = home / "run" / "window.sock"
    if len(os.fsencode(inside)) <= PATH_MAX_BYTES:
        return inside
    return Path(tempfile.gettempdir()) / server_name(home)


def may_answer(home: Path) -> bool:
    """A look at the socket's file, which costs nothing; only where it exists, and is ours, somebody may answer."""
    if sys.platform == "win32":
        return True
    try:
        return address(home).stat().st_uid == os.getuid()
    except OSError:
        return False


def raise_first(home: Path, argv: list[str]) -> bool:
    """Ask a running window to come to the front with these arguments; whether one answered. Blocks at most 1.5 s a step."""
    if sys.platform == "win32":
        from app import single_pipe

        return single_pipe.raise_first(server_name(home), argv)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as second:
            second.settimeout(ANSWER_TIME_S)
            second.connect(str(address(home)))
            second.sendall(encode(argv))
            # The answer proves that a living window took it, and not a socket's file left by one that was killed.
            return second.recv(2) == b"ok"
    except OSError:
        return False


class FirstWindow(QObject):
    """Listens for later starts. `asked` carries their arguments."""

    asked = Signal(list)

    def __init__(self, home: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("single")
        self._path = address(home)
        self._peers: dict[socket.socket, tuple[QSocketNotifier, bytes]] = {}
        self._server: socket.socket | None = None
        self._pipe: QObject | None = None
        if sys.platform == "win32":
            from app.single_pipe import Pipe

            self._pipe = Pipe(server_name(home), self.asked.emit, self)
            return
        with contextlib.suppress(
            OSError
        ):  # then later starts open windows of their own, and the engine refuses them
            self._server = _listen(self._path)
            self._bell = QSocketNotifier(self._server.fileno(), QSocketNotifier.Type.Read, self)
            self._bell.activated.connect(self._greet)

    @property
    def is_listening(self) -> bool:
        """Whether later starts will find this window."""
        return self._server is not None or self._pipe is not None

    def close(self) -> None:
        """Stop listening."""
        for peer in tuple(self._peers):
            self._forget(peer)
        if self._server is not None:
            self._bell.setEnabled(False)
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

    def _greet(self) -> None:
        assert self._server is not None
        try:
            peer, _ = self._server.accept()
        except OSError:
            return  # it gave up meanwhile
        peer.setblocking(False)
        bell = QSocketNotifier(peer.fileno(), QSocketNotifier.Type.Read, self)
        bell.activated.connect(lambda: self._hear(peer))
        self._peers[peer] = (bell, b"")

    def _hear(self, peer: socket.socket) -> None:
        bell, heard = self._peers[peer]
        try:
            more = peer.recv(MESSAGE_MAX_BYTES)
        except OSError:
            more = b""
        heard += more
        if more and b"\n" not in heard and len(heard) <= MESSAGE_MAX_BYTES:
            self._peers[peer] = (bell, heard)
            return
        arguments: list[str] | None = None
        with contextlib.suppress(ValueError):
            arguments = decode(heard.partition(b"\n")[0])
        if arguments is not None:
            with contextlib.suppress(OSError):
                peer.send(b"ok\n")
        self._forget(peer)
        if arguments is not None:
            self.asked.emit(arguments)

    def _forget(self, peer: socket.socket) -> None:
        bell, _ = self._peers.pop(peer)
        bell.setEnabled(False)
        bell.deleteLater()
        peer.close()


def _listen(path: Path) -> socket.socket:
    """A listening socket that only this user may open. What listened here before was killed: nobody answers its file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.bind(str(path))
        path.chmod(0o600)
        server.listen(8)
        server.setblocking(False)
    except OSError:
        server.close()
        raise
    return server
