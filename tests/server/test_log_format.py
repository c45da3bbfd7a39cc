"""What the log holds, and what it does not."""

from __future__ import annotations

import subprocess
import sys

LOGGING = """
import logging
from dragoman_server.log_format import set_up_logging

set_up_logging("info", "text")
log = logging.getLogger("grpc._cython.cygrpc")
try:
    raise RuntimeError("the call is over")
except RuntimeError:
    log.exception("ExecuteBatchError raised in core by servicer method [%s]", "/NearestStream")
    log.exception("Unexpected [%s] raised", "KeyError")
"""


def test_who_leaves_while_it_is_answered_leaves_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOGGING], capture_output=True, text=True, check=True
    )
    assert "NearestStream" not in done.stderr
    assert done.stderr.count("Traceback") == 1
    assert "KeyError" in done.stderr
