"""Loads Qt's bindings without their import hook."""

import builtins
import importlib


def load_qt() -> None:
    """Import PySide6 and put Python's own import back; raises ImportError where Qt's libraries are missing.

    PySide6 replaces `__import__` to serve `from __feature__ import …`, which nothing here uses: it reads the source of
    every module imported afterwards, and keeps it. That made each start a sixth slower and held 10 MB for good.
    """
    before = builtins.__import__
    try:
        importlib.import_module("PySide6.QtCore")
    finally:
        builtins.__import__ = before
    importlib.import_module("PySide6.QtWidgets")
