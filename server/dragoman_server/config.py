"""What an operator can set, and where it comes from.

Flags win over the environment, the environment over the file, the file over the defaults:

    settings = load_settings(Path("dragoman.toml"), address="127.0.0.1:0", log_level="debug")

A flag that is None was not given. The file is TOML, with the names of `ServerSettings` as keys and
`default_models`, `models`, `workers`, `ray`, `limits`, `batching`, `quotas`, `tls` and
`connections` as tables; a relative path in it is relative to the file. In the environment the names
are in capitals behind DRAGOMAN_, with two underscores for a table: DRAGOMAN_ADDRESS,
DRAGOMAN_LIMITS__SOURCES, DRAGOMAN_MODEL_REPOSITORIES (several folders are separated as in PATH).
Anything unknown or wrong is a `ConfigError` that names the key.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from dragoman_models.translation.arithmetic.choice import Arithmetic
from dragoman_server.errors import ConfigError
from dragoman_server.ray_engine.ray_settings import RaySettings, ray_is_installed
from dragoman_server.security.connection_limits import ConnectionLimits

_PREFIX = "DRAGOMAN_"
_OF_THE_CLIENT = {
    f"{_PREFIX}{name}"
    for name in (
        "SERVER", "TOKEN", "TOKEN_FILE", "TLS", "TLS_CA", "TLS_CERTIFICATE", "TLS_KEY",
        "TLS_SERVER_NAME",
    )
}  # fmt: skip
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]/]+):(?P<port>[0-9]{1,5})")

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class DefaultModels(BaseModel):
    """The models that answer calls which name none. Where unset: the only model of its kind, or of
    several word vectors glove-100d, where that is among them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    embedding: str | None = Field(default=None, description="for EmbeddingService")
    translation: str | None = Field(default=None, description="for TranslationService")
    language_model: str | None = Field(default=None, description="for LanguageModelService")
    vision_classifier: str | None = Field(default=None, description="for Classify")
    vision_detector: str | None = Field(default=None, description="for Detect")
    vision_embedder: str | None = Field(default=None, description="for EmbedImage and Verify")


class Limits(BaseModel):
    """The most that one request may hold. Longer requests are refused, never shortened."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message_bytes: Annotated[int, Field(ge=1_024, le=512 * 1024 * 1024)] = Field(
        default=4 * 1024 * 1024, description="bytes of a request message"
    )
    words: Count = Field(default=1_000, description="words of Embed")
    pairs: Count = Field(default=10_000, description="pairs of Similarity")
    queries: Count = Field(default=1_000, description="queries of Nearest, questions of Analogy")
    neighbors: Count = Field(default=100_000, description="queries or questions times k")
    sources: Count = Field(default=1_024, description="texts of Translate")
    source_characters: Count = Field(
        default=10_000, description="characters of one text of Translate"
    )
    source_tokens: Count = Field(
        default=16_384, description="tokens of one text of Translate and ScoreTarget"
    )
    beam_width: Annotated[int, Field(ge=1, le=64)] = Field(
        default=64, description="beam_width of Translate and Generate"
    )
    alignment_bytes: Count = Field(
        default=256 * 1024 * 1024, description="memory for the alignments of one text of Translate"
    )
    segments: Count = Field(default=100_000, description="segments of Score")
    test_items: Count = Field(
        default=100_000, description="items of all test sets of EvaluateWordVectors"
    )
    texts: Count = Field(default=1_024, description="texts of LanguageModelService.Score")
    text_characters: Count = Field(
        default=100_000, description="characters of a text, context or prompt of a language model"
    )
    samples: Count = Field(
        default=256, description="continuations that one language model draws at the same time"
    )
    images: Count = Field(default=64, description="images of Classify, Detect and EmbedImage")
    image_pairs: Count = Field(default=32, description="pairs of Verify")
    image_bytes: Count = Field(
        default=16 * 1024 * 1024, description="bytes of the file of one image"
    )
    image_pixels: Count = Field(
        default=50_000_000, description="pixels of one image: its width times its height"
    )
    image_message_bytes: Annotated[int, Field(ge=1_024, le=512 * 1024 * 1024)] = Field(
        default=16 * 1024 * 1024, description="bytes of a request message of VisionService"
    )


class ModelSettings(BaseModel):
    """How models come, go and are named. Aliases and pins: see docs/models-live.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    watch_seconds: Seconds = Field(
        default=2.0, description="between two looks at the repositories; 0: they are not watched"
    )
    largest_bundle_bytes: Annotated[int, Field(ge=1, le=2**50)] = Field(
        default=4 * 1024**3, description="a bundle of more is refused without being read"
    )
    load_timeout_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=300.0, description="for reading, verifying and warming up one bundle"
    )
    aliases: dict[str, str] = Field(
        default_factory=dict, description="other names: NAME or NAME/VERSION by alias"
    )
    pinned: dict[str, Annotated[int, Field(ge=1, le=999_999_999)]] = Field(
        default_factory=dict, description="the version that answers where none is named, by model"
    )


