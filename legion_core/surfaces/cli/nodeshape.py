"""The node at a glance as the command line tells it; apart, because `legion status` imports nothing else."""

from datetime import datetime

import msgspec


class NodeShape(msgspec.Struct, frozen=True, kw_only=True):
    """`api.types.Status`, and whether there is a running node at all; without one only the places are known."""

    is_running: bool = True
    home: str = ""
    token_path: str = ""
    url: str = ""
    problem: str = ""
    version: str = ""
    pid: int = 0
    mode: str = ""
    started_at: datetime | None = None
    uptime_s: float = 0.0
    model: str = ""
    tier: str = ""
    tokens_per_s: float | None = None
    spent_today_usd: float = 0.0
    spent_unknown: int = 0
    conversations: int = 0
