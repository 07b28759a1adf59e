"""Legion Workbench: the core, free of any window. Importing it costs nothing."""

__version__ = "0.1.0"
