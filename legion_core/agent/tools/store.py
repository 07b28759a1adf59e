"""Which tools a chat uses, what was called in it, and which yeses stand: kept in the journal, gone with the chat."""

from collections.abc import Sequence

import msgspec

from legion_core.agent.tools.types import ChatCall, Yes
from legion_core.gateway.conversation_types import ChatMessage
from legion_core.gateway.tool_turns import LOST
from legion_core.storage.sqlite import Connection, Database, Migration, Value, execute, row, rows

CALLS_SHOWN = 2_000

MIGRATIONS = (
    Migration(
        name="chat-tools-0001",
        sql="""
        CREATE TABLE chat_tools(
            conversation_id TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY(conversation_id, source)
        ) WITHOUT ROWID;
        CREATE TABLE chat_calls(
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, conversation_id TEXT NOT NULL, source TEXT NOT NULL,
            state TEXT NOT NULL, record BLOB NOT NULL
        );
        CREATE INDEX chat_calls_of ON chat_calls(conversation_id, n);
        CREATE TABLE chat_yeses(
            conversation_id TEXT NOT NULL, tool TEXT NOT NULL, record BLOB NOT NULL, PRIMARY KEY(conversation_id, tool)
        ) WITHOUT ROWID;
        CREATE TRIGGER chat_tools_of_deleted AFTER DELETE ON conversations BEGIN
            DELETE FROM chat_tools WHERE conversation_id = old.id;
            DELETE FROM chat_calls WHERE conversation_id = old.id;
            DELETE FROM chat_yeses WHERE conversation_id = old.id;
        END;
        """,
    ),
)

_encode = msgspec.json.Encoder().encode
_read_call = msgspec.json.Decoder(ChatCall).decode
_read_yes = msgspec.json.Decoder(Yes).decode


