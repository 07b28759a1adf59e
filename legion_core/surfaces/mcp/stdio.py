"""`legion mcp` where no node runs: a node of this process answers, over standard input and output."""

import asyncio
import threading
from typing import TYPE_CHECKING, BinaryIO

from legion_core.kernel.ports import Principal
from legion_core.kernel.supervise import Supervisor
from legion_core.surfaces.mcp.shim import FRAME_BYTES_MAX

if TYPE_CHECKING:
    from legion_core.api.facade import Legion


async def serve(
    legion: "Legion", supervisor: Supervisor, who: Principal, source: BinaryIO, sink: BinaryIO
) -> None:
    """Answer `who` until the input ends. Loads the SDK."""
    import anyio
    import mcp_types as types
    from mcp.shared.message import SessionMessage

    from legion_core.surfaces.mcp.server import McpServer

    server = McpServer(legion, legion.events, supervisor, own=who)
    told, heard = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
    answers, to_write = anyio.create_memory_object_stream[SessionMessage](0)
    lines: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=64)
    loop = asyncio.get_running_loop()

    def read() -> None:
        while line := source.readline(FRAME_BYTES_MAX):
            asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()
        asyncio.run_coroutine_threadsafe(lines.put(None), loop).result()

    async def take() -> None:
        async with told:
            while (line := await lines.get()) is not None:
                if not line.strip():
                    continue
                try:
                    message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
                except ValueError as error:
                    await told.send(error)
                else:
                    await told.send(SessionMessage(message))

    async def write() -> None:
        async with to_write:
            async for message in to_write:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                sink.write(text.encode() + b"\n")
                sink.flush()

    threading.Thread(target=read, name="mcp-stdin", daemon=True).start()
    async with anyio.create_task_group() as group:
        group.start_soon(take)
        group.start_soon(write)
        await server.sdk.run(heard, answers, server.sdk.create_initialization_options())
        server.close()
        group.cancel_scope.cancel()