Workers = Literal["auto"] | Annotated[int, Field(ge=0, le=256)]


class WorkerSettings(BaseModel):
    """Processes for the models of a family; "auto" is one for each core, 0 the server's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    translation: Workers = Field(default="auto", description="for translators")
    language_model: Workers = Field(default="auto", description="for language models")
    vision: Workers = Field(default=1, description="for models of images, apart from all others")

    def counts(self) -> dict[str, int]:
        """Processes by family, of models that work on text."""
        return {
            "translation": _count(self.translation),
            "language_model": _count(self.language_model),
        }

    def vision_count(self) -> int:
        """Processes of models that look at images."""
        return _count(self.vision)


def _count(setting: Workers) -> int:
    return available_cores() if setting == "auto" else int(setting)


def available_cores() -> int:
    """Cores that this process may run on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1


class TlsFiles(BaseModel):
    """The server's certificate, read again when it is renewed. All files are PEM."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate: Path | None = Field(default=None, description="the server's, with its chain")
    key: Path | None = Field(default=None, description="the certificate's key, not encrypted")
    client_ca: Path | None = Field(
        default=None, description="authorities; clients must show a certificate of one of them"
    )

    @model_validator(mode="after")
    def _check_files(self) -> "TlsFiles":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; give both")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("client_ca is for TLS; give certificate and key too")
        return self


class Batching(BaseModel):
    """How calls are gathered. Tokens are those read, and those written for each hypothesis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_items: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=64, description="texts of a batch"
    )
    batch_tokens: Count = Field(
        default=16_384, description="tokens of a batch; a longer text is a batch of its own"
    )
    batch_images: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=16, description="images of a batch; large ones count more than once"
    )


