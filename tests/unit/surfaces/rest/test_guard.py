"""S1 to S7: what a web page, a rebound name or a wrong key can reach, which is nothing."""

import asyncio
import json
import os
import re

import pytest
from starlette.routing import Route

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import Conflict
from legion_core.kernel.ids import Ids, system_rng
from legion_core.surfaces.rest import app as rest_app
from legion_core.surfaces.rest import routes
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Raw, Reply
from legion_core.surfaces.rest.limits import Limits
from legion_core.surfaces.rest.server import RestServer
from tests.support.aio import run
from tests.unit.surfaces.raw import TOKEN, Answer, Serving, ask, exchange, parse, request, serving

reached: list[str] = []


async def _reach(desk: Desk, call: Call) -> Reply:
    reached.append(call.who.name)
    return Reply({"got": len(call.body)})


REACH = Operation(
    method="POST", path="/api/v1/reach", name="reach", summary="-", handler=_reach, right=("reach", "use")
)
LOOK = Operation(
    method="GET", path="/api/v1/look", name="look", summary="-", handler=_reach, right=("reach", "use")
)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    reached.clear()


def one(*args: object, limits: Limits | None = None, **keywords: object) -> Answer:
    async def work() -> Answer:
        async with serving(REACH, LOOK, limits=limits) as here:
            return await ask(here, *args, **keywords)

    return run(work())


EVIL_HOSTS = (
    "evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "evil.example",
    "[::1]evil",
    "[::1]evil:{port}",
    "127.0.0.1:1",
    "127.0.0.1",
    "127.0.0.1:{port}@evil.example",
    "localhost.evil:{port}",
    "localhost.:{port}",
    "0.0.0.0:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "127.1:{port}",
    "2130706433:{port}",
    "127.0.0.1:{port}/x",
    "127.0.0.1:{port} evil",
    "",
)


@pytest.mark.parametrize("token", [TOKEN, None], ids=["token", "no-token"])
@pytest.mark.parametrize("host", EVIL_HOSTS)
def test_a_foreign_host_header_is_misdirected_with_and_without_a_token(host: str, token: str | None) -> None:
    answer = one(
        "POST", "/api/v1/reach", "Content-Type: application/json", host=host, token=token, body=b"{}"
    )

    assert answer.status in (400, 421), answer
    assert reached == []


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_our_own_names_are_let_in(host: str) -> None:
    assert one("GET", "/api/v1/look", host=host).status == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_request_without_host_is_refused(version: str) -> None:
    assert one("GET", "/healthz", host=None, version=version).status in (400, 421)


def test_two_host_headers_are_refused_even_if_both_are_ours() -> None:
    assert one("GET", "/api/v1/look", "Host: 127.0.0.1:{port}").status in (400, 421)
    assert reached == []


@pytest.mark.parametrize(
    "target", ["http://evil.example/healthz", "http://127.0.0.1/healthz", "evil.example:80", "*"]
)
def test_a_target_that_is_no_path_is_refused(target: str) -> None:
    assert one("GET", target).status in (400, 421)


EVIL_ORIGINS = (
    "http://evil.example",
    "null",
    "http://localhost.evil",
    "http://127.0.0.1:1",
    "https://127.0.0.1:{port}",
    "file://",
    "http://localhost",
    "",
)


@pytest.mark.parametrize("origin", EVIL_ORIGINS)
@pytest.mark.parametrize("target", ["/healthz", "/api/v1/look"])
def test_a_foreign_origin_is_refused_even_with_a_token(origin: str, target: str) -> None:
    answer = one("GET", target, f"Origin: {origin}")

    assert answer.status == 403
    assert reached == []


def test_our_own_origin_is_let_in() -> None:
    assert one("GET", "/api/v1/look", "Origin: http://localhost:{port}").status == 200


def test_two_origins_of_which_one_is_foreign_are_refused() -> None:
    own = "Origin: http://localhost:{port}"
    assert one("GET", "/api/v1/look", own, "Origin: http://evil.example").status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_picture_on_a_foreign_page_gets_nothing(site: str) -> None:
    assert one("GET", "/healthz", f"Sec-Fetch-Site: {site}", "Sec-Fetch-Mode: no-cors").status == 403


def test_a_websocket_upgrade_is_refused() -> None:
    answer = one(
        "GET",
        "/api/v1/look",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )

    assert answer.status == 400
    assert reached == []


