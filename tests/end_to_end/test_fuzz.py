"""No request, sound or absurd, ends a call of any method as a defect of the server.

`make fuzz` does the same for ten minutes, with ever other requests.
"""

from __future__ import annotations

import time

import grpc
from hypothesis import HealthCheck, given, settings
from tests.benchmarks.fuzz.fuzzed_calls import (
    DEFECTS,
    FuzzedCall,
    all_methods,
    fuzzed_calls,
    status_of,
)

MODELS = ("babel", "fr-en", "glove-100d", "english-lstm")
DEADLINE = 1.0  # seconds: what takes longer is stopped, which is no defect
HANGING = 120.0


def test_every_service_has_its_calls_made() -> None:
    services = {method.path.split("/")[1].rpartition(".")[2] for method in all_methods()}
    assert services >= {
        "EmbeddingService", "EvaluationService", "LanguageModelService", "ModelService",
        "TranslationService", "VisionService",
    }  # fmt: skip


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=fuzzed_calls(all_methods(), MODELS))
def test_no_request_is_a_defect(channel: grpc.Channel, call: FuzzedCall) -> None:
    began = time.monotonic()
    code, said = status_of(channel, call, DEADLINE)
    assert code not in DEFECTS, said
    assert time.monotonic() - began < HANGING
