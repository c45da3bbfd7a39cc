"""Which bundles are loaded into processes of their own, and into how many."""

from collections.abc import Callable, Mapping

from dragoman_models.bundle import Bundle
from dragoman_models.registry import load_model
from dragoman_models.translation.family import TranslationFamily
from dragoman_server.served_families import IMAGE_FAMILIES, IMAGE_NICENESS
from dragoman_server.workers.model_pool import ModelPool
from dragoman_server.workers.remote_models import (
    RemoteImageModel,
    RemoteLanguageModel,
    RemoteTranslator,
)
from dragoman_server.workers.shared_bundle import SharedBundle, shared, whole
from dragoman_server.workers.worker_pool import WorkerPool


class PlacedModels:
    """Loads bundles, here or into worker processes."""

    def __init__(
        self,
        counts: Mapping[str, int],
        *,
        threads: int,
        load: Callable[[Bundle], object] = load_model,
        image_processes: int = 0,
        pool: ModelPool | None = None,
    ) -> None:
        """Args:
        counts: processes by family; 0 for models in the server's own process.
        threads: that one process computes with.
        load: what turns a bundle into a model, here as there.
        image_processes: those of the models of images, which no other model is in.
        pool: what has the processes; by default worker processes, those for images apart.
        """
        self._counts = counts
        self._image_processes = image_processes
        self._load = load
        self.pool: ModelPool = pool or WorkerPool(
            max(counts.values(), default=0), threads=threads, load=load
        )
        self.image_pool: ModelPool = pool or WorkerPool(
            image_processes, threads=threads, load=load, niceness=IMAGE_NICENESS
        )

    def start(self) -> None:
        """Whatever must be there before the first model; raises `StartupError`."""
        self.pool.start()

    def close(self) -> None:
        """End all processes and start no more."""
        self.pool.close()
        self.image_pool.close()

    def load(self, bundle: Bundle) -> object:
        """The model in `bundle`, or what stands for it; raises `BundleError`."""
        if bundle.family in IMAGE_FAMILIES and self._image_processes:
            number = self.image_pool.add(whole(bundle), self._image_processes)
            return RemoteImageModel(self.image_pool, number)
        count = self._counts.get(bundle.family, 0)
        if not count:
            return self._load(bundle)
        return self._front(shared(bundle), count)

    def _front(self, bundle: SharedBundle, count: int) -> object:
        number = self.pool.add(bundle, count)
        if bundle.family == "translation":
            return RemoteTranslator(self.pool, number, TranslationFamily().texts(bundle))
        from dragoman_models.language_model.text_vocabulary import read_vocabulary, vocabulary_file

        kind = bundle.config["vocabulary"]
        vocabulary = read_vocabulary(kind, bundle.file(vocabulary_file(kind)))
        return RemoteLanguageModel(self.pool, number, vocabulary)
