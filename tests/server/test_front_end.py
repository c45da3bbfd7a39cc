"""The process that has no model in it loads none of the libraries that models compute with."""

import subprocess
import sys
from pathlib import Path

import dragoman_models

PRETRAINED = Path(dragoman_models.__file__).parent / "pretrained"

FRONT_END = """
import sys
from pathlib import Path
import dragoman_server.lifecycle
from dragoman_models.bundle import read_bundle
from dragoman_server.served_families import SERVED_FAMILIES
from dragoman_server.workers.model_placement import PlacedModels

class Pool:
    size = 1

    def add(self, bundle, count):
        return 0

    def remove(self, number):
        pass

    def call(self, number, call, wanted=None):
        asked.append(call.method)

    def engine(self, number, keep):
        raise LookupError

asked = []
placed = PlacedModels({"translation": 1, "language_model": 1}, threads=1, pool=Pool())
translator, model = (placed.load(read_bundle(Path(one))) for one in sys.argv[1:])
assert translator.source_tokens("One two.")
assert model.prompt_tokens("One two.")
for family, model in (("translation", translator), ("language_model", model)):
    (warm_up,) = (one.warm_up for one in SERVED_FAMILIES if one.name == family)
    try:
        warm_up(model)
    except LookupError:
        pass
assert asked == ["translate", "score"], asked
print(*sorted({"torch", "numba", "onnxruntime", "sacrebleu", "scipy"} & set(sys.modules)))
"""


def test_what_workers_compute_needs_no_library_in_the_server() -> None:
    bundles = [PRETRAINED / name / "1" for name in ("en-de", "english-gru")]
    ended = subprocess.run(
        [sys.executable, "-c", FRONT_END, *bundles], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == ""
