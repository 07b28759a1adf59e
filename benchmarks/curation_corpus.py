"""The corpus of the curation figures: which sessions a seed has, and how their tokens are mixed.

Lengths follow the buckets of the published table (docs/curation-corpus.md): a turn is one request, that is one message
of the assistant; a conversation counts in the bucket of its last turn, with all its requests.
"""

import math
from collections.abc import Iterator
from random import Random

from benchmarks.curation_session import Agent
from benchmarks.curation_truth import Session, Step
from benchmarks.curation_words import sentence
from legion_core.gateway.types import Message, TextBlock

# bucket, first and last turn, how many conversations a seed has of it, naive tokens a turn as published
BUCKETS = (
    ("1", 1, 1, 6, 1_295),
    ("2-3", 2, 3, 4, 1_336),
    ("4-5", 4, 5, 3, 13_382),
    ("6-9", 6, 9, 3, 19_376),
    ("10-19", 10, 19, 4, 50_360),
    ("20-49", 20, 49, 4, 90_019),
    ("50+", 50, 1_000, 4, 1_127_381),
)


def bucket_of(turns: int) -> str:
    """The bucket's name for a conversation of so many turns."""
    return next(name for name, low, high, _, _ in BUCKETS if turns <= high or name == "50+")


def lengths(seed: int, bucket: str) -> list[int]:
    """How many turns each conversation of the bucket has: even in the logarithm, one out of each equal part of it."""
    _, low, high, count, _ = next(row for row in BUCKETS if row[0] == bucket)
    rng = Random(f"lengths {seed} {bucket}")
    ratio = math.log((high + 1) / low)
    return [min(high, int(low * math.exp(ratio * (part + rng.random()) / count))) for part in range(count)]


def session(seed: int, bucket: str, turns: int, number: int = 0) -> Session:
    """One conversation; the same for the same arguments on every machine."""
    name = f"{seed}/{bucket}/{number}/{turns}"
    return _chat(name, turns) if turns <= 3 else Agent(name, turns).play()


def sessions(
    seed: int, buckets: tuple[str, ...] = tuple(row[0] for row in BUCKETS)
) -> Iterator[tuple[str, Session]]:
    """All conversations of a seed, bucket by bucket."""
    for bucket in buckets:
        for number, turns in enumerate(lengths(seed, bucket)):
            yield bucket, session(seed, bucket, turns, number)


def _chat(name: str, turns: int) -> Session:
    """A question or two without tools."""
    rng = Random(name)
    made = Session(
        name, ("You are a helpful assistant.\n" + " ".join(sentence(rng, 10, 20) for _ in range(50)),)
    )
    added: list[Message] = []
    for turn in range(turns):
        added.append(
            Message(
                role="user",
                content=(TextBlock(text=" ".join(sentence(rng) for _ in range(rng.randint(2, 60)))),),
            )
        )
        made.steps.append(Step(tuple(added), 60.0 * turn))
        answer = Message(
            role="assistant",
            content=(TextBlock(text=" ".join(sentence(rng) for _ in range(rng.randint(3, 30)))),),
        )
        added = [answer]
        made.last = answer
    return made
