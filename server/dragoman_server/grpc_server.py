"""Puts services, interceptors and gRPC's own services together into one server."""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dragoman.v1 import (
    embedding_service_pb2_grpc,
    evaluation_service_pb2_grpc,
    language_model_service_pb2_grpc,
    model_service_pb2_grpc,
    translation_service_pb2_grpc,
    vision_service_pb2_grpc,
)
from dragoman_server.batching.admission import QueueLimits
from dragoman_server.batching.batcher import Batcher
from dragoman_server.batching.fair_queue import BatchLimits
from dragoman_server.batching.observer import BatchObserver
from dragoman_server.batching.quotas import ClientQuota
from dragoman_server.batching.server_load import ServerLoad
from dragoman_server.config import Limits, ServerSettings, available_cores
from dragoman_server.health import ServerHealth
from dragoman_server.interceptors.access_log import AccessLog
from dragoman_server.interceptors.admission import CallAdmission
from dragoman_server.interceptors.authorization import CallAuthorization
from dragoman_server.interceptors.call_interceptor import CallInterceptor
from dragoman_server.interceptors.metrics import CallMetrics
from dragoman_server.interceptors.quota import QuotaCharge
from dragoman_server.interceptors.request_checking import RequestChecking
from dragoman_server.live_models import LiveModels
from dragoman_server.model_repository import ModelRepository
from dragoman_server.observability.metrics import ServerMetrics
from dragoman_server.reflection import add_reflection
from dragoman_server.scoring_process import ScoringProcess
from dragoman_server.security.accepted_tokens import AcceptedTokens
from dragoman_server.security.authorization import Authorization
from dragoman_server.security.network import is_loopback
from dragoman_server.security.quotas import Quotas
from dragoman_server.served_families import (
    EMBEDDING_SERVICE,
    LANGUAGE_MODEL_SERVICE,
    TRANSLATION_SERVICE,
    VISION_SERVICE,
)
from dragoman_server.services.embedding import EmbeddingService
from dragoman_server.services.evaluation import EVALUATION_SERVICE, EvaluationService
from dragoman_server.services.language_model import LanguageModelService
from dragoman_server.services.model import MODEL_SERVICE, ModelService
from dragoman_server.services.translation import TranslationService
from dragoman_server.services.vision import VisionService
from dragoman_server.work_queue import WorkQueue

SERVICES: tuple[str, ...] = (
    EMBEDDING_SERVICE,
    TRANSLATION_SERVICE,
    EVALUATION_SERVICE,
    MODEL_SERVICE,
    LANGUAGE_MODEL_SERVICE,
    VISION_SERVICE,
)

# gRPC itself drops messages this many times longer than the limit, before they are in memory.
# Between the two, the request check refuses them with all details of the error table.
_HARD_LIMIT_FACTOR = 4
_HARD_LIMIT_FACTOR_OF_IMAGES = 1.25


@dataclass(frozen=True, kw_only=True)
class ServerParts:
    """What a server is made of, and what its start and end need to reach."""

    server: grpc.aio.Server
    health: ServerHealth
    admission: CallAdmission
    queues: tuple[WorkQueue, ...]
    scoring_process: ScoringProcess
    evaluation: EvaluationService


def build_server(
    settings: ServerSettings,
    repository: ModelRepository,
    live: LiveModels | None = None,
    observer: BatchObserver | None = None,
    *,
    metrics: ServerMetrics | None = None,
    tracing: grpc.aio.ServerInterceptor | None = None,
) -> ServerParts:
    """The server with all its services, not yet listening. Call it in the event loop.

    Without `live`, the repository gets nothing more than it has. `observer` hears of all batches
    and of the load that is shed, or else the metrics do.
    Raises `TokenFileError` where the file of accepted tokens is not sound.
    """
    batcher = _batcher(settings, observer or metrics)
    # Images have a queue and workers of their own, so that no text ever waits for one.
    image_batcher = _image_batcher(settings, observer or metrics)

    admission = CallAdmission(settings.max_deadline_seconds, ServerLoad((batcher, image_batcher)))
    interceptor = _interceptor(settings, admission, metrics)
    server = grpc.aio.server(
        # That of traces comes first, for it makes a handler anew for each call.
        interceptors=(interceptor,) if tracing is None else (tracing, interceptor),
        options=_options(settings),
    )
    if metrics is not None:
        metrics.watch(batcher, repository)
        metrics.watch_images(image_batcher)
    models = WorkQueue("model calls", batcher=batcher)
    scoring = WorkQueue("scoring", worker_threads=1, max_queued=settings.max_queued_calls)
    scoring_process = ScoringProcess()
    evaluation = EvaluationService(
        scoring_process, scoring, settings.limits, repository=repository, models=models
    )
    evaluation_service_pb2_grpc.add_EvaluationServiceServicer_to_server(evaluation, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(repository, live or LiveModels(repository)), server
    )
    _add_model_calls(server, settings.limits, repository, models, image_batcher)
    health = _add_own_services_of_grpc(server)
    return ServerParts(
        server=server,
        health=health,
        admission=admission,
        queues=(models, scoring, WorkQueue("images", batcher=image_batcher)),
        scoring_process=scoring_process,
        evaluation=evaluation,
    )


