"""Whether a file is still the one that was read."""

import os
from pathlib import Path

Signature = tuple[int, int, int, int]


def signature_of(path: Path) -> Signature | None:
    """What differs once a file was replaced or written; None where there is none.

    Links are followed, for a mounted secret is renewed by turning one to another folder.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - one call, as often as calls come
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
