"""The calls that a server in use gets: of all models, made by Dragoman's own client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from tests.benchmarks.serving.serving_run import SENTENCES, WORDS

from dragoman_client import (
    AsyncClient,
    GenerationFinished,
    GenerationOptions,
    Retries,
    TranslationOptions,
)

Answer: TypeAlias = object
Call: TypeAlias = Callable[[AsyncClient, int, float], Awaitable[Answer]]

NEVER_AGAIN = Retries(attempts=1)  # every refusal is to be seen
_TOKENS = 20
_LANGUAGE_MODEL_TEXTS = tuple(f"The {word} was there before the rain came." for word in WORDS)


async def translate(client: AsyncClient, number: int, deadline: float) -> Answer:
    """A sentence by beam search of width 5."""
    text = SENTENCES[number % len(SENTENCES)]
    options = TranslationOptions(beam_width=5)
    found = await client.translate(text, model="fr-en", options=options, timeout=deadline)
    return found.hypotheses[0].text


async def embed(client: AsyncClient, number: int, deadline: float) -> Answer:
    """The vector of a word."""
    found = await client.embed(WORDS[number % len(WORDS)], timeout=deadline)
    return tuple(found.values)


async def nearest(client: AsyncClient, number: int, deadline: float) -> Answer:
    """The ten words that are nearest to one."""
    found = await client.nearest(WORDS[number % len(WORDS)], timeout=deadline)
    return tuple(neighbor.word for neighbor in found.neighbors)


async def score(client: AsyncClient, number: int, deadline: float) -> Answer:
    """How probable a text is; in nats, to three places."""
    text = _LANGUAGE_MODEL_TEXTS[number % len(_LANGUAGE_MODEL_TEXTS)]
    found = await client.score_texts(text, timeout=deadline)
    return round(found.log_prob, 3)


async def generate(client: AsyncClient, number: int, deadline: float) -> Answer:
    """Twenty tokens, drawn with a seed."""
    options = GenerationOptions(seed=number, max_tokens=_TOKENS)
    text, finished = "", False
    async for event in client.generate("Once", options=options, timeout=deadline):
        finished = finished or isinstance(event, GenerationFinished)
        text += getattr(event, "text", "")
    if not finished:
        raise AssertionError("the text has no end")
    return text


@dataclass(frozen=True, kw_only=True)
class MixedCall:
    """A kind of call; of a hundred calls, `share` are of it. `repeats` is whether the same call
    has the same answer, whatever it shares a batch with."""

    name: str
    make: Call
    share: int
    repeats: bool = True


MIXED_CALLS = (
    MixedCall(name="translate", make=translate, share=30),
    MixedCall(name="embed", make=embed, share=25),
    MixedCall(name="nearest", make=nearest, share=25),
    MixedCall(name="score", make=score, share=10),
    MixedCall(name="generate", make=generate, share=10, repeats=False),
)


def mixed_call(number: int) -> MixedCall:
    """The call of that number; any hundred in a row have the shares of `MIXED_CALLS`."""
    place = number * 37 % 100  # 37 and 100 have no common divisor: every place comes once
    for one in MIXED_CALLS:
        if place < one.share:
            return one
        place -= one.share
    raise AssertionError("the shares are not a hundred")
