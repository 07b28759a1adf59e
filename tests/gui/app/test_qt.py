"""Qt's bindings are loaded without what they do to every import after them."""

import subprocess
import sys

STARTS = """
import builtins, linecache, sys
before = builtins.__import__
from app.qt import load_qt
load_qt()
assert builtins.__import__ is before
linecache.clearcache()
import app.views.window
kept = [name for name in linecache.cache if "app/views" in name]
assert "PySide6.QtWidgets" in sys.modules and not kept, kept
"""


def test_no_module_is_read_again_and_kept_because_qt_is_loaded() -> None:
    ran = subprocess.run([sys.executable, "-c", STARTS], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
