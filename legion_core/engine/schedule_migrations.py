"""What schedules, actors and webhooks are kept in. Apart from `schedule_store`, so that a node without any need not load that."""

from legion_core.storage.sqlite import Migration

MIGRATIONS = (
    Migration(
        name="schedules-0001",
        sql="""
        CREATE TABLE schedules(
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, spec BLOB NOT NULL,
            who TEXT NOT NULL, state TEXT NOT NULL, problem TEXT NOT NULL DEFAULT '', anchor INTEGER NOT NULL,
            due INTEGER NOT NULL, next INTEGER NOT NULL, fencing INTEGER NOT NULL DEFAULT 0, running TEXT NOT NULL DEFAULT '',
            created INTEGER NOT NULL, changed INTEGER NOT NULL
        );
        CREATE INDEX schedules_next ON schedules(next) WHERE next > 0;
        CREATE TABLE occurrences(
            n INTEGER PRIMARY KEY, schedule TEXT NOT NULL, at INTEGER NOT NULL, decided INTEGER NOT NULL,
            status TEXT NOT NULL, task TEXT NOT NULL DEFAULT '', run TEXT NOT NULL DEFAULT '', reason BLOB,
            count INTEGER NOT NULL DEFAULT 1, fencing INTEGER NOT NULL, owner TEXT NOT NULL, UNIQUE(schedule, at)
        );
        CREATE INDEX occurrences_waiting ON occurrences(schedule, at) WHERE status = 'waiting';
        """,
    ),
    Migration(
        name="actors-0001",
        sql="""
        CREATE TABLE leases(
            name TEXT PRIMARY KEY, owner TEXT NOT NULL, fencing INTEGER NOT NULL, since INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE actor_memory(name TEXT PRIMARY KEY, value BLOB NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
        """,
    ),
    Migration(
        name="webhooks-0001",
        sql="""
        CREATE TABLE hooks(
            name TEXT PRIMARY KEY, spec BLOB NOT NULL, who TEXT NOT NULL, state TEXT NOT NULL,
            created INTEGER NOT NULL, changed INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE deliveries(
            n INTEGER PRIMARY KEY, hook TEXT NOT NULL, delivery TEXT NOT NULL, at INTEGER NOT NULL,
            status TEXT NOT NULL, task TEXT NOT NULL, run TEXT NOT NULL, reason BLOB, bytes INTEGER NOT NULL,
            UNIQUE(hook, delivery)
        );
        CREATE INDEX deliveries_at ON deliveries(hook, n);
        """,
    ),
    Migration(
        name="schedules-0002",
        sql="""
        CREATE INDEX occurrences_task ON occurrences(task) WHERE task <> '';
        CREATE INDEX occurrences_run ON occurrences(run) WHERE run <> '';
        """,
    ),
)
