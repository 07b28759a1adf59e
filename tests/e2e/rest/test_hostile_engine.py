"""What an adversary sends to tasks, chains, schedules and webhooks of a real node: refused as the caller's fault, and nothing breaks."""

import http.client
import json
from urllib.parse import quote, urlsplit

import pytest

DEEP = 100_000
EVIL_NAMES = [
    "..", "../../etc/passwd", "..%2f..%2f", "a/b", "a\\b", "\x00", "a\x00b", "é" * 40, "CON", "-rf", "'; DROP TABLE tasks;--",
    "{{ 7*7 }}", "%s%n", "x" * 5_000, "\u202egnp", "__proto__", "chain:a", " ", "~", ".", "t" + "9" * 40,
]  # fmt: skip
ONES = (
    "/api/v1/tasks/{}", "/api/v1/tasks/{}/logs", "/api/v1/chains/{}", "/api/v1/chains/{}/versions", "/api/v1/runs/{}",
    "/api/v1/runs/{}/nodes/{}", "/api/v1/runs/{}/edges/{}", "/api/v1/schedules/{}", "/api/v1/schedules/{}/runs",
    "/api/v1/extensions/{}", "/api/v1/extensions/functions/{}", "/api/v1/hooks/{}", "/api/v1/hooks/{}/deliveries",
)  # fmt: skip
ACTS = (
    "/api/v1/tasks/{}/cancel", "/api/v1/tasks/{}/retry", "/api/v1/chains/{}/run", "/api/v1/chains/{}/rename",
    "/api/v1/runs/{}/cancel", "/api/v1/runs/{}/replay", "/api/v1/schedules/{}/pause", "/api/v1/schedules/{}/resume",
    "/api/v1/schedules/{}/run", "/hooks/{}",
)  # fmt: skip
TAKERS = (
    "/api/v1/tasks", "/api/v1/tasks/batch", "/api/v1/chains", "/api/v1/chains/check", "/api/v1/chains/preview",
    "/api/v1/chains/render", "/api/v1/conditions/explain", "/api/v1/schedules", "/api/v1/schedules/preview",
    "/api/v1/hooks", "/api/v1/extensions",
)  # fmt: skip
CURSORS = ["", "t", "t-1", "t" + "9" * 30, "x", "t1; DROP", "\x00", "'", "t1.5", "∞"]


def bodies() -> dict[str, bytes]:
    """Made when asked for, being large."""
    return {
        "deep list": b"[" * DEEP + b"]" * DEEP,
        "deep args": b'{"task":"log.message.write","args":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
        "deep when": b'{"payload":{},"when":' + b'{"all":[' * DEEP + b"]}" * DEEP + b"}",
        "deep chain": b'{"name":"a","nodes":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
        "a million keys": b"{" + b",".join(b'"k%d":1' % number for number in range(1_000_000)) + b"}",
        "not UTF-8": b'{"task":"\xff\xfe\xc3("}',
        "UTF-16": '{"task":"a"}'.encode("utf-16"),
        "half a pair": b'{"task":"\\ud800"}',
        "NUL": b'{"task":"a\\u0000b","name":"a\\u0000b"}',
        "NaN": b'{"task":"log.message.write","delay_s":NaN}',
        "a huge number": b'{"task":"log.message.write","delay_s":1e999,"priority":' + b"9" * 5_000 + b"}",
        "a negative delay": b'{"task":"log.message.write","args":{"message":"a"},"delay_s":-1}',
        "trailing garbage": b'{"task":"log.message.write"}{}',
        "nothing": b"",
        "null": b"null",
        "a number": b"7",
        "oversized": b'{"task":"log.message.write","args":{"message":"' + b"x" * (1 << 20) + b'"}}',
    }


