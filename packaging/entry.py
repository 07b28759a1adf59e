"""Where the packaged application begins."""

import sys

from app.__main__ import main

# There is no `-m` without an interpreter: a module started so is the native child.
if sys.argv[1:3] == ["-m", "legion_core.workers.child"]:
    sys.argv[1:3] = ["--child"]
sys.exit(main())
