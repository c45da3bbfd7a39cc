# ruff: noqa: ASYNC109 - a timeout here is a deadline that the server learns of
"""The asynchronous client, for asyncio."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Sequence,
)
from contextlib import aclosing
from types import TracebackType
from typing import TypeVar, cast

import grpc
from google.protobuf.message import Message

from dragoman_client import aio_streams, aio_translation_streams, batch_calls, calls
from dragoman_client.aio_methods.images import AsyncImageMethods
from dragoman_client.aio_methods.language_models import AsyncLanguageModelMethods
from dragoman_client.aio_methods.models import AsyncModelMethods
from dragoman_client.aio_methods.translation import AsyncTranslationMethods
from dragoman_client.aio_methods.word_vectors import AsyncWordVectorMethods
from dragoman_client.batch_calls import BatchCall
from dragoman_client.calls import Call, OneOrMany
from dragoman_client.channel import (
    DEFAULT_ADDRESS,
    DEFAULT_MAX_ANSWER_BYTES,
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    LONGEST_EVALUATION,
    Retries,
    checked_seconds,
)
from dragoman_client.connecting import connection_to
from dragoman_client.credentials import Tls
from dragoman_client.errors import (
    DeadlineExceededError,
    DragomanClientError,
    QuotaExceededError,
    ServerError,
    UnavailableError,
)
from dragoman_client.image_jobs import ImageJob
from dragoman_client.options import (
    AnalogyMethod,
    GenerationOptions,
    SearchOptions,
    TranslationOptions,
    WordLookup,
)
from dragoman_client.queries import Query
from dragoman_client.requests.fields import Model
from dragoman_client.responses import ItemResult
from dragoman_client.results import (
    GenerationEvent,
    HealthStatus,
    Neighbors,
    Translation,
    WordVector,
)
from dragoman_client.status_errors import FailedCall, error_of_call, not_ready
from dragoman_client.stream_retries import StreamRetries
from dragoman_client.translation_streams import OnSummary, OrderedStream
from dragoman_client.word_test_sets import EvaluationProgress, WordTestSet, WordVectorEvaluation

Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")
Item = TypeVar("Item")

_PAUSE_BEFORE_ASKING_AGAIN = 0.1  # seconds, where a server that starts was found and lost again


class AsyncClient(
    AsyncWordVectorMethods,
    AsyncTranslationMethods,
    AsyncLanguageModelMethods,
    AsyncImageMethods,
    AsyncModelMethods,
):
    """Calls a Dragoman server and waits for its answers, many at once in one event loop.

    Close it, or use it in an ``async with`` statement. Each call takes one item or many. One item
    gives its answer, or raises. Many give a list in the same order, in which an item that failed is
    represented by its DragomanClientError, so that the rest is not lost; what concerns the call as
    a whole raises.

    Every call has a deadline (a stream only where one is given), and one that finds the server
    UNAVAILABLE is sent again, when the server wants it (see ``Retries``). The ``model`` of a call
    is a name, a ``ModelVersion``, or empty for the server's default.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retries: Retries = DEFAULT_RETRIES,
        max_answer_bytes: int = DEFAULT_MAX_ANSWER_BYTES,
        tls: Tls | None = None,
        token: str | None = None,
    ) -> None:
        """Connects at the first call.

        Args:
            address: HOST:PORT of the server.
            timeout: seconds that a call may take, retries included, unless it says otherwise.
            retries: how calls are sent again.
            max_answer_bytes: a larger answer is refused.
            tls: encrypts the connection; without it, all is sent in plaintext.
            token: goes with every call; only over TLS, or to a server on this machine.
        Raises:
            ValueError: the address is not HOST:PORT, the timeout not above 0, a file of ``tls``
                not what it should be, or the token would be sent in plaintext over the network.
        """
        self._connection = connection_to(
            address, retries=retries, max_answer_bytes=max_answer_bytes, tls=tls, token=token
        )
        self.address = self._connection.address
        self.timeout = checked_seconds(timeout)
        self._retries = retries
        # gRPC binds a channel to the event loop that runs when it is made: the first call's.
        self._opened: grpc.aio.Channel | None = None

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancels the calls in flight and frees the connection."""
        if self._opened is not None:
            await self._opened.close()

    # --- streams; what gets one answer to one request is in ``aio_methods`` ---

    def embed_stream(
        self,
        words: Iterable[str] | AsyncIterable[str],
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        normalize: bool = False,
        batch_size: int | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[ItemResult[WordVector]]:
        """The vectors of any number of words, in order and in constant memory.

        Words, which an asynchronous iterable may give, too, are read as answers are taken,
        ``batch_size`` at a time (256 by default), and two batches ahead. A word that failed is
        represented by its error. What the words' own iterator raises ends the call. One model
        version answers all of them.

        Args:
            timeout: seconds that the whole stream may take. Without it, the server ends one that
                gave no answer for long, 300 s by default.
        Raises:
            DragomanClientError: the stream failed as a whole; what came before it stands.
        """
        call = batch_calls.embed_stream(
            model=model, lookup=lookup, normalize=normalize, batch_size=batch_size
        )
        return self._stream(call, words, timeout)

    def nearest_stream(
        self,
        queries: Iterable[Query] | AsyncIterable[Query],
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        batch_size: int | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[ItemResult[Neighbors]]:
        """The words nearest to any number of queries, in order and in constant memory.

        ``batch_size`` is 64 by default. What is said of ``embed_stream`` holds here too.
        """
        call = batch_calls.nearest_stream(model=model, options=options, batch_size=batch_size)
        return self._stream(call, queries, timeout)

    async def evaluate_word_vectors(
        self,
        test_sets: Sequence[WordTestSet],
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        analogy_method: AnalogyMethod | None = None,
        max_rank: int | None = None,
        on_progress: Callable[[EvaluationProgress], None] = lambda _: None,
        timeout: float = LONGEST_EVALUATION,
    ) -> WordVectorEvaluation:
        """Measures word vectors on sets of judged pairs and of analogies.

        Args:
            max_rank: looks for the answers of analogies only among this many most frequent words.
            on_progress: called every now and then; what it raises ends the evaluation.
        Raises:
            DragomanClientError: the evaluation failed as a whole. The error of one set stands in
                its place among the results.
        """
        call = calls.evaluate_word_vectors(
            test_sets, model=model, lookup=lookup, analogy_method=analogy_method, max_rank=max_rank
        )
        async with aclosing(self._events(call, timeout)) as events:
            async for event in events:
                if isinstance(event, EvaluationProgress):
                    on_progress(event)
                elif event is not None:
                    return event
        raise ServerError("the server ended the evaluation without a result")

    def translate_stream(
        self,
        texts: Iterable[str] | AsyncIterable[str],
        *,
        model: Model = "",
        options: TranslationOptions | None = None,
        target_prefix: str = "",
        required_phrases: Sequence[str] = (),
        on_summary: OnSummary = lambda _: None,
        timeout: float | None = None,
    ) -> AsyncIterator[ItemResult[Translation]]:
        """Translates any number of texts, in order and in constant memory.

        Texts are read as answers are taken, up to 256 ahead. A text that failed is represented by
        its error. What the texts' own iterator raises ends the call. One model version answers all
        of them, which the summary names.

        Args:
            on_summary: called at the end with what the server counted.
            timeout: seconds that the whole stream may take. Without it, the server ends one that
                gave no answer for long, 300 s by default.
        Raises:
            DragomanClientError: the stream failed as a whole; what came before it stands.
        """
        seconds = None if timeout is None else checked_seconds(timeout)
        return aio_translation_streams.translations(
            self._channel,
            OrderedStream(
                model=model, options=options, target_prefix=target_prefix,
                required_phrases=required_phrases,
            ),
            texts,
            retries=StreamRetries(self._retries, seconds),
            error_of=lambda error: self._error(error, seconds or math.inf),
            on_summary=on_summary,
        )  # fmt: skip

    async def generate(
        self,
        prompt: str,
        *,
        model: Model = "",
        options: GenerationOptions | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Continues a prompt: first what answers, then pieces of text as they are drawn, and the
        end of each sample. Closing the generator stops the server's work at its next step."""
        call = calls.generate(prompt, model=model, options=options)
        seconds = self.timeout if timeout is None else checked_seconds(timeout)
        async with aclosing(self._events(call, seconds)) as events:
            async for event in events:
                yield event

    # --- health ---

    async def wait_until_ready(self, service: str = "", *, timeout: float = 60.0) -> None:
        """Waits until the server, or one service of it, answers calls; also for one that starts.

        Raises:
            DeadlineExceededError: it did not within ``timeout`` seconds.
        """
        deadline = time.monotonic() + checked_seconds(timeout)
        while (left := deadline - time.monotonic()) > 0:
            try:
                if await self._saw_serving(calls.check_health(service, watch=True), left):
                    return
            except DeadlineExceededError:
                break
            except UnavailableError:
                pass
            await asyncio.sleep(
                min(_PAUSE_BEFORE_ASKING_AGAIN, max(deadline - time.monotonic(), 0))
            )
        raise not_ready(self.address, service, timeout)

    async def _saw_serving(self, call: Call[Response, HealthStatus], timeout: float) -> bool:
        """Watches until the service serves, or until the server ends the watch."""
        stream = self._channel.unary_stream(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response_type.FromString,
        )(call.request, timeout=timeout, wait_for_ready=True)
        try:
            async for response in stream:
                if call.read(response) is HealthStatus.SERVING:
                    return True
        except grpc.RpcError as error:
            raise self._error(error, timeout) from None
        finally:
            stream.cancel()
        return False

    # --- what all calls share ---

    async def _finished(self, job: ImageJob[Answer], timeout: float | None) -> OneOrMany[Answer]:
        """The outcome of all batches; an image too large for any call fails in its place."""
        batches = job.batches()
        # Files are read in a thread: others of the event loop do not wait for a disk.
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            try:
                results = await self._run(job.call_of(batch), timeout)
            except QuotaExceededError as error:
                if not job.refused(batch, error):
                    raise
            else:
                job.answered(batch, results)
        return job.outcome()

    @property
    def _channel(self) -> grpc.aio.Channel:
        if self._opened is None:
            self._opened = self._connection.aio_channel()
        return self._opened

    def _stream(
        self,
        call: BatchCall[Item, Response, Answer],
        items: Iterable[Item] | AsyncIterable[Item],
        timeout: float | None,
    ) -> AsyncIterator[ItemResult[Answer]]:
        seconds = None if timeout is None else checked_seconds(timeout)
        return aio_streams.answers(
            self._channel,
            call,
            items,
            retries=StreamRetries(self._retries, seconds),
            error_of=lambda error: self._error(error, seconds or math.inf),
        )

    async def _events(
        self, call: Call[Response, Answer], timeout: float
    ) -> AsyncGenerator[Answer, None]:
        """The events of a call that answers with a stream; cancels it where they are not wanted."""
        stream = self._channel.unary_stream(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response_type.FromString,
        )(call.request, timeout=checked_seconds(timeout))
        try:
            async for response in stream:
                yield call.read(response)
        except grpc.RpcError as error:
            raise self._error(error, timeout) from None
        finally:
            stream.cancel()

    async def _run(self, call: Call[Response, Answer], timeout: float | None) -> Answer:
        seconds = self.timeout if timeout is None else checked_seconds(timeout)
        send = self._channel.unary_unary(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response_type.FromString,
        )
        try:
            response = await send(call.request, timeout=seconds)
        except grpc.RpcError as error:
            raise self._error(error, seconds) from None
        return call.read(response)

    def _error(self, error: grpc.RpcError, timeout: float) -> DragomanClientError:
        failed = cast(FailedCall, error)  # gRPC's errors of calls are calls themselves
        return error_of_call(failed, address=self.address, timeout=timeout)
