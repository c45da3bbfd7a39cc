"""A bundle whose mapped weights stay what they were, whatever becomes of the folder.

A process that reads a mapped file which was cut short meanwhile is killed by SIGBUS. So what a
model maps is a copy that has no name any more: the system still reads it from the disk when it is
used and may drop it from memory, but nobody can change it, and its space is free once the model,
or the whole process, has ended.
"""

import shutil
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

from dragoman_models.bundle import WEIGHTS, Bundle
from dragoman_models.errors import BundleError
from dragoman_models.tensor_file import Array, TensorFileError, map_numpy


@dataclass(frozen=True, kw_only=True)
class HeldBundle(Bundle):
    """Maps from a copy."""

    def mapped_tensors(self) -> dict[str, Array]:
        """As those of `Bundle`, over a copy in the folder for temporary files (TMPDIR)."""
        try:
            with tempfile.NamedTemporaryFile(prefix="dragoman-") as copy:
                with (self.path / WEIGHTS).open("rb") as weights:
                    shutil.copyfileobj(weights, copy, 1 << 20)
                copy.flush()
                return map_numpy(Path(copy.name))
        except TensorFileError as error:
            raise BundleError(self.path, f"{WEIGHTS}: {error}") from error
        except OSError as error:
            reason = error.strerror or error
            raise BundleError(
                self.path,
                f"{WEIGHTS} cannot be copied to {tempfile.gettempdir()}, from where it is mapped: "
                f"{reason}",
            ) from error


def held(bundle: Bundle) -> HeldBundle:
    """The same bundle, mapped from a copy where a model maps it."""
    return HeldBundle(**{field.name: getattr(bundle, field.name) for field in fields(Bundle)})
