"""`dragoman generate`: continues a text, as it is drawn."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from typing import Annotated

import typer

from dragoman_client.cli.connection import (
    DEFAULT_SECONDS,
    DEFAULT_SERVER,
    Json,
    ModelName,
    Server,
    Timeout,
    connect,
    model_named,
)
from dragoman_client.cli.json_output import model_values, print_json
from dragoman_client.lines import one_line
from dragoman_client.options import GenerationOptions
from dragoman_client.results import (
    GenerationChunk,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
)

Prompt = Annotated[str, typer.Argument(metavar="[PROMPT]", show_default=False)]
MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", "-n", metavar="N", show_default="100")
]
MinTokens = Annotated[int | None, typer.Option(metavar="N", show_default="0")]
Temperature = Annotated[
    float | None, typer.Option("--temperature", "-t", show_default="1", help="0: no chance.")
]
TopK = Annotated[int | None, typer.Option(metavar="K")]
TopP = Annotated[float | None, typer.Option(metavar="P", show_default="1")]
MinP = Annotated[float | None, typer.Option(metavar="P", show_default="0")]
TypicalP = Annotated[float | None, typer.Option(metavar="P", show_default="1")]
RepetitionPenalty = Annotated[float | None, typer.Option(metavar="FACTOR", show_default="1")]
NoRepeatNgramSize = Annotated[int | None, typer.Option(metavar="N")]
Stop = Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Ends before it; repeatable.")]
Samples = Annotated[
    int | None,
    typer.Option(metavar="N", help="Continuations, each printed whole, on a line of its own."),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Draws the same again.")]
BeamWidth = Annotated[
    int | None,
    typer.Option("--beam-width", "-b", metavar="N", help="Searches the most probable text."),
]
NBest = Annotated[int | None, typer.Option(metavar="N", help="With --beam-width.")]


def generate(
    prompt: Prompt = "",
    model: ModelName = "",
    max_tokens: MaxTokens = None,
    min_tokens: MinTokens = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    typical_p: TypicalP = None,
    repetition_penalty: RepetitionPenalty = None,
    no_repeat_ngram_size: NoRepeatNgramSize = None,
    stop: Stop = None,
    samples: Samples = None,
    seed: Seed = None,
    beam_width: BeamWidth = None,
    n_best: NBest = None,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Continue a text: it is printed as it is drawn, and Ctrl-C stops it, here and in the server.

    With several samples, or texts of a beam search, a line holds the number of the sample and its
    text, with a tab between.
    """
    options = GenerationOptions(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, typical_p=typical_p,
        seed=seed, sample_count=samples, max_tokens=max_tokens, min_tokens=min_tokens,
        stop_strings=tuple(stop or ()), repetition_penalty=repetition_penalty,
        no_repeat_ngram_size=no_repeat_ngram_size, beam_width=beam_width, n_best=n_best,
    )  # fmt: skip
    several = (samples or 1) > 1 or (n_best or 1) > 1
    with (
        connect(server, timeout) as client,
        closing(client.generate(prompt, model=model_named(model), options=options)) as events,
    ):
        if json:
            _print_json(prompt, events)
        elif several:
            _print_lines(events)
        else:
            _print_stream(events)


def _print_stream(events: Iterable[GenerationEvent]) -> None:
    try:
        for event in events:
            if isinstance(event, GenerationChunk):
                sys.stdout.write(event.text)
                sys.stdout.flush()
    finally:
        sys.stdout.write("\n")


def _print_lines(events: Iterable[GenerationEvent]) -> None:
    texts: dict[int, str] = defaultdict(str)
    for event in events:
        if isinstance(event, GenerationChunk):
            texts[event.sample_index] += event.text
        elif isinstance(event, GenerationFinished):
            text = one_line(texts[event.sample_index])
            sys.stdout.write(f"{event.sample_index + 1}\t{text}\n")
            sys.stdout.flush()


def _print_json(prompt: str, events: Iterable[GenerationEvent]) -> None:
    texts: dict[int, str] = defaultdict(str)
    started: GenerationStarted | None = None
    for event in events:
        if isinstance(event, GenerationStarted):
            started = event
        elif isinstance(event, GenerationChunk):
            texts[event.sample_index] += event.text
        elif started is not None:
            print_json(
                prompt=prompt, sample=event.sample_index + 1, text=texts[event.sample_index],
                finish_reason=event.finish_reason, token_count=event.token_count,
                log_prob=event.log_prob, score=event.score, seed=started.seed,
                **model_values(started.model),
            )  # fmt: skip
