"""The synchronous client."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from types import TracebackType
from typing import TypeVar, cast, overload

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
    ServerError,
    UnavailableError,
)
from dragoman_client.image_methods import ImageMethods
from dragoman_client.options import (
    AnalogyMethod,
    GenerationOptions,
    LengthNormalization,
    ScoringOptions,
    SearchOptions,
    TranslationOptions,
    WordLookup,
)
from dragoman_client.queries import Query
from dragoman_client.requests import Model, PhrasesOfEach
from dragoman_client.responses import ItemResult
from dragoman_client.results import (
    GenerationEvent,
    HealthStatus,
    Hypothesis,
    ModelCard,
    ModelInfo,
    ModelState,
    Neighbors,
    Similarity,
    TextScore,
    Translation,
    TranslationScores,
    WordVector,
)
from dragoman_client.status_errors import FailedCall, error_of_call, not_ready
from dragoman_client.stream_retries import StreamRetries
from dragoman_client.translation_streams import OnSummary, OrderedStream
from dragoman_client.word_test_sets import (
    EvaluationProgress,
    WordTestSet,
    WordVectorEvaluation,
)

Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")
Item = TypeVar("Item")

_PAUSE_BEFORE_ASKING_AGAIN = 0.1  # seconds, where a server that starts was found and lost again


class Client(ImageMethods):
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

    # --- word vectors ---
    # A str is a Sequence[str] as well: where the overloads overlap, the first one holds.

    @overload
    def embed(  # type: ignore[overload-overlap]
        self,
        words: str,
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        normalize: bool = False,
        timeout: float | None = None,
    ) -> WordVector: ...

    @overload
    def embed(
        self,
        words: Sequence[str],
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        normalize: bool = False,
        timeout: float | None = None,
    ) -> list[ItemResult[WordVector]]: ...

    def embed(
        self,
        words: str | Sequence[str],
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        normalize: bool = False,
        timeout: float | None = None,
    ) -> OneOrMany[WordVector]:
        """The vector of a word, or of each of many; ``normalize`` scales them to length 1."""
        call = calls.embed(words, model=model, lookup=lookup, normalize=normalize)
        return self._run(call, timeout)

    @overload
    def similarity(
        self,
        first: str,
        second: str,
        /,
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        timeout: float | None = None,
    ) -> Similarity: ...

    @overload
    def similarity(
        self,
        pairs: Sequence[tuple[str, str]],
        /,
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        timeout: float | None = None,
    ) -> list[ItemResult[Similarity]]: ...

    def similarity(
        self,
        first: str | Sequence[tuple[str, str]],
        second: str | None = None,
        /,
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        timeout: float | None = None,
    ) -> OneOrMany[Similarity]:
        """The cosine of two words, or of each of many pairs."""
        call = calls.similarity(first, second, model=model, lookup=lookup)
        return self._run(call, timeout)

    @overload
    def nearest(  # type: ignore[overload-overlap]
        self,
        queries: Query,
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        timeout: float | None = None,
    ) -> Neighbors: ...

    @overload
    def nearest(
        self,
        queries: Sequence[Query],
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        timeout: float | None = None,
    ) -> list[ItemResult[Neighbors]]: ...

    def nearest(
        self,
        queries: Query | Sequence[Query],
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        timeout: float | None = None,
    ) -> OneOrMany[Neighbors]:
        """The words nearest to a word, a vector or a weighted sum of words, or to each of many."""
        call = calls.nearest(queries, model=model, options=options)
        return self._run(call, timeout)

    @overload
    def analogy(
        self,
        a: str,
        b: str,
        c: str,
        /,
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        method: AnalogyMethod | None = None,
        timeout: float | None = None,
    ) -> Neighbors: ...

    @overload
    def analogy(
        self,
        questions: Sequence[tuple[str, str, str]],
        /,
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        method: AnalogyMethod | None = None,
        timeout: float | None = None,
    ) -> list[ItemResult[Neighbors]]: ...

    def analogy(
        self,
        a: str | Sequence[tuple[str, str, str]],
        b: str | None = None,
        c: str | None = None,
        /,
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        method: AnalogyMethod | None = None,
        timeout: float | None = None,
    ) -> OneOrMany[Neighbors]:
        """Completes "a is to b as c is to ...", or each of many such questions.

        ``method`` is how a candidate is scored; THREE_COS_ADD unless it says otherwise.
        """
        call = calls.analogy(a, b, c, model=model, options=options, method=method)
        return self._run(call, timeout)

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

    # --- translation ---

    @overload
    def translate(  # type: ignore[overload-overlap]
        self,
        sources: str,
        *,
        model: Model = "",
        options: TranslationOptions | None = None,
        target_prefix: str = "",
        required_phrases: Sequence[str] = (),
        banned_phrases: Sequence[str] = (),
        timeout: float | None = None,
    ) -> Translation: ...

    @overload
    def translate(
        self,
        sources: Sequence[str],
        *,
        model: Model = "",
        options: TranslationOptions | None = None,
        target_prefix: str | Sequence[str] = "",
        required_phrases: PhrasesOfEach = (),
        banned_phrases: PhrasesOfEach = (),
        timeout: float | None = None,
    ) -> list[ItemResult[Translation]]: ...

    def translate(
        self,
        sources: str | Sequence[str],
        *,
        model: Model = "",
        options: TranslationOptions | None = None,
        target_prefix: str | Sequence[str] = "",
        required_phrases: PhrasesOfEach = (),
        banned_phrases: PhrasesOfEach = (),
        timeout: float | None = None,
    ) -> OneOrMany[Translation]:
        """Translates a text, or each of many.

        ``target_prefix`` is what each translation begins with: one for all, or one for each.
        ``required_phrases`` is what each contains, ``banned_phrases`` what none does, beside those
        of the options: a list for all texts, or a list for each.
        """
        call = calls.translate(
            sources, model=model, options=options, target_prefix=target_prefix,
            required_phrases=required_phrases, banned_phrases=banned_phrases,
        )  # fmt: skip
        return self._run(call, timeout)

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

    def score_targets(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        model: Model = "",
        length_normalization: LengthNormalization | None = None,
        length_penalty: float | None = None,
        return_alignments: bool = False,
        timeout: float | None = None,
    ) -> list[ItemResult[Hypothesis]]:
        """How probable given translations are: pairs of a source and its translation."""
        call = calls.score_targets(
            pairs, model=model, length_normalization=length_normalization,
            length_penalty=length_penalty, return_alignments=return_alignments,
        )  # fmt: skip
        return self._run(call, timeout)

    def score(
        self,
        hypotheses: Sequence[str],
        references: Sequence[str],
        *,
        options: ScoringOptions | None = None,
        timeout: float | None = None,
    ) -> TranslationScores:
        """BLEU, chrF and TER of translations, against one reference each."""
        call = calls.score(hypotheses, references, options=options)
        return self._run(call, timeout)

    # --- language models ---

    @overload
    def score_texts(  # type: ignore[overload-overlap]
        self,
        texts: str,
        *,
        contexts: str | None = None,
        model: Model = "",
        return_tokens: bool = False,
        exclude_end_of_text: bool = False,
        timeout: float | None = None,
    ) -> TextScore: ...

    @overload
    def score_texts(
        self,
        texts: Sequence[str],
        *,
        contexts: Sequence[str] | None = None,
        model: Model = "",
        return_tokens: bool = False,
        exclude_end_of_text: bool = False,
        timeout: float | None = None,
    ) -> list[ItemResult[TextScore]]: ...

    def score_texts(
        self,
        texts: str | Sequence[str],
        *,
        contexts: str | Sequence[str] | None = None,
        model: Model = "",
        return_tokens: bool = False,
        exclude_end_of_text: bool = False,
        timeout: float | None = None,
    ) -> OneOrMany[TextScore]:
        """How probable a text is to a language model, or each of many, after its context."""
        call = calls.score_texts(
            texts, contexts, model=model, return_tokens=return_tokens,
            exclude_end_of_text=exclude_end_of_text,
        )  # fmt: skip
        return self._run(call, timeout)

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
        stream = self._channel.unary_stream(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response_type.FromString,
        )(call.request, timeout=seconds)
        try:
            for response in stream:
                yield call.read(response)
        except grpc.RpcError as error:
            raise self._error(error, seconds) from None
        finally:
            stream.cancel()

    # --- images: classify, detect, embed_images and verify are in ImageMethods ---

    # --- models ---

    def list_models(
        self,
        *,
        family: str = "",
        states: Sequence[ModelState] = (),
        timeout: float | None = None,
    ) -> list[ModelInfo]:
        """Every version of every model that the server has, of one family or in some states."""
        models: list[ModelInfo] = []
        token = ""
        while True:
            call = calls.list_models(family=family, states=states, page_token=token)
            page = self._run(call, timeout)
            models += page.models
            token = page.next_page_token
            if not token:
                return models

    def get_model(self, model: Model, *, timeout: float | None = None) -> ModelCard:
        """One model with its card."""
        return self._run(calls.get_model(model), timeout)

    def load_model(
        self, model: Model, *, pin: bool = False, timeout: float | None = None
    ) -> ModelInfo:
        """Has a model of the server's repository loaded, warmed up, and described once it answers;
        without a version the highest one. With ``pin`` it answers from now on the calls that name
        no version, whatever higher ones there are."""
        return self._run(calls.load_model(model, pin=pin), timeout)

    def unload_model(self, model: Model, *, timeout: float | None = None) -> list[ModelInfo]:
        """Takes a version, or all of a model, out of the server's memory once the calls that it
        answers have ended."""
        return self._run(calls.unload_model(model), timeout)

    # --- health ---

    def check_health(self, service: str = "", *, timeout: float | None = None) -> HealthStatus:
        """Whether a service answers calls; the empty name stands for the server as a whole.

        Raises:
            NotFoundError: the server has no such service.
        """
        return self._run(calls.check_health(service), timeout)

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
