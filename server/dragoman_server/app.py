"""Starts the server and gives its exit code.

    settings = load_settings(config_file, address="127.0.0.1:0")
    sys.exit(run(settings))

On standard output stand two lines: `Dragoman is listening on HOST:PORT` once the port is open, and
`ready: N models` once all are warm. The log goes to standard error.
"""

import asyncio
import logging
import os
import sys

from dragoman_server.config import ServerSettings
from dragoman_server.errors import StartupError
from dragoman_server.log_format import set_up_logging
from dragoman_server.thread_variables import THREAD_VARIABLES


def run(settings: ServerSettings) -> int:
    """Serve until SIGTERM or SIGINT. 0 after a drain, 1 if the server could not start."""
    set_up_logging(settings.log_level, settings.log_format)
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(settings.threads_per_call)
    from dragoman_server.lifecycle import serve  # imports numpy, which reads the variables

    try:
        idle = asyncio.run(serve(settings))
    except StartupError as error:
        sys.stderr.write(f"dragoman: {error}\n")
        return 1
    if not idle:
        # A thread is still at work on a call that was given up. The interpreter would wait for it.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0
