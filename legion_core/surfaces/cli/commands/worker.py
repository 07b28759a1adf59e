"""`legion worker`."""

import argparse
import asyncio
import signal
from contextlib import suppress

from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting


def worker(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`worker`: takes tasks of every process on this home until told to end."""
    if args.calls:
        # How a packaged program, which has no `-m`, starts the process for one function's calls.
        from legion_core.engine.cpu_child import main

        return Outcome(None, status=main())
    return asyncio.run(_work(setting))


async def _work(setting: Setting) -> Outcome:
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt instead
            loop.add_signal_handler(number, told_to_end.set)
    async with setting.open_node(setting.home.root, env=setting.env, serve=False) as node:
        await node.legion.tasks.work()
        await node.legion.schedules.work()
        await node.legion.actors.work()
        setting.say(f"Takes tasks of {setting.home.root}. Ctrl-C stops it.")
        await told_to_end.wait()
        setting.say("Stopping.")
    return Outcome({"state": "stopped"}, "Stopped.")


ACTIONS: Actions = {None: worker}