def test_a_pre_flight_is_refused_and_nothing_is_ever_allowed_to_a_page() -> None:
    answer = one(
        "OPTIONS",
        "/api/v1/reach",
        "Origin: http://evil.example",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Private-Network: true",
        token=None,
    )

    assert answer.status == 403
    assert not [name for name, _ in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_methods_nobody_needs_are_refused(method: str) -> None:
    assert one(method, "/api/v1/look").status in (400, 405, 421)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_that_a_form_could_send_is_refused(content_type: str | None) -> None:
    headers = [f"Content-Type: {content_type}"] if content_type else []

    assert one("POST", "/api/v1/reach", *headers, body=b"{}").status == 415
    assert reached == []


def test_a_compressed_body_is_refused() -> None:
    headers = ("Content-Type: application/json", "Content-Encoding: gzip")

    assert one("POST", "/api/v1/reach", *headers, body=b"\x1f\x8b").status == 415


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_liveness_and_readiness_are_open(path: str) -> None:
    answer = one("GET", path, token=None)

    assert answer.status == 200
    assert answer.body in (b"ok\n", b"ready\n")


@pytest.mark.parametrize(
    "path", ["/healthz/", "//healthz", "/healthz;x", "/./healthz", "/x/../healthz", "/readyz%2f"]
)
def test_what_only_looks_like_an_open_path_needs_a_token(path: str) -> None:
    assert one("GET", path, token=None).status == 401


CARRIERS = ("Authorization: Bearer {}", "x-api-key: {}", "api-key: {}", "x-goog-api-key: {}")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_every_carrier_takes_the_token_and_refuses_another(carrier: str) -> None:
    assert one("GET", "/api/v1/look", carrier.format(TOKEN), token=None).status == 200
    assert one("GET", "/api/v1/look", carrier.format("lgn_wrong"), token=None).status == 401


def test_the_key_parameter_takes_the_token_and_refuses_another() -> None:
    for path in ("/v1beta/look", "/v1/models/m/look"):
        assert one("DELETE", f"{path}?key={TOKEN}", token=None).status in (404, 405)
        assert one("DELETE", f"{path}?a=b&key=lgn_wrong", token=None).status == 401


def test_the_key_parameter_is_no_credential_where_only_other_clients_ask() -> None:
    for path in ("/api/v1/look", "/mcp", "/v1/models", "/v1/chat/completions", "/v1betas/models"):
        assert one("GET", f"{path}?key={TOKEN}", token=None).status == 401
    assert reached == []
    assert one("GET", "/api/v1/look?key=other").status == 200


def test_a_query_of_too_many_fields_is_refused_like_a_wrong_token() -> None:
    assert one("GET", f"/v1beta/models?{'key=x&' * 1_001}", token=None).status == 401
    assert reached == []


@pytest.mark.parametrize("carrier", CARRIERS[1:])
def test_two_different_credentials_are_refused(carrier: str) -> None:
    assert one("GET", "/api/v1/look", carrier.format("other")).status == 400
    assert one("GET", "/v1beta/models?key=other").status == 400
    assert one("GET", f"/v1beta/models?key={TOKEN}&key=other", token=None).status == 400
    assert reached == []


def test_the_same_credential_twice_is_one() -> None:
    assert one("GET", f"/v1beta/look?key={TOKEN}", f"x-api-key: {TOKEN}", token=None).status == 404


@pytest.mark.parametrize(
    "value",
    [
        "' OR 1=1 --",
        "Bearer",
        "Bearer ",
        "Basic bGVnaW9uOnRva2Vu",
        "Bearer \xe9\xff",
        f"Bearer {TOKEN} x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer " + "a" * 20_000,
        TOKEN,
    ],
)
def test_a_strange_authorization_is_401_without_a_trace_of_why(value: str) -> None:
    answer = one("GET", "/api/v1/look", f"Authorization: {value}", token=None)

    assert answer.status == 401
    assert b"Traceback" not in answer.body
    assert value.removeprefix("Bearer ").encode("latin-1") not in answer.body or len(value) < 9
    assert reached == []


def test_a_megabyte_in_a_header_is_refused_with_its_reason() -> None:
    assert one("GET", "/api/v1/look", "x-api-key: " + "a" * 1_000_000, token=None).status == 431


def test_a_nul_or_a_bare_newline_in_a_header_is_no_http() -> None:
    assert one("GET", "/api/v1/look", "x-api-key: a\x00b", token=None).status == 400


def test_the_refusal_of_a_missing_token_says_what_to_do() -> None:
    answer = one("GET", "/api/v1/look", token=None)

    assert answer.status == 401
    assert answer.header("www-authenticate") == 'Bearer realm="legion"'
    fault = json.loads(answer.body)["error"]
    assert fault["code"] == "denied"
    assert "LEGION_HOME/token" in fault["hint"]


def test_every_answer_carries_the_security_headers_and_a_fresh_date() -> None:
    for answer in (one("GET", "/api/v1/look"), one("GET", "/nothing"), one("GET", "/healthz", token=None)):
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("cache-control") == "no-store"
        assert answer.header("content-security-policy") is not None
        assert answer.header("date") is not None
        assert answer.header("server") is None
        assert not [name for name, _ in answer.headers if name.startswith("access-control")]


def test_no_route_of_the_running_app_answers_without_token_or_to_a_foreign_page() -> None:
    async def work() -> None:
        async with serving() as here:
            desk = here.server._desk
            table = rest_app.build(desk, routes.operations()).routes
            assert len(table) == len(routes.operations())
            for route in table:
                assert isinstance(route, Route)
                path = re.sub(r"\{\w+\}", "x", route.path_format)
                assert "{" not in path
                for method in route.methods or ():
                    await _is_shut(here, method, path)
            assert here.legion.ops.authorised == []

    run(work())


async def _is_shut(here: Serving, method: str, path: str) -> None:
    body = b"{}" if method in ("POST", "PUT", "PATCH") else b""
    kind = "Content-Type: application/json"
    attacks = {
        "no token": request(method, path, kind, token=None, body=body, port=here.port),
        "wrong token": request(method, path, kind, token="wrong", body=body, port=here.port),
        "host": request(method, path, kind, host="evil.example:{port}", body=body, port=here.port),
        "origin": request(method, path, kind, "Origin: http://evil.example", body=body, port=here.port),
        "null origin": request(method, path, kind, "Origin: null", body=body, port=here.port),
        "picture": request(method, path, kind, "Sec-Fetch-Site: cross-site", body=body, port=here.port),
        "form": request(method, path, "Content-Type: text/plain", body=b"a=b", port=here.port),
        "upgrade": request(
            method, path, "Upgrade: websocket", "Connection: Upgrade", token=None, port=here.port
        ),
    }
    for name, data in attacks.items():
        answer = parse(await exchange(here.port, data))
        is_open = path in ("/healthz", "/readyz") and name in ("no token", "wrong token")
        assert is_open or 400 <= answer.status < 500, (name, method, path, answer)


def test_a_handlers_unforeseen_failure_is_an_id_and_never_a_trace(allow_log: object) -> None:
    async def fail(desk: Desk, call: Call) -> Raw:
        raise RuntimeError("secret is sk-abcdefghijklmnop")

    broken = Operation(
        method="GET", path="/broken", name="broken", summary="-", handler=fail, right=("x", "use")
    )
    allow_log("err_.*unforeseen")  # type: ignore[operator]

    async def work() -> Answer:
        async with serving(broken) as here:
            return await ask(here, "GET", "/broken")

    answer = run(work())

    assert answer.status == 500
    assert b"RuntimeError" not in answer.body
    assert b"sk-abc" not in answer.body
    assert b"err_" in answer.body


def test_the_log_of_an_unforeseen_failure_holds_no_secret(
    allow_log: object, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(desk: Desk, call: Call) -> Raw:
        raise RuntimeError("secret is sk-abcdefghijklmnop")

    broken = Operation(
        method="GET", path="/broken", name="broken", summary="-", handler=fail, right=("x", "use")
    )
    allow_log("unforeseen")  # type: ignore[operator]

    async def work() -> None:
        async with serving(broken) as here:
            await ask(here, "GET", "/broken")

    run(work())

    assert "RuntimeError" in caplog.text
    assert "sk-abcdefghijklmnop" not in caplog.text


def test_a_refused_request_on_a_kept_connection_does_not_spoil_the_next_one() -> None:
    async def work() -> list[int]:
        async with serving(REACH, LOOK) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            statuses = []
            for token in (None, TOKEN, "wrong", TOKEN):
                data = request("GET", "/api/v1/look", token=token, port=here.port)
                writer.write(data.replace(b"Connection: close\r\n", b""))
                head = await reader.readuntil(b"\r\n\r\n")
                answer = parse(head)
                await reader.readexactly(int(answer.header("content-length") or 0))
                statuses.append(answer.status)
            writer.close()
            return statuses

    assert run(work()) == [401, 200, 401, 200]


def test_beyond_loopback_addresses_are_let_in_and_names_still_are_not() -> None:
    async def work() -> list[int]:
        async with serving(LOOK, host="0.0.0.0") as here:
            hosts = ("192.168.7.7:{port}", "localhost:{port}", "evil.example:{port}", "192.168.7.7:1")
            answers = [await ask(here, "GET", "/api/v1/look", host=host) for host in hosts]
            bare = await ask(here, "GET", "/api/v1/look", host=hosts[0], token=None)
            return [*(answer.status for answer in answers), bare.status]

    assert run(work()) == [200, 200, 421, 421, 401]


def test_beyond_loopback_a_strangers_page_at_the_same_port_is_foreign() -> None:
    async def work() -> list[int]:
        async with serving(LOOK, host="0.0.0.0") as here:
            origins = ("http://192.168.7.7:{port}", "http://localhost:{port}", "http://6.6.6.6:{port}")
            return [
                (
                    await ask(here, "GET", "/api/v1/look", f"Origin: {origin}", host="192.168.7.7:{port}")
                ).status
                for origin in origins
            ]

    assert run(work()) == [200, 200, 403]


def test_by_default_only_loopback_is_listened_on() -> None:
    async def work() -> set[str]:
        async with serving() as here:
            listening = here.server._listening
            assert listening is not None
            return {each.getsockname()[0] for each in listening.sockets}

    assert run(work()) <= {"127.0.0.1", "::1"}


def test_a_stranger_on_the_other_loopback_address_is_a_held_port() -> None:
    async def work() -> str:
        async with serving(LOOK) as here:
            other = RestServer(
                here.legion,
                clock=SystemClock(),
                ids=Ids(SystemClock(), system_rng()),
                supervisor=here.supervisor,
            )
            with pytest.raises(Conflict) as raised:
                await other.start(None, here.port)
            await other.stop(1.0)
            return raised.value.message

    assert f"(pid {os.getpid()})" in run(work())
