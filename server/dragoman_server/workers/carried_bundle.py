"""A bundle that needs no folder: its files travel with it to other processes."""

from collections.abc import Mapping
from dataclasses import dataclass

from dragoman_models.bundle import WEIGHTS, Bundle
from dragoman_models.errors import BundleError, quoted
from dragoman_models.tensor_file import Array


@dataclass(frozen=True, kw_only=True)
class CarriedBundle(Bundle):
    """A process that starts again loads it after the folder has gone, too.

    Attributes:
        files: the contents by name; the weights are among them where they travel as they were
            written, and not where they travel apart, in float32.
    """

    files: Mapping[str, bytes]

    @property
    def is_whole(self) -> bool:
        """Whether its weights are as they were written."""
        return WEIGHTS in self.files

    def file(self, name: str) -> bytes:
        if name not in self.files:
            raise BundleError(self.path, f"the bundle has no file {quoted(name)}")
        return self.files[name]

    def mapped_tensors(self) -> dict[str, Array]:
        """As `numpy_tensors`: there is no file to map."""
        return self.numpy_tensors()
