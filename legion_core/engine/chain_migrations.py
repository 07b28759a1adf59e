"""The tables of chains and their runs; see `engine.chain_store`."""

from legion_core.storage.sqlite import Migration

MIGRATIONS = (
    Migration(
        name="engine-chains-0001",
        sql="""
        CREATE TABLE chains(
            name TEXT NOT NULL, version INTEGER NOT NULL, document BLOB NOT NULL, text TEXT NOT NULL,
            applied INTEGER NOT NULL, who TEXT NOT NULL, is_deleted INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY(name, version)
        );
        CREATE TABLE runs(
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, chain TEXT NOT NULL, version INTEGER NOT NULL,
            status TEXT NOT NULL, reason BLOB, input BLOB NOT NULL, pins BLOB NOT NULL, result BLOB,
            is_dry INTEGER NOT NULL, parent TEXT NOT NULL, parent_run TEXT NOT NULL, depth INTEGER NOT NULL,
            root TEXT NOT NULL, replay_of TEXT NOT NULL, replay_from TEXT NOT NULL, who TEXT NOT NULL,
            cancelled_by TEXT NOT NULL DEFAULT '', finished INTEGER NOT NULL DEFAULT 0,
            mark TEXT NOT NULL DEFAULT '', created INTEGER NOT NULL, ended INTEGER
        );
        CREATE INDEX runs_chain ON runs(chain, n);
        CREATE INDEX runs_status ON runs(status, n);
        CREATE INDEX runs_parent ON runs(parent) WHERE parent <> '';
        CREATE INDEX runs_ended ON runs(ended) WHERE ended IS NOT NULL;
        CREATE TABLE run_steps(
            run TEXT NOT NULL, seq INTEGER NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL, at INTEGER NOT NULL,
            decisions BLOB, held BLOB, mark TEXT NOT NULL, PRIMARY KEY(run, seq)
        ) WITHOUT ROWID;
        CREATE TABLE run_origins(task TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
        """,
    ),
)