class Quotas(BaseModel):
    """What one client may ask for; more is refused. Unset is no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queued_tokens: Count | None = Field(
        default=None, description="tokens that may wait of one client at a time"
    )
    tokens_per_second: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)] | None = Field(
        default=None, description="tokens that a client may ask for, in the long run"
    )
    burst_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=10.0, description="unused time that a client may save up"
    )
    queued_images: Count | None = Field(
        default=None, description="images that may wait of one client at a time"
    )
    images_per_second: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)] | None = Field(
        default=None, description="images that a client may ask for, in the long run"
    )


class ServerSettings(BaseSettings):
    """All settings of the server."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    address: str = Field(
        default="127.0.0.1:50051", description="HOST:PORT; port 0 takes a free one"
    )
    model_repositories: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="folders of bundles, NAME/VERSION; the first that has a bundle gives it",
    )
    shipped_models: bool = Field(
        default=True, description="whether the shipped models are served too"
    )
    default_models: DefaultModels = DefaultModels()
    translation_arithmetic: Arithmetic = Field(
        default=Arithmetic.AUTO, description="what translators compute with; auto: the fastest"
    )
    translation_shortlist: bool = Field(
        default=False, description="whether translators use the shortlists of their bundles"
    )
    models: ModelSettings = ModelSettings()
    engine: Literal["workers", "ray"] = Field(
        default="workers",
        description="what all models but word vectors compute in: worker processes of this "
        "server, or replicas of Ray Serve",
    )
    workers: WorkerSettings = WorkerSettings()
    ray: RaySettings = RaySettings()
    limits: Limits = Limits()
    tls: TlsFiles = TlsFiles()
    connections: ConnectionLimits = ConnectionLimits()
    accepted_tokens: Path | None = Field(
        default=None, description="the file of `dragoman token`; without it no call needs a token"
    )
    allow_plaintext_on_network: bool = Field(
        default=False, description="whether other machines may be served without TLS"
    )
    batching: Batching = Batching()
    quotas: Quotas = Quotas()
    metrics_address: str | None = Field(
        default=None, description="HOST:PORT where Prometheus reads metrics; without it, nowhere"
    )
    allow_metrics_on_network: bool = Field(
        default=False, description="whether other machines may read the metrics"
    )
    health_address: str | None = Field(
        default=None,
        description="HOST:PORT for health alone, in plaintext, for probes that speak no TLS",
    )
    traces: bool = Field(
        default=False, description="whether OpenTelemetry traces calls; OTEL_* say where to"
    )
    worker_threads: Annotated[int, Field(ge=1, le=256)] = Field(
        default=2, description="batches that models work on at the same time"
    )
    threads_per_call: Annotated[int, Field(ge=1, le=256)] = Field(
        default=1, description="threads that the arithmetic of one call uses"
    )
    max_queued_tokens: Count = Field(
        default=1_000_000,
        description="tokens that may wait for a worker; calls with more are refused",
    )
    max_queued_calls: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=10_000, description="calls that may wait for a worker; more are refused"
    )
    max_queued_images: Count = Field(
        default=1_000, description="images that may wait; calls with more are refused"
    )
    max_deadline_seconds: Annotated[Seconds, Field(gt=0)] = Field(
        default=300.0,
        description="the longest that a call may take, whatever its own deadline; of a stream of "
        "requests, the longest from one answer to the next",
    )
    drain_seconds: Seconds = Field(
        default=30.0, description="how long calls in flight may take to end after SIGTERM"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @field_validator("address", "metrics_address", "health_address")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        match = _ADDRESS.fullmatch(value)
        if match is None or int(match["port"]) > 65_535:
            raise ValueError(f"{value!r} is no HOST:PORT; give for example 127.0.0.1:50051")
        return value

    @field_validator("engine")
    @classmethod
    def _check_ray(cls, value: str) -> str:
        if value == "ray" and not ray_is_installed():
            raise ValueError("Ray is not installed; pip install 'dragoman[ray]'")
        return value

    def processes(self) -> dict[str, int]:
        """The most processes, or replicas, that a model of text has, by its family; 0: it is in
        this one."""
        return self.ray.counts() if self.engine == "ray" else self.workers.counts()

    def image_processes(self) -> int:
        """The most processes, or replicas, that a model of images has."""
        return self.ray.vision_count() if self.engine == "ray" else self.workers.vision_count()

    @field_validator("model_repositories", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in value.split(os.pathsep) if part)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # Only what the caller gives: load_settings adds file and environment, tests add neither.
        return (init_settings,)


def load_settings(config_file: Path | None = None, **flags: Any) -> ServerSettings:
    """The settings from flags, environment, file and defaults, in this order of precedence.

    A flag that is None counts as not given. Raises `ConfigError` naming each wrong key.
    """
    in_file = {} if config_file is None else _read_toml(config_file)
    given = {name: value for name, value in flags.items() if value is not None}
    _check_environment_names()

    class _Sources(ServerSettings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (
                InitSettingsSource(settings_cls, init_kwargs=given),
                EnvSettingsSource(settings_cls),
                InitSettingsSource(settings_cls, init_kwargs=in_file),
            )

    try:
        merged = _Sources()
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(error, config_file))) from error
    except SettingsError as error:
        raise ConfigError(f"in the environment: {error}") from error
    return ServerSettings(**{name: getattr(merged, name) for name in ServerSettings.model_fields})


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    folder = path.absolute().parent
    folders = values.get("model_repositories")
    if isinstance(folders, list):
        values["model_repositories"] = [_in_folder(folder, name) for name in folders]
    if "accepted_tokens" in values:
        values["accepted_tokens"] = _in_folder(folder, values["accepted_tokens"])
    files = values.get("tls")
    if isinstance(files, dict):
        values["tls"] = {key: _in_folder(folder, name) for key, name in files.items()}
    return values


def _in_folder(folder: Path, name: object) -> object:
    return str(folder / name) if isinstance(name, str) else name


def _check_environment_names() -> None:
    """Refuse a misspelt variable. Others behind the prefix may belong to the client."""
    known = {f"{_PREFIX}{name.upper()}" for name in ServerSettings.model_fields} | _OF_THE_CLIENT
    for name in sorted(os.environ):
        top = name.upper().split("__")[0]
        if name.upper().startswith(_PREFIX) and top not in known:
            near = difflib.get_close_matches(top, known, n=1, cutoff=0.85)
            if near:
                raise ConfigError(
                    f"{name}: there is no such setting; did you mean {near[0]}? "
                    "Correct it or unset it"
                )


def _describe(error: ValidationError, config_file: Path | None) -> Iterator[str]:
    where = "" if config_file is None else f" (in {config_file}, the environment or a flag)"
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "settings"
        if problem["type"] == "extra_forbidden":
            yield f"{key}: there is no such setting{where}; {_known_keys(problem['loc'])}"
        else:
            text = problem["msg"].removeprefix("Value error, ")
            yield f"{key}: {text[0].lower()}{text[1:]}{where}; it is {problem['input']!r}"


def _known_keys(location: tuple[int | str, ...]) -> str:
    table: type[BaseModel] = ServerSettings
    for key in location[:-1]:
        field = table.model_fields.get(str(key))
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        found = [one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)]
        table = found[0] if found else table
    return f"the settings here are {', '.join(table.model_fields)}"
