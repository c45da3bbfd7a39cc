"""The synchronous client."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from types import TracebackType
from typing import TypeVar, cast

import grpc
from google.protobuf.message import Message

from dragoman_client import batch_calls, calls, streams, translation_streams
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
from dragoman_client.methods.images import ImageMethods
from dragoman_client.methods.language_models import LanguageModelMethods
from dragoman_client.methods.models import ModelMethods
from dragoman_client.methods.translation import TranslationMethods
from dragoman_client.methods.word_vectors import WordVectorMethods
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


class Client(
    WordVectorMethods, TranslationMethods, LanguageModelMethods, ImageMethods, ModelMethods
):
    """Calls a Dragoman server and waits for its answers. Safe to use from several threads.

    Close it, or use it in a ``with`` statement. Each call takes one item or many. One item gives
    its answer, or raises. Many give a list in the same order, in which an item that failed is
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
        connection = connection_to(
            address, retries=retries, max_answer_bytes=max_answer_bytes, tls=tls, token=token
        )
        self.address = connection.address
        self.timeout = checked_seconds(timeout)
        self._retries = retries
        self._channel = connection.channel()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancels the calls in flight and frees the connection."""
        self._channel.close()

    # --- streams; what gets one answer to one request is in ``methods`` ---

    def embed_stream(
        self,
        words: Iterable[str],
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        normalize: bool = False,
        batch_size: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[ItemResult[WordVector]]:
        """The vectors of any number of words, in order and in constant memory.

        Words are read as answers are taken, ``batch_size`` at a time (256 by default), and two
        batches ahead. A word that failed is represented by its error. What the words' own
        iterator raises ends the call. One model version answers all of them.

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
        queries: Iterable[Query],
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        batch_size: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[ItemResult[Neighbors]]:
        """The words nearest to any number of queries, in order and in constant memory.

        ``batch_size`` is 64 by default. What is said of ``embed_stream`` holds here too.
        """
        call = batch_calls.nearest_stream(model=model, options=options, batch_size=batch_size)
        return self._stream(call, queries, timeout)

    def evaluate_word_vectors(
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
        with closing(self._events(call, timeout)) as events:
            for event in events:
                if isinstance(event, EvaluationProgress):
                    on_progress(event)
                elif event is not None:
                    return event
        raise ServerError("the server ended the evaluation without a result")

    def translate_stream(
        self,
        texts: Iterable[str],
        *,
        model: Model = "",
        options: TranslationOptions | None = None,
        target_prefix: str = "",
        required_phrases: Sequence[str] = (),
        on_summary: OnSummary = lambda _: None,
        timeout: float | None = None,
    ) -> Iterator[ItemResult[Translation]]:
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
        return translation_streams.translations(
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

    def generate(
        self,
        prompt: str,
        *,
        model: Model = "",
        options: GenerationOptions | None = None,
        timeout: float | None = None,
    ) -> Generator[GenerationEvent, None, None]:
        """Continues a prompt: first what answers, then pieces of text as they are drawn, and the
        end of each sample. Closing the generator stops the server's work at its next step."""
        call = calls.generate(prompt, model=model, options=options)
        seconds = self.timeout if timeout is None else checked_seconds(timeout)
        yield from self._events(call, seconds)

    # --- health ---

    def wait_until_ready(self, service: str = "", *, timeout: float = 60.0) -> None:
        """Waits until the server, or one service of it, answers calls; also for one that starts.

        Raises:
            DeadlineExceededError: it did not within ``timeout`` seconds.
        """
        deadline = time.monotonic() + checked_seconds(timeout)
        while (left := deadline - time.monotonic()) > 0:
            try:
                if self._saw_serving(calls.check_health(service, watch=True), left):
                    return
            except DeadlineExceededError:
                break
            except UnavailableError:
                pass
            left = max(deadline - time.monotonic(), 0)
            time.sleep(min(_PAUSE_BEFORE_ASKING_AGAIN, left))
        raise not_ready(self.address, service, timeout)

    def _saw_serving(self, call: Call[Response, HealthStatus], timeout: float) -> bool:
        """Watches until the service serves, or until the server ends the watch."""
        stream = self._channel.unary_stream(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response_type.FromString,
        )(call.request, timeout=timeout, wait_for_ready=True)
        try:
            return any(call.read(response) is HealthStatus.SERVING for response in stream)
        except grpc.RpcError as error:
            raise self._error(error, timeout) from None
        finally:
            stream.cancel()

    # --- what all calls share ---

    def _finished(self, job: ImageJob[Answer], timeout: float | None) -> OneOrMany[Answer]:
        """The outcome of all batches; an image too large for any call fails in its place."""
        for batch in job.batches():
            try:
                results = self._run(job.call_of(batch), timeout)
            except QuotaExceededError as error:
                if not job.refused(batch, error):
                    raise
            else:
                job.answered(batch, results)
        return job.outcome()

    def _stream(
        self, call: BatchCall[Item, Response, Answer], items: Iterable[Item], timeout: float | None
    ) -> Iterator[ItemResult[Answer]]:
        seconds = None if timeout is None else checked_seconds(timeout)
        return streams.answers(
            self._channel,
            call,
            items,
            retries=StreamRetries(self._retries, seconds),
            error_of=lambda error: self._error(error, seconds or math.inf),
        )

    def _events(
        self, call: Call[Response, Answer], timeout: float
    ) -> Generator[Answer, None, None]:
        """The events of a call that answers with a stream; cancels it where they are not wanted."""
        stream = self._channel.unary_stream(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response_type.FromString,
        )(call.request, timeout=checked_seconds(timeout))
        try:
            for response in stream:
                yield call.read(response)
        except grpc.RpcError as error:
            raise self._error(error, timeout) from None
        finally:
            stream.cancel()

    def _run(self, call: Call[Response, Answer], timeout: float | None) -> Answer:
        seconds = self.timeout if timeout is None else checked_seconds(timeout)
        send = self._channel.unary_unary(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response_type.FromString,
        )
        try:
            response = send(call.request, timeout=seconds)
        except grpc.RpcError as error:
            raise self._error(error, seconds) from None
        return call.read(response)

    def _error(self, error: grpc.RpcError, timeout: float) -> DragomanClientError:
        failed = cast(FailedCall, error)  # gRPC's errors of calls are calls themselves
        return error_of_call(failed, address=self.address, timeout=timeout)
