"""`dragoman serve`: the server, from the extra `server`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra

Config = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings, as TOML.")]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", show_default="127.0.0.1:50051", help="Port 0 takes a free one."
    ),
]
Models = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FOLDER", help="A folder of bundles, beside the shipped models; repeatable."
    ),
]
TlsCertificate = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Serve with TLS: the certificate and its chain, PEM."),
]
TlsKey = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The key of the certificate, PEM.")
]
TlsClientCa = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Ask clients for a certificate of these authorities."),
]
AcceptedTokens = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Ask for a token that `dragoman token` made."),
]
AllowPlaintextOnNetwork = Annotated[
    bool | None,
    typer.Option("--allow-plaintext-on-network", help="Serve other machines although without TLS."),
]
HealthAddress = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Health alone in plaintext, for probes.")
]
MetricsAddress = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Where Prometheus reads metrics.")
]
AllowMetricsOnNetwork = Annotated[
    bool | None,
    typer.Option("--allow-metrics-on-network", help="Show other machines the metrics."),
]
Traces = Annotated[
    bool | None,
    typer.Option("--traces", help="Trace calls by OpenTelemetry; OTEL_* say where to."),
]
LogLevel = Annotated[
    str | None, typer.Option(metavar="LEVEL", show_default="info", help="debug to error.")
]
LogFormat = Annotated[
    str | None, typer.Option(metavar="FORMAT", show_default="text", help="text or json.")
]


def serve(
    config: Config = None,
    address: Address = None,
    models: Models = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_client_ca: TlsClientCa = None,
    accepted_tokens: AcceptedTokens = None,
    allow_plaintext_on_network: AllowPlaintextOnNetwork = None,
    health_address: HealthAddress = None,
    metrics_address: MetricsAddress = None,
    allow_metrics_on_network: AllowMetricsOnNetwork = None,
    traces: Traces = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Serve models over gRPC until SIGTERM or Ctrl-C, which finish the calls in flight first.

    Flags win over DRAGOMAN_* in the environment, and those over the file.
    """
    with needs_extra("server"):
        from dragoman_server.app import run
        from dragoman_server.config import load_settings
        from dragoman_server.errors import ConfigError
    try:
        settings = load_settings(
            config,
            address=address,
            model_repositories=tuple(models) if models else None,
            tls=_given(certificate=tls_certificate, key=tls_key, client_ca=tls_client_ca),
            accepted_tokens=accepted_tokens,
            allow_plaintext_on_network=allow_plaintext_on_network,
            health_address=health_address,
            metrics_address=metrics_address,
            allow_metrics_on_network=allow_metrics_on_network,
            traces=traces,
            log_level=log_level,
            log_format=log_format,
        )
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    raise typer.Exit(run(settings))


def _given(**files: Path | None) -> dict[str, Path] | None:
    return {name: path for name, path in files.items() if path is not None} or None
