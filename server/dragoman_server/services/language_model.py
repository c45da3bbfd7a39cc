"""LanguageModelService: texts scored, and continued as a stream."""

# ruff: noqa: N802 - the names of the calls are those of the API.

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from dragoman.v1 import decoding_pb2, language_model_service_pb2_grpc
from dragoman.v1 import language_model_service_pb2 as pb
from dragoman_models.errors import InvalidInputError
from dragoman_server.config import Limits
from dragoman_server.generation_loop import Drawing, GenerationLoop
from dragoman_server.interceptors.handlers import Context
from dragoman_server.model_protocols import TextModel
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelVersion
from dragoman_server.served_families import LANGUAGE_MODEL_SERVICE
from dragoman_server.services.batched_items import run_items
from dragoman_server.services.counts import count_violations
from dragoman_server.services.generation_requests import (
    completion_options,
    generation_options,
    sample_count,
)
from dragoman_server.services.model_selection import answered_by, selected
from dragoman_server.services.text_scoring import text_scoring_lane, text_scoring_works
from dragoman_server.work_queue import WorkQueue

if TYPE_CHECKING:
    from dragoman_models.language_model.generation import GenerationEvent


class LanguageModelService(language_model_service_pb2_grpc.LanguageModelServiceServicer):
    """Answers with the language models of the repository."""

    def __init__(self, repository: ModelRepository, queue: WorkQueue, limits: Limits) -> None:
        self._repository = repository
        self._queue = queue
        self._limits = limits
        self._loops: dict[tuple[str, int], GenerationLoop] = {}  # of the versions that draw

    async def Score(
        self, request: pb.LanguageModelServiceScoreRequest, context: object
    ) -> pb.LanguageModelServiceScoreResponse:
        violations = count_violations("texts", len(request.texts), self._limits.texts)
        if violations:
            raise InvalidInputError(violations)
        version = selected(self._repository, LANGUAGE_MODEL_SERVICE, request.model)
        results = await run_items(
            self._queue.batcher,
            text_scoring_lane(version, request, self._limits),
            lambda wanted: text_scoring_works(version, request, self._limits, wanted),
            sum(len(item.context) + len(item.text) for item in request.texts),
        )
        return pb.LanguageModelServiceScoreResponse(model=answered_by(version), results=results)

    async def Generate(
        self, request: pb.GenerateRequest, context: Context
    ) -> AsyncIterator[pb.GenerateResponse]:
        most = self._limits.text_characters
        if len(request.prompt) > most:
            raise InvalidInputError.single(
                "prompt",
                f"has {len(request.prompt):,} characters; this server takes {most:,}: shorten it",
            )
        samples = sample_count(request.options)
        version = selected(self._repository, LANGUAGE_MODEL_SERVICE, request.model)
        beam = request.options.WhichOneof("strategy") == "beam_search"
        answers = (
            self._search(version, request)
            if beam
            else self._draw(version, request, samples, context)
        )
        async with aclosing(answers):
            async for answer in answers:
                yield answer

    # --- sampling ---

    async def _draw(
        self, version: ModelVersion, request: pb.GenerateRequest, samples: int, context: Context
    ) -> AsyncGenerator[pb.GenerateResponse, None]:
        options = generation_options(request.options)
        model: TextModel = version.model
        tokens = await self._queue.run(lambda _: model.prompt_tokens(request.prompt))
        sampling = request.options.sampling
        seed = sampling.seed if sampling.HasField("seed") else secrets.randbits(64)
        arrived: asyncio.Queue[list[GenerationEvent] | Exception] = asyncio.Queue()
        event_loop = asyncio.get_running_loop()

        def deliver(events: "list[GenerationEvent] | Exception") -> None:
            with suppress(RuntimeError):  # the event loop is closed: nobody listens any more
                event_loop.call_soon_threadsafe(arrived.put_nowait, events)

        drawing = Drawing(
            prompt=request.prompt, tokens=tokens, options=options, seed=seed, samples=samples,
            deliver=deliver,
        )  # fmt: skip
        key = (version.name, version.version)
        loop = self._loops.setdefault(key, GenerationLoop(model, self._limits.samples))
        loop.join(drawing)
        # When the caller goes away, this is what hears of it first.
        context.add_done_callback(lambda _: loop.leave(drawing))  # type: ignore[arg-type]
        try:
            started = pb.GenerationStarted(
                model=answered_by(version), prompt_token_count=len(tokens) - 1, seed=seed
            )
            yield pb.GenerateResponse(started=started)
            unfinished = samples
            while unfinished:
                events = await arrived.get()
                if isinstance(events, Exception):
                    raise events
                for event in events:
                    for response in _event_responses(model, event, request.options.return_tokens):
                        yield response
                    unfinished -= event.finish_reason is not None
        finally:
            loop.leave(drawing)
            if not loop.samples:  # an idle loop must not keep a model in memory
                self._loops.pop(key, None)

    # --- beam search ---

    async def _search(
        self, version: ModelVersion, request: pb.GenerateRequest
    ) -> AsyncGenerator[pb.GenerateResponse, None]:
        options = completion_options(request.options)
        if options.beam_width > self._limits.beam_width:
            text = f"is {options.beam_width}; this server takes {self._limits.beam_width}"
            raise InvalidInputError.single("options.beam_search.beam_width", text)
        model: TextModel = version.model
        prompt_length = len(await self._queue.run(lambda _: model.prompt_tokens(request.prompt)))
        started = pb.GenerationStarted(
            model=answered_by(version), prompt_token_count=prompt_length - 1
        )
        yield pb.GenerateResponse(started=started)
        found = await self._queue.run(
            lambda flag: model.complete(request.prompt, options, cancelled=flag.is_cancelled),
            cost=prompt_length + options.beam_width * options.max_tokens,
        )
        for rank, completion in enumerate(found):
            chunk = pb.GenerationChunk(sample_index=rank, text=completion.text)
            if request.options.return_tokens:
                chunk.tokens.extend(completion.tokens)
                chunk.token_log_probs.extend(completion.token_log_probs)
            yield pb.GenerateResponse(chunk=chunk)
            finished = pb.GenerationFinished(
                sample_index=rank,
                finish_reason=_finish_reason(completion.finish_reason.value),
                token_count=len(completion.tokens),
                log_prob=completion.log_prob,
                score=completion.score,
            )
            yield pb.GenerateResponse(finished=finished)


def _event_responses(
    model: TextModel, event: "GenerationEvent", with_tokens: bool
) -> list[pb.GenerateResponse]:
    """The chunk of a step, where it has anything to say, and the end where it is one."""
    generation, responses = event.generation, []
    if event.text or with_tokens:
        chunk = pb.GenerationChunk(sample_index=generation.index, text=event.text)
        if with_tokens:
            chunk.tokens.append(model.token_text(event.token))
            chunk.token_log_probs.append(event.token_log_prob)
        responses.append(pb.GenerateResponse(chunk=chunk))
    if event.finish_reason is not None:
        finished = pb.GenerationFinished(
            sample_index=generation.index,
            finish_reason=_finish_reason(event.finish_reason.value),
            token_count=len(generation.tokens),
            log_prob=generation.log_prob,
        )
        responses.append(pb.GenerateResponse(finished=finished))
    return responses


def _finish_reason(name: str) -> decoding_pb2.FinishReason.ValueType:
    return {
        "end_of_text": decoding_pb2.FINISH_REASON_END_OF_SEQUENCE,
        "max_length": decoding_pb2.FINISH_REASON_MAX_LENGTH,
        "stop_string": decoding_pb2.FINISH_REASON_STOP_STRING,
    }[name]
