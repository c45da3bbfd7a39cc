"""Ray, from the moment it is needed until the server ends."""

import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from contextlib import suppress
from typing import Any

from dragoman_server.errors import StartupError
from dragoman_server.ray_engine import ray_reaper
from dragoman_server.ray_engine.ray_settings import RaySettings

_NODE_START_SECONDS = 180
_STARTS = 3  # of a Ray of its own: it gives its node 30 s, which a busy machine may not keep
_STOP_SECONDS = 30.0
_REACH_SECONDS = 10.0
_APPLICATION = "dragoman-"  # what the names of our applications begin with
_log = logging.getLogger(__name__)


class RaySession:
    """A connection to a cluster, or a Ray of its own.

    One thread starts Ray, waits, and stops it: the system ends processes of a Ray of one's own with
    the very thread that started them, also when the server is killed; `ray_reaper` ends the others.
    """

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings
        self.name = f"{_APPLICATION}{uuid.uuid4().hex[:12]}"
        self.board: Any = None  # the actor
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._reaper: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="ray", daemon=True)

    def start(self) -> None:
        """Returns when Ray is there. Raises `StartupError`."""
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise StartupError(
                f"Ray at {self._settings.address!r} is not there: "
                f"{' '.join(str(self._error).split())}"
            ) from self._error

    def stop(self) -> None:
        """Ends a Ray of its own, or leaves the cluster; waits for at most half a minute."""
        if self._thread.is_alive():
            self._stop.set()
            self._thread.join(_STOP_SECONDS)

    def application(self, number: int) -> str:
        """The name of the application of a model."""
        return f"{self.name}-{number}"

    def _run(self) -> None:
        try:
            self._begin()
        except Exception as error:
            self._error = error
        self._ready.set()
        if self._error is None:
            self._stop.wait()
        with suppress(Exception):  # whatever fails in the end, the reaper ends the processes
            self._end()
        if self._reaper is not None:
            self._reaper.communicate()  # closes its pipe, and waits

    def _begin(self) -> None:
        # Set before Ray reads them. What a server does is nobody else's business.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # By default the first of its processes has 30 s to start.
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", str(_NODE_START_SECONDS))
        _check_reachable(self._settings.address)
        from ray import serve

        for name in ("ray", "ray.serve"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self._connect()
        serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
        if not self._settings.is_local:
            _delete_orphans()
        self.board = self._new_board()

    def _connect(self) -> None:
        import ray

        own = self._own_ray() if self._settings.is_local else {}
        for left in reversed(range(_STARTS if own else 1)):
            try:
                ray.init(
                    address=self._settings.address,
                    log_to_driver=False,
                    configure_logging=False,
                    logging_level=logging.ERROR,
                    **own,
                )
                return
            except Exception as error:  # Ray raises no narrower one where its node is late
                if not left:
                    raise
                _log.warning("Ray has not started, and is started again: %s", error)
                ray.shutdown()

    def _own_ray(self) -> dict[str, Any]:
        # The paths of its sockets are long, and may not be longer than the system allows.
        folder = tempfile.mkdtemp(prefix="dragoman-ray-")
        self._reaper = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-S", ray_reaper.__file__, folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return {
            "num_cpus": os.cpu_count(),
            "include_dashboard": False,
            "object_store_memory": self._settings.object_store_bytes,
            "_node_ip_address": "127.0.0.1",  # what it advertises; it listens on all addresses
            "_temp_dir": folder,
            # Ray's workers would give way to everything else on the machine.
            "_system_config": {"worker_niceness": 0},
        }

    def _new_board(self) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from dragoman_server.ray_engine.board import NAMESPACE, Board

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        board = ray.remote(Board).options(
            name=self.name, namespace=NAMESPACE, num_cpus=0, max_concurrency=10_000,
            scheduling_strategy=here,
        )  # fmt: skip
        return board.remote()

    def _end(self) -> None:
        import ray
        from ray import serve

        if ray.is_initialized():
            if not self._settings.is_local:
                for name in list(serve.status().applications):
                    if name.startswith(f"{self.name}-"):
                        serve.delete(name, _blocking=False)
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raises OSError at once where nobody listens, for which Ray would look for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()


def _delete_orphans() -> None:
    """Delete the applications of front ends that were killed before a replica of theirs could."""
    import ray
    from ray import serve

    from dragoman_server.ray_engine.board import NAMESPACE

    for name in list(serve.status().applications):
        if not name.startswith(_APPLICATION):
            continue
        board = name.rpartition("-")[0]
        try:
            ray.get_actor(board, namespace=NAMESPACE)
        except ValueError:
            _log.warning("the application %s has no front end any more and is deleted", name)
            serve.delete(name, _blocking=False)
