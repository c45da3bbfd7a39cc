"""EvaluateWordVectors: progress and then figures, an error for each set, and work that stops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from tests.server.conftest import MATRIX, WORDS, ready_version
from tests.server.test_services import fields_of, refused_fields

from dragoman.v1 import embedding_service_pb2
from dragoman.v1 import evaluation_service_pb2 as pb
from dragoman.v1.model_pb2 import ModelSelector
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tests.server.conftest import RunningServer, ServerFactory

Code = grpc.StatusCode


def judged(*pairs: tuple[str, str, float], name: str = "pairs") -> pb.WordVectorTestSet:
    items = [pb.JudgedPair(first=a, second=b, judgement=score) for a, b, score in pairs]
    return pb.WordVectorTestSet(name=name, judged_pairs=pb.JudgedPairs(pairs=items))


def solved(*words: tuple[str, str, str, str], name: str = "solved") -> pb.WordVectorTestSet:
    items = [pb.SolvedAnalogy(a=a, b=b, c=c, d=d) for a, b, c, d in words]
    return pb.WordVectorTestSet(name=name, solved_analogies=pb.SolvedAnalogies(analogies=items))


async def events_of(
    server: RunningServer, *sets: pb.WordVectorTestSet, **fields: Any
) -> list[pb.EvaluateWordVectorsResponse]:
    request = pb.EvaluateWordVectorsRequest(test_sets=sets, **fields)
    return [event async for event in server.evaluation.EvaluateWordVectors(request)]


async def test_each_set_has_its_figures_or_its_error(server: RunningServer) -> None:
    *_, last = await events_of(
        server,
        judged(("cat", "cats", 9.0), ("cat", "dog", 2.0), ("CAT", "the", 5.0), ("cat", "x", 1.0)),
        solved(("cats", "cat", "dogs", "dog"), ("cat", "cats", "dog", "the")),
        judged(("unicorn", "griffin", 1.0), ("cat", "unicorn", 2.0), name="unknown"),
        judged(("cat", "dog", 1.0), ("cat", "cats", 1.0), name="equal"),
        solved(("cat", "cats", "dog", "unicorn"), name="none"),
    )
    pairs, analogies, unknown, equal, none = last.evaluation.results
    assert (last.evaluation.model.name, last.evaluation.model.version) == ("animals", 1)
    assert (pairs.score.name, pairs.score.item_count, pairs.score.covered_count) == ("pairs", 4, 3)
    assert pairs.score.spearman == pytest.approx(1.0)
    assert (analogies.score.covered_count, analogies.score.accuracy) == (2, 0.5)
    assert not analogies.score.HasField("spearman")
    precondition = Code.FAILED_PRECONDITION.value[0]
    assert [unknown.error.code, none.error.code] == [precondition] * 2
    assert fields_of(equal.error) == ["test_sets[3].judged_pairs"]


async def test_options_reach_the_model(server: RunningServer) -> None:
    one = solved(("CATS", "CAT", "DOGS", "DOG"))
    (exact,) = (await events_of(server, one, lookup=embedding_service_pb2.WORD_LOOKUP_EXACT))[-1:]
    assert exact.evaluation.results[0].HasField("error")
    for method in (1, 2):
        *_, last = await events_of(server, one, analogy_method=method)
        assert last.evaluation.results[0].score.accuracy == 1.0
    *_, last = await events_of(server, one, max_rank=2)  # the answer is the third word
    assert last.evaluation.results[0].score.accuracy == 0.0


NAN = float("nan")


@pytest.mark.parametrize(
    ("sets", "fields", "wrong"),
    [
        ([], {}, ["test_sets"]),
        ([pb.WordVectorTestSet(name="a")], {}, ["test_sets[0]"]),
        ([solved(("a", "b", "c", "d"))] * 101, {}, ["test_sets"]),
        ([solved(("a", "b", "c", "d")), solved()], {}, ["test_sets[1].solved_analogies.analogies"]),
        ([judged(("a", "b", 1.0), ("a", "", NAN))], {},
         ["test_sets[0].judged_pairs.pairs[1].second",
          "test_sets[0].judged_pairs.pairs[1].judgement"]),
        ([solved(("cat", "cats", "dog", "dogs"))], {"max_rank": 0}, ["max_rank"]),
        ([solved(("cat", "cats", "dog", "dogs"))], {"analogy_method": 9}, ["analogy_method"]),
    ],
)  # fmt: skip
async def test_a_wrong_request_is_refused_by_name(
    server: RunningServer, sets: list[Any], fields: dict[str, Any], wrong: list[str]
) -> None:
    request = pb.EvaluateWordVectorsRequest(test_sets=sets, **fields)
    assert await refused_fields(server.evaluation.EvaluateWordVectors(request).read()) == wrong


async def test_items_over_the_limit_and_other_models_are_refused(
    server_with: ServerFactory,
) -> None:
    async with server_with({"limits": {"test_items": 3}}) as server:
        request = pb.EvaluateWordVectorsRequest(test_sets=[solved(("a", "b", "c", "d"))] * 4)
        call = server.evaluation.EvaluateWordVectors(request)
        assert await refused_fields(call.read()) == ["test_sets"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await events_of(
                server, solved(("a", "b", "c", "d")), model=ModelSelector(name="nothing")
            )
        assert caught.value.code() is Code.NOT_FOUND


class HeldVectors(WordVectors):
    """Waits in the middle of an evaluation, and counts the batches of questions."""

    def __init__(self) -> None:
        super().__init__(Vocabulary(WORDS), np.array(MATRIX))
        self.batches = 0
        self.may_go_on = threading.Event()

    def analogy(self, questions: Sequence[Any], *arguments: Any, **options: Any) -> Any:
        self.batches += 1
        if self.batches > 1:
            self.may_go_on.wait()
        return super().analogy(questions, *arguments, **options)


async def test_progress_is_told_while_the_work_goes_on(server_with: ServerFactory) -> None:
    model = HeldVectors()
    async with server_with(None, [ready_version("w", "word-vectors", model)]) as server:
        one = solved(*[("cats", "cat", "dogs", "dog")] * 300)
        request = pb.EvaluateWordVectorsRequest(test_sets=[one])
        call = server.evaluation.EvaluateWordVectors(request)
        progress = (await call.read()).progress
        while progress.completed_count == 0:
            progress = (await call.read()).progress
        assert 0 < progress.completed_count < progress.total_count == 300
        # Also where nothing goes on, so that the caller knows that the server lives.
        assert (await call.read()).progress == progress
        model.may_go_on.set()
        last = await call.read()
        while not last.HasField("evaluation"):
            last = await call.read()
        assert last.evaluation.results[0].score.accuracy == 1.0
        assert await call.read() is grpc.aio.EOF


async def test_a_caller_that_goes_away_stops_the_evaluation(
    server_with: ServerFactory, wait_until: Callable[..., Any]
) -> None:
    model = HeldVectors()
    async with server_with(None, [ready_version("w", "word-vectors", model)]) as server:
        request = pb.EvaluateWordVectorsRequest(
            test_sets=[solved(*[("cats", "cat", "dogs", "dog")] * 10_000)]
        )
        call = server.evaluation.EvaluateWordVectors(request)
        await wait_until(lambda: model.batches == 2)
        call.cancel()
        await wait_until(lambda: server.parts.admission.in_flight == 0)
        model.may_go_on.set()
        await wait_until(lambda: server.parts.queues[0].running == 0)
        assert model.batches == 2
