"""`python -m dragoman_server`: the server alone, without the `dragoman` command."""

import argparse
import sys
from pathlib import Path

from dragoman_server.app import run
from dragoman_server.config import load_settings
from dragoman_server.errors import ConfigError


def main() -> int:
    """Read flags and settings, and serve."""
    given = _parser().parse_args()
    files = {
        "certificate": given.tls_certificate,
        "key": given.tls_key,
        "client_ca": given.tls_client_ca,
    }
    try:
        settings = load_settings(
            given.config,
            address=given.address,
            model_repositories=given.models,
            tls={name: path for name, path in files.items() if path is not None} or None,
            accepted_tokens=given.accepted_tokens,
            allow_plaintext_on_network=given.allow_plaintext_on_network,
            log_level=given.log_level,
            log_format=given.log_format,
        )
    except ConfigError as error:
        sys.stderr.write(f"dragoman: {error}\n")
        return 2
    return run(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dragoman_server",
        description="Serve sequence models over gRPC.",
        epilog="All other settings: in the --config file, or as DRAGOMAN_* in the environment.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings, as TOML")
    parser.add_argument("--address", metavar="HOST:PORT", help="default 127.0.0.1:50051")
    parser.add_argument(
        "--models",
        action="append",
        metavar="FOLDER",
        help="a folder of bundles, beside the shipped models; may be repeated",
    )
    parser.add_argument("--tls-certificate", type=Path, metavar="FILE", help="PEM, with its chain")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="the certificate's key, PEM")
    parser.add_argument(
        "--tls-client-ca", type=Path, metavar="FILE", help="authorities of clients' certificates"
    )
    parser.add_argument(
        "--accepted-tokens", type=Path, metavar="FILE", help="the file of `dragoman token`"
    )
    parser.add_argument(
        "--allow-plaintext-on-network",
        action="store_true",
        default=None,
        help="serve other machines although without TLS",
    )
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--log-format", choices=["text", "json"])
    return parser


if __name__ == "__main__":
    sys.exit(main())