class ToolStore:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sources(self, conversation_id: str) -> tuple[str, ...]:
        """What is switched on in this chat."""
        found = await self._database.read(
            lambda connection: rows(
                connection,
                "SELECT source FROM chat_tools WHERE conversation_id = ? ORDER BY source",
                [conversation_id],
            )
        )
        return tuple(str(each[0]) for each in found)

    async def switch(self, conversation_id: str, source: str, is_on: bool) -> None:
        """Use the tools of this source in this chat, or no longer."""
        sql = "DELETE FROM chat_tools WHERE conversation_id = ? AND source = ?"
        if is_on:
            sql = "INSERT OR IGNORE INTO chat_tools VALUES(?,?)"
        await self._database.write(lambda connection: execute(connection, sql, [conversation_id, source]))

    async def put(self, *calls: ChatCall) -> None:
        """Keep these calls, in place of what was known of them."""

        def work(connection: Connection) -> None:
            for call in calls:
                values: list[Value] = [call.conversation_id, call.source, call.state, _encode(call), call.id]
                sql = "UPDATE chat_calls SET conversation_id = ?, source = ?, state = ?, record = ? WHERE id = ?"
                if execute(connection, sql, values) == 0:
                    execute(
                        connection,
                        "INSERT INTO chat_calls(conversation_id, source, state, record, id) VALUES(?,?,?,?,?)",
                        values,
                    )

        await self._database.write(work)

    async def calls(self, conversation_id: str) -> tuple[ChatCall, ...]:
        """What was called in this chat, in order; the last ones, where there are very many."""
        found = await self._database.read(
            lambda connection: rows(
                connection,
                "SELECT record FROM chat_calls WHERE conversation_id = ? ORDER BY n DESC LIMIT ?",
                [conversation_id, CALLS_SHOWN],
            )
        )
        return tuple(_read_call(_bytes(each[0])) for each in reversed(found))

    async def calls_of(self, answer: ChatMessage) -> dict[str, ChatCall]:
        """What is known of the calls of one answer, by the ids they have in the conversation."""
        calls = await self.calls(answer.conversation_id)
        return {call.call_id: call for call in calls if call.answer_id == answer.id}

    async def is_unsure(self, conversation_id: str, tool: str) -> bool:
        """Whether the end of a call of this tool is not known, and no later answer's call of it was allowed since."""
        lost = "SELECT 1 FROM chat_calls WHERE conversation_id = ? AND state = 'lost' LIMIT 1"
        if await self._database.read(lambda connection: row(connection, lost, [conversation_id])) is None:
            return False
        answer_id = ""
        for call in await self.calls(conversation_id):
            if call.tool != tool:
                continue
            if call.state == "lost":
                answer_id = call.answer_id
            elif call.state in ("done", "failed") and call.decision and call.answer_id != answer_id:
                answer_id = ""
        return bool(answer_id)

    def put_nowait(self, call: ChatCall) -> None:
        """Keep what is known of a call by now; it outlives the process as soon as the writer gets to it."""
        sql = "UPDATE chat_calls SET record = ? WHERE id = ?"
        record = _encode(call)
        self._database.write_nowait(
            lambda connection: execute(connection, sql, [record, call.id]), durability="process"
        )

    async def give_up_open(self) -> int:
        """Say of every call a killed process left open that its end is not known; how many there were."""
        found = await self._database.read(
            lambda connection: rows(
                connection, "SELECT record FROM chat_calls WHERE state IN ('waiting', 'running') ORDER BY n"
            )
        )
        left = [_read_call(_bytes(each[0])) for each in found]
        if left:
            await self.put(*(_lost(call) for call in left))
        return len(left)

    async def heard(self, conversation_id: str) -> frozenset[str]:
        """The sources whose words stand in this chat."""
        found = await self._database.read(
            lambda connection: rows(
                connection,
                "SELECT DISTINCT source FROM chat_calls WHERE conversation_id = ? AND state IN ('done', 'failed')",
                [conversation_id],
            )
        )
        return frozenset(str(each[0]) for each in found)

    async def yes(self, conversation_id: str, tool: str) -> tuple[Yes, ...]:
        """The yeses to this tool that hold in this chat."""
        found = await self._database.read(
            lambda connection: rows(
                connection,
                "SELECT record FROM chat_yeses WHERE tool = ? AND conversation_id IN (?, '')",
                [tool, conversation_id],
            )
        )
        return tuple(_read_yes(_bytes(each[0])) for each in found)

    async def yeses(self) -> tuple[Yes, ...]:
        """Those that hold in every chat."""
        found = await self._database.read(
            lambda connection: rows(
                connection, "SELECT record FROM chat_yeses WHERE conversation_id = '' ORDER BY tool"
            )
        )
        return tuple(_read_yes(_bytes(each[0])) for each in found)

    async def keep_yes(self, yes: Yes) -> None:
        """Let it stand."""
        values: Sequence[Value] = [yes.conversation_id, yes.tool, _encode(yes)]
        await self._database.write(
            lambda connection: execute(
                connection, "INSERT OR REPLACE INTO chat_yeses VALUES(?,?,?)", list(values)
            )
        )

    async def forget_yes(self, tool: str) -> bool:
        """Ask for this tool again, in every chat; False if no yes stood."""
        gone = await self._database.write(
            lambda connection: execute(connection, "DELETE FROM chat_yeses WHERE tool = ?", [tool])
        )
        return gone > 0

    async def exists(self, conversation_id: str) -> bool:
        """Whether there is such a chat."""
        return (
            await self._database.read(
                lambda connection: row(
                    connection, "SELECT 1 FROM conversations WHERE id = ?", [conversation_id]
                )
            )
            is not None
        )


def _lost(call: ChatCall) -> ChatCall:
    if call.state == "waiting":
        return msgspec.structs.replace(
            call, state="stopped", result="The workbench stopped while this waited."
        )
    told = f"{LOST} It was task {call.task}." if call.task else LOST
    return msgspec.structs.replace(call, state="lost", result=told)


def _bytes(value: Value) -> bytes:
    assert isinstance(value, bytes | str)
    return value if isinstance(value, bytes) else value.encode()
