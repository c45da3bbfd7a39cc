"""Callers that go away, a server that is full, and a server that ends: nothing accepted is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from tests.end_to_end.conftest import ENGINE

from dragoman.v1.model_pb2 import ModelSelector
from dragoman.v1.translation_service_pb2 import (
    TranslateRequest,
    TranslationOptions,
    TranslationSource,
)
from dragoman.v1.translation_service_pb2_grpc import TranslationServiceStub
from dragoman_client import (
    Client,
    HealthStatus,
    InvalidRequestError,
    ServerUnreachableError,
    Translation,
    UnavailableError,
)
from dragoman_client import TranslationOptions as Options

if TYPE_CHECKING:
    from tests.end_to_end.conftest import RunningServer

Start = Callable[..., AbstractContextManager[Any]]

WORKERS = "worker_threads = {}\nmax_queued_calls = 0\ndrain_seconds = 90\n"
TIMEOUT = 600 if ENGINE else 110  # Ray takes its time to start

# A job of minutes, from a process that is killed while it waits.
LONG_JOB = """
import sys
from dragoman_client import Client, TranslationOptions, UnavailableError
options = TranslationOptions(beam_width=8, max_length=10_000)
with Client(sys.argv[1], timeout=280) as client:
    while True:
        try:
            client.translate(["the cat"] * 256, options=options)
        except UnavailableError:
            pass
"""


def work(steps: int, *, texts: int = 1, beam_width: int = 1) -> TranslateRequest:
    """A call whose texts take ``steps`` decoding steps each."""
    return TranslateRequest(
        model=ModelSelector(name="babel"),
        sources=[TranslationSource(text="the cat")] * texts,
        options=TranslationOptions(beam_width=beam_width, max_length=steps),
    )


@contextmanager
def stub_without_retries(address: str) -> Iterator[TranslationServiceStub]:
    with grpc.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        yield TranslationServiceStub(channel)


def refusal(stub: TranslationServiceStub, job: Any = None) -> Any:
    """Calls until the server is full and refuses; the error, or None if ``job`` ended before."""
    while job is None or not job.done():
        try:
            stub.Translate(work(1), timeout=TIMEOUT)
        except grpc.RpcError as error:
            return error
    return None


def long_job(stub: Any, *, timeout: float) -> tuple[Any, Any]:
    """A job of minutes that occupies the server's only worker, and how it refuses another call."""
    while True:
        job = stub.Translate.future(work(10_000, texts=256, beam_width=8), timeout=timeout)
        error = refusal(stub, job)
        if error is not None:  # or else it was the job that found the server full
            return job, error


def accepted(client: Client, options: Options) -> Translation:
    """A translation, as soon as the server has room for it."""
    while True:
        try:
            return client.translate("the cat", options=options)
        except UnavailableError:
            continue


@pytest.fixture(scope="module")
def one_worker(start_server: Start) -> Iterator[tuple[Client, TranslationServiceStub, str]]:
    """A server that works on one call at a time and lets none wait."""
    with (
        start_server(WORKERS.format(1)) as server,
        Client(server.address) as client,
        stub_without_retries(server.address) as stub,
    ):
        client.wait_until_ready(timeout=TIMEOUT)
        yield client, stub, server.address


OneWorker = tuple[Client, TranslationServiceStub, str]


def test_a_full_server_says_when_to_come_back(one_worker: OneWorker) -> None:
    _, stub, _ = one_worker
    job, error = long_job(stub, timeout=TIMEOUT)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    status = rpc_status.from_call(error)
    assert status is not None
    assert "full" in status.message
    retry = error_details_pb2.RetryInfo()
    assert any(packed.Unpack(retry) for packed in status.details)
    milliseconds = int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"])
    assert milliseconds == retry.retry_delay.ToMilliseconds() > 0
    job.cancel()


# In the next three tests the job would take minutes on the only thread of the server, and the
# client's retries last a few seconds.


def test_a_call_that_is_cancelled_makes_room(one_worker: OneWorker) -> None:
    client, stub, _ = one_worker
    job, _ = long_job(stub, timeout=280)
    job.cancel()
    assert client.translate("the cat", options=Options(max_length=3)).text


def test_a_call_whose_deadline_passed_makes_room(one_worker: OneWorker) -> None:
    client, stub, _ = one_worker
    job, _ = long_job(stub, timeout=1)
    assert job.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert client.translate("the cat", options=Options(max_length=3)).text


def test_a_caller_that_dies_makes_room(one_worker: OneWorker) -> None:
    client, stub, address = one_worker
    with subprocess.Popen([sys.executable, "-c", LONG_JOB, address]) as caller:
        assert refusal(stub).code() is grpc.StatusCode.UNAVAILABLE
        caller.kill()
    assert client.translate("the cat", options=Options(max_length=3)).text


def test_sigterm_finishes_the_calls_in_flight(start_server: Start) -> None:
    calls = 3
    with (
        start_server(WORKERS.format(calls)) as server,
        Client(server.address, timeout=TIMEOUT) as client,
        stub_without_retries(server.address) as stub,
        grpc.insecure_channel(server.address) as channel,
        ThreadPoolExecutor(calls) as threads,
    ):
        client.wait_until_ready(timeout=TIMEOUT)
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING

        options = Options(max_length=2000)
        answers = [threads.submit(accepted, client, options) for _ in range(calls)]
        # Once the server is full, all of them are at work; and none is done when it is told.
        assert refusal(stub).code() is grpc.StatusCode.UNAVAILABLE
        server.process.terminate()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not any(answer.done() for answer in answers)
        refused = refusal(stub)
        assert refused.code() is grpc.StatusCode.UNAVAILABLE

        assert [type(answer.result(timeout=TIMEOUT)) for answer in answers] == [Translation] * calls
        assert server.process.wait(timeout=TIMEOUT) == 0
        assert "Traceback" not in server.log.read_text(encoding="utf-8")


def test_ctrl_c_ends_the_server_in_order(start_server: Start) -> None:
    with start_server() as server, Client(server.address) as client:
        client.wait_until_ready(timeout=TIMEOUT)
        assert client.check_health() is HealthStatus.SERVING
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=TIMEOUT) == 0
        with pytest.raises(ServerUnreachableError, match=f"at {server.address}"):
            client.translate("the cat")


def test_the_only_translator_is_the_default(one_worker: OneWorker) -> None:
    client, _, _ = one_worker
    found = accepted(client, Options(max_length=3))
    assert found.model.name == "babel"
    with pytest.raises(InvalidRequestError, match=r"model\.name: is empty"):
        client.embed("king")


def test_a_second_server_at_the_same_address_ends_with_a_clear_message(
    server: RunningServer,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dragoman_client", "serve", "--address", server.address],
        capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot listen on {server.address}: address already in use" in done.stderr
    assert "Traceback" not in done.stderr
