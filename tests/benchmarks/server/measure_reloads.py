"""Reloads real models again and again, and measures the memory that is left.

    python tests/benchmarks/server/measure_reloads.py [--reloads 50] [--workers 0] [--model NAME]...

Each shipped model is copied to a folder of its own, loaded as version after version by the server's
own `LiveModels`, and unloaded by removing the version before. Prints the resident memory of this
process with its worker processes (pages that several share count once) after the fifth reload and
after the last, and the difference.
"""

import argparse
import asyncio
import shutil
import tempfile
from pathlib import Path

from dragoman_server.config import ModelSettings, ServerSettings, WorkerSettings
from dragoman_server.repository_scan import shipped_repository
from dragoman_server.server_models import ServerModels, open_models

_SETTLED = 5  # reloads until caches and arenas have their size


def _memory_bytes(models: ServerModels) -> int:
    total = 0
    placed = models.placed
    processes = {*placed.pool.process_ids(), *placed.image_pool.process_ids()}
    for pid in ("self", *map(str, processes)):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


async def _measure(source: Path, reloads: int, workers: int) -> tuple[int, int]:
    """Bytes after the fifth reload, and after the last."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / source.name
        shutil.copytree(source / "1", folder / "1")
        settings = ServerSettings(
            model_repositories=(Path(temporary),),
            shipped_models=False,
            models=ModelSettings(watch_seconds=3600),
            workers=WorkerSettings(translation=workers, language_model=workers, vision=workers),
        )
        models = open_models(settings)
        if models.watcher is None:
            raise RuntimeError("the folder is not watched")
        await models.live.load_all()
        settled = 0
        for version in range(2, reloads + 2):
            shutil.copytree(source / "1", folder / str(version))
            await models.live.load(source.name, version, pin=False)
            shutil.rmtree(folder / str(version - 1))
            await models.watcher.look()
            await models.watcher.look()
            await asyncio.sleep(0.5)  # for the memory to be given back
            if version == _SETTLED + 1:
                settled = _memory_bytes(models)
        last = _memory_bytes(models)
        models.placed.close()
        return settled, last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reloads", type=int, default=50)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--model", action="append", help="this one; may be given again")
    given = parser.parse_args()
    for source in sorted(shipped_repository().iterdir()):
        if (source / "1").is_dir() and source.name in (given.model or [source.name]):
            settled, last = asyncio.run(_measure(source, given.reloads, given.workers))
            print(
                f"{source.name}: {settled / 1e6:.0f} MB after {_SETTLED} reloads, "
                f"{last / 1e6:.0f} MB after {given.reloads}: {(last - settled) / 1e6:+.1f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