def _interceptor(
    settings: ServerSettings, admission: CallAdmission, metrics: ServerMetrics | None
) -> CallInterceptor:
    return CallInterceptor(
        observers=(AccessLog(), *(() if metrics is None else (CallMetrics(metrics),))),
        authorization=CallAuthorization(_authorization(settings)),
        admission=admission,
        quota=QuotaCharge(Quotas()),
        checking=RequestChecking(
            settings.limits.message_bytes,
            of_services={VISION_SERVICE: settings.limits.image_message_bytes},
        ),
    )


def _add_model_calls(
    server: grpc.aio.Server,
    limits: Limits,
    repository: ModelRepository,
    models: WorkQueue,
    image_batcher: Batcher,
) -> None:
    """The services whose calls ask a model."""
    embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server(
        EmbeddingService(repository, models, limits), server
    )
    translation_service_pb2_grpc.add_TranslationServiceServicer_to_server(
        TranslationService(repository, models.batcher, limits), server
    )
    language_model_service_pb2_grpc.add_LanguageModelServiceServicer_to_server(
        LanguageModelService(repository, models, limits), server
    )
    vision_service_pb2_grpc.add_VisionServiceServicer_to_server(
        VisionService(repository, image_batcher, limits), server
    )


def _batcher(settings: ServerSettings, observer: BatchObserver | None) -> Batcher:
    batching, quotas = settings.batching, settings.quotas
    return Batcher(
        "model calls",
        worker_threads=max(settings.worker_threads, *settings.processes().values()),
        queue=QueueLimits(tokens=settings.max_queued_tokens, calls=settings.max_queued_calls),
        batch=BatchLimits(items=batching.batch_items, cost=batching.batch_tokens),
        quota=ClientQuota(
            queued_tokens=quotas.queued_tokens,
            tokens_per_second=quotas.tokens_per_second,
            burst_seconds=quotas.burst_seconds,
        ),
        observer=observer,
        longest_gathering=_longest_gathering(settings),
    )


def _longest_gathering(settings: ServerSettings) -> float:
    """Where the front end has a core of its own, a model can begin with the first callers while the
    others come. Where models have all cores, it would only take the time from them."""
    models = max(settings.processes().values())
    has_own_core = settings.engine == "ray" or 0 < models < available_cores()
    return 0.05 if has_own_core else 0.25


def _image_batcher(settings: ServerSettings, observer: BatchObserver | None) -> Batcher:
    batching, quotas = settings.batching, settings.quotas
    return Batcher(
        "images",
        worker_threads=max(1, settings.image_processes()),
        queue=QueueLimits(tokens=settings.max_queued_images, calls=settings.max_queued_calls),
        batch=BatchLimits(items=batching.batch_images, cost=batching.batch_images),
        quota=ClientQuota(
            queued_tokens=quotas.queued_images,
            tokens_per_second=quotas.images_per_second,
            burst_seconds=quotas.burst_seconds,
            unit="images",
        ),
        observer=observer,
    )


def _add_own_services_of_grpc(server: grpc.aio.Server) -> ServerHealth:
    health = ServerHealth(SERVICES)
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    channelz.add_channelz_servicer(server)
    own = (*health_pb2.DESCRIPTOR.services_by_name.values(),)
    own += (*channelz_pb2.DESCRIPTOR.services_by_name.values(),)
    add_reflection(server, (*SERVICES, *(service.full_name for service in own)))
    return health


def _options(settings: ServerSettings) -> Sequence[tuple[str, int]]:
    limits = settings.limits
    largest = max(
        limits.message_bytes * _HARD_LIMIT_FACTOR,
        round(limits.image_message_bytes * _HARD_LIMIT_FACTOR_OF_IMAGES),
    )
    return (
        # A second server on the port must fail, not share its calls at random.
        ("grpc.so_reuseport", 0),
        ("grpc.enable_channelz", 1),
        ("grpc.max_receive_message_length", min(largest, 2**31 - 1)),
        ("grpc.max_send_message_length", -1),
        # Uncompressed messages alone: a thousandth of a message's limit would have it all unpacked,
        # by a thousand calls at the same time.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        *settings.connections.channel_arguments(),
    )


def _authorization(settings: ServerSettings) -> Authorization:
    path = settings.accepted_tokens
    tokens = None if path is None else AcceptedTokens(path)
    return Authorization(tokens, only_this_machine=is_loopback(settings.address))
