"""Conversations marked private: nothing of them leaves this machine, whatever a request pins.

The mark is read anew for every request, so that it holds at once for every process on one journal.
"""

import msgspec

from legion_core.gateway.types import Request
from legion_core.storage.sqlite import Connection, Database, Migration, execute, row

MIGRATIONS = (
    Migration(
        name="privacy-0001",
        sql="CREATE TABLE private_conversations(id TEXT PRIMARY KEY) WITHOUT ROWID;",
    ),
    Migration(
        name="privacy-0002",
        # Whoever deletes a conversation for good takes its mark with it.
        sql="""
        CREATE TRIGGER private_of_deleted AFTER DELETE ON conversations BEGIN
            DELETE FROM private_conversations WHERE id = old.id;
        END;
        """,
    ),
)


class Privacy:
    """Keeps the marks of one journal."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def marked(self, request: Request) -> Request:
        """`request`, private if its conversation is; one that is private by itself stays so."""
        if (
            request.is_private
            or not request.conversation_id
            or not await self.is_private(request.conversation_id)
        ):
            return request
        return msgspec.structs.replace(request, is_private=True)

    async def is_private(self, conversation_id: str) -> bool:
        """Whether the conversation is marked."""
        return await self._database.read(
            lambda connection: (
                row(connection, "SELECT 1 FROM private_conversations WHERE id = ?", [conversation_id])
                is not None
            )
        )

    async def mark(self, conversation_id: str, is_private: bool) -> None:
        """Set or take away the mark; one for a conversation that does not exist yet holds from its first request."""

        def work(connection: Connection) -> None:
            sql = "DELETE FROM private_conversations WHERE id = ?"
            if is_private:
                sql = "INSERT OR IGNORE INTO private_conversations VALUES(?)"
            execute(connection, sql, [conversation_id])

        await self._database.write(work)