class Door:
    """One connection, opened anew where the node closed it."""

    def __init__(self, url: str, token: str) -> None:
        self._host, self._token = urlsplit(url).netloc, token
        self._connection = http.client.HTTPConnection(self._host, timeout=300)

    def ask(self, method: str, path: str, body: bytes | None = None, **more: str) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._token}", **more}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, ConnectionError):
            self._connection.close()
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def door(url: str, token: str):  # type: ignore[no-untyped-def]
    made = Door(url, token)
    yield made
    assert made.ask("GET", "/readyz")[0] == 200
    made.close()


def refused(status: int, body: bytes, what: object) -> None:
    """The caller's fault, in our words, without a trace of our insides."""
    assert 400 <= status < 500, (what, status, body[:300])
    error = json.loads(body)["error"]
    assert error["code"], what
    assert error["message"], what
    assert b"Traceback" not in body
    assert b"sqlite" not in body.lower(), what


@pytest.mark.slow
def test_a_name_that_is_none_finds_nothing_and_leads_nowhere(door: Door) -> None:
    for name in EVIL_NAMES:
        word = quote(name, safe="")
        for path in ONES:
            status, body = door.ask("GET", path.replace("{}", word))
            if status == 200:  # a list of what a gone thing did is empty, not an error
                assert json.loads(body)["data"] in ([], None), (path, name, body[:200])
            else:
                refused(status, body, (path, name))
        for path in ACTS:
            refused(*door.ask("POST", path.replace("{}", word), b"{}"), (path, name))
        for path in ("/api/v1/chains/{}", "/api/v1/schedules/{}", "/api/v1/hooks/{}"):
            refused(*door.ask("DELETE", path.replace("{}", word)), (path, name))


@pytest.mark.slow
def test_a_body_that_is_none_is_the_callers_fault(door: Door) -> None:
    for name, body in bodies().items():
        for path in TAKERS:
            status, said = door.ask("POST", path, body)
            if status < 300:  # what a place ignores or only looks at may be anything
                assert path in ("/api/v1/chains/check", "/api/v1/conditions/explain"), (
                    path,
                    name,
                    status,
                    said[:200],
                )
            else:
                refused(status, said, (path, name))


@pytest.mark.slow
def test_a_cursor_that_is_none_is_refused_and_never_reaches_the_journal(door: Door) -> None:
    for path in ("/api/v1/tasks", "/api/v1/runs", "/api/v1/ledger"):
        for cursor in CURSORS[1:]:
            refused(*door.ask("GET", f"{path}?cursor={quote(cursor)}"), (path, cursor))
        for limit in ("0", "-1", "501", "1e3", "", "9" * 40):
            refused(*door.ask("GET", f"{path}?limit={limit}"), (path, limit))


@pytest.mark.slow
def test_a_key_for_doing_things_once_is_bounded_and_belongs_to_one_body(door: Door) -> None:
    good = json.dumps({"task": "log.message.write", "args": {"message": "a"}}).encode()
    for key in ("x" * 201, "é", "\x7f"):
        refused(*door.ask("POST", "/api/v1/tasks", good, **{"Idempotency-Key": key}), key)
    first = door.ask("POST", "/api/v1/tasks", good, **{"Idempotency-Key": "one"})
    assert first[0] == 201
    assert door.ask("POST", "/api/v1/tasks", good, **{"Idempotency-Key": "one"}) == first
    status, body = door.ask(
        "POST", "/api/v1/tasks", good.replace(b'"a"', b'"b"'), **{"Idempotency-Key": "one"}
    )
    assert status == 409
    refused(status, body, "another body")


@pytest.mark.slow
def test_event_streams_are_bounded_and_the_door_stays_open(door: Door, url: str, token: str) -> None:
    streams: list[http.client.HTTPConnection] = []
    statuses: list[int] = []
    for _ in range(40):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)
        connection.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {token}"})
        streams.append(connection)
        statuses.append(connection.getresponse().status)
    assert statuses.count(200) == 32
    assert statuses.count(429) == 8
    assert door.ask("GET", "/api/v1/tasks")[0] == 200
    for connection in streams:
        connection.close()
