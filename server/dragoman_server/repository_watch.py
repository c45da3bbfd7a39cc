"""Looks at the repository's folders again and again, and has changes applied once they rest.

By polling: notices of changes do not cross a network disk, and a look is a few `stat` calls. What
is being copied changes from look to look; a folder counts as changed or gone only when two looks
in a row agree, so that half a copy is not refused, and a folder that is replaced is not missed.
"""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from dragoman_server.bundle_loading import in_own_thread
from dragoman_server.live_models import LiveModels
from dragoman_server.repository_scan import RepositoryFolders, Scan

_log = logging.getLogger(__name__)


class RepositoryWatcher:
    """Keeps `LiveModels` like what is on disk."""

    def __init__(self, live: LiveModels, folders: RepositoryFolders, seconds: float) -> None:
        self._live = live
        self._folders = folders
        self._seconds = seconds
        self._before: Scan | None = None
        self._unreadable: Mapping[Path, str] = {}

    async def run(self) -> None:
        """Look until cancelled. Whatever goes wrong in one look, there is a next one."""
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self.look()
            except Exception:
                _log.exception("looking at the model repository failed")

    async def look(self) -> None:
        """One look; applies what it has in common with the one before."""
        scan = await in_own_thread(self._folders.scan)
        self._report(scan)
        before, self._before = self._before, scan
        if before is None:
            return
        settled = {
            key: folder for key, folder in scan.found.items() if before.found.get(key) == folder
        }
        both = Scan(
            found={**before.found, **scan.found},
            unreadable={**before.unreadable, **scan.unreadable},
        )
        await self._live.apply(settled, both)

    def _report(self, scan: Scan) -> None:
        """Log what cannot be read, once; nothing below it is unloaded for that."""
        for path, reason in scan.unreadable.items():
            if path not in self._unreadable:
                _log.error("%s cannot be read: %s; its models stay as they are", path, reason)
        for path in self._unreadable:
            if path not in scan.unreadable:
                _log.info("%s can be read again", path)
        self._unreadable = scan.unreadable
