"""A cluster of Ray whose machines are groups of processes on this one, as Ray's own tests have it.

Each has a raylet, an object store and workers of its own, so what crosses from one to another is
sent; that they share an address, processors and a disk is what a real cluster does not have.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_STORE_BYTES = 200_000_000
_HERE = "127.0.0.1"


class Machines:
    """The head, which is the front end's and has no cores for replicas, and machines that have."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(
            initialize_head=True,
            connect=True,
            head_node_args={
                "num_cpus": 0,
                "node_ip_address": _HERE,
                "include_dashboard": False,
                "object_store_memory": _STORE_BYTES,
                # Ray's workers would give way to everything else on the machine.
                "_system_config": {"worker_niceness": 0},
            },
        )

    @property
    def address(self) -> str:
        """HOST:PORT, by which front ends join."""
        return str(self._cluster.address)

    def add(self, cores: int) -> Any:
        """One machine more."""
        return self._cluster.add_node(
            num_cpus=cores, object_store_memory=_STORE_BYTES, node_ip_address=_HERE
        )

    def lose(self, machine: Any) -> None:
        """Kill all processes of a machine at once."""
        self._cluster.remove_node(machine, allow_graceful=False)

    def end(self) -> None:
        """Kill all that is left."""
        import ray

        ray.shutdown()
        self._cluster.shutdown()


@contextmanager
def machines() -> Iterator[Machines]:
    """A cluster with nothing but its head."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": folder}
        (Path(folder) / "ray").mkdir()  # where Ray writes the address of its cluster
        cluster = Machines()
        try:
            yield cluster
        finally:
            cluster.end()


def replicas_of(machine: Any) -> list[int]:
    """The processes of replicas that run on a machine."""
    (raylet,) = machine.all_processes["raylet"]
    return [pid for pid in _children(raylet.process.pid) if "ServeReplica" in _command(pid)]


def ready_replicas() -> int:
    """How many replicas of all models take calls."""
    from ray import serve

    about = serve.status().applications.values()
    states: list[Any] = [one.replica_states for app in about for one in app.deployments.values()]
    return sum(int(one.get("RUNNING", 0)) for one in states)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, children.read_text().split())
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""
