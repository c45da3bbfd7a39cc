"""What Python itself is told of how it is used here."""

import gc
import sys

# Seconds that a thread computes while others wait for Python's lock. Those that pass batches on
# need it for moments only, but a few times a batch, and their model stands still meanwhile.
_SWITCH_SECONDS = 0.0005
# New objects between two searches for cycles of them. A call makes some hundreds, nearly all of
# which reference counts free: by default (700) every second call or so began a search.
_NEW_OBJECTS = 20_000


def share_the_lock() -> None:
    """Let threads that wait for Python's lock have it soon."""
    sys.setswitchinterval(_SWITCH_SECONDS)


def leave_models_out_of_collections() -> None:
    """Have the collector of reference cycles look at nothing that is there by now, since models
    stay for long, and seldom at the rest; meanwhile every call waits."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
