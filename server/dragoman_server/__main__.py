"""`python -m dragoman_server`: the server alone, without the `dragoman` command."""

import argparse
import sys
from pathlib import Path

from dragoman_server.app import run
from dragoman_server.config import load_settings
from dragoman_server.errors import ConfigError


def main() -> int:
    """Read flags and settings, and serve."""
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
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--log-format", choices=["text", "json"])
    given = parser.parse_args()
    try:
        settings = load_settings(
            given.config,
            address=given.address,
            model_repositories=given.models,
            log_level=given.log_level,
            log_format=given.log_format,
        )
    except ConfigError as error:
        sys.stderr.write(f"dragoman: {error}\n")
        return 2
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
