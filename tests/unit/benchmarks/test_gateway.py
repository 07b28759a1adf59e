"""What `benchmarks.gateway` is told by: its upstream's answers, its client's reading, and its judgement."""

from benchmarks.gateway import Measured, expected, figures
from benchmarks.gateway_client import Incoming, Reply, percentile
from benchmarks.gateway_upstream import TOKENS_MAX, burst, whole

CHUNKED = burst(0, 5)


def read(raw: bytes, size: int) -> Reply:
    incoming = Incoming()
    done = [incoming.feed(raw[at : at + size]) for at in range(0, len(raw), size)]
    assert done.count(True) == 1
    assert done[-1]
    return incoming.reply()


def test_a_streamed_answer_is_read_the_same_however_it_is_cut() -> None:
    for size in (7, 64, 100_000):
        reply = read(CHUNKED, size)
        assert (reply.status, reply.text, reply.is_done) == (200, expected(5), True)


def test_a_whole_answer_says_the_same_as_a_streamed_one() -> None:
    assert read(whole(0, 5), 10_000).text == read(CHUNKED, 10_000).text


def test_an_answer_that_goes_on_begins_behind_what_was_given() -> None:
    assert read(burst(60, TOKENS_MAX), 4096).text == expected(TOKENS_MAX)[len(expected(60)) :]


def test_the_nearest_rank_is_a_value_that_was_seen() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0


def test_a_ratio_is_that_of_the_medians_and_a_latency_what_was_added_in_each_round() -> None:
    ours = Measured(
        [1.5, 1.6, 9.0], [2.0] * 3, [1.0] * 3, [100.0] * 3, [10.0] * 3, [20.0] * 3, [1.0] * 3, 40.0
    )
    theirs = Measured(
        [9.0] * 3, [9.0] * 3, [9.0] * 3, [2000.0] * 3, [500.0] * 3, [400.0] * 3, [1.0] * 3, 300.0
    )
    direct = Measured([1.0, 1.0, 8.0], [1.0] * 3, [0.5] * 3)
    cell = {"is_exact": True, "error": False, "ledger": 200, "billed": 200, "is_done": True, "lost": 0}
    silent = {**cell, "is_exact": False, "lost": 140}

    found = figures(
        {"legion": ours, "direct": direct, "litellm": theirs}, {"legion": [cell], "litellm": [silent]}, 3
    )

    assert (found["request_cpu_ratio"], found["event_cpu_ratio"], found["paced_event_cpu_ratio"]) == (
        20,
        50,
        20,
    )
    assert found["added_p50_ms"] == 0.6
    assert (found["failover_not_exact"], found["failover_ledger_off"]) == (0, 0)
    assert (found["litellm_failover_not_exact"], found["litellm_failover_silent"]) == (1, 1)
