"""The weights that a config asks for are those of torch's network, and torch is not needed."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dragoman_models
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.stored_network import StoredNetwork, check_shapes, stored

SIZES = {"vocabulary_size": 9, "embedding_size": 5, "encoder_size": 3, "decoder_size": 4}
GRU = [
    {"cell": "gru", "decoder": decoder, "layer_norm": norm}
    for decoder, norm in itertools.product(("input_feeding", "conditional_gru"), (False, True))
]


@pytest.mark.parametrize("attention", ["multiplicative", "additive"])
@pytest.mark.parametrize("kind", [*GRU, {"cell": "lstm"}])
def test_shapes_are_those_of_the_network(kind: dict[str, object], attention: str) -> None:
    for tied, layers in ((True, 1), (False, 2)):
        config = NetworkConfig.model_validate({
            **SIZES, **kind, "attention": attention, "encoder_layers": layers,
            "tie_source_embedding": tied,
        })  # fmt: skip
        state = TranslationNetwork(config).state_dict()
        check_shapes({name: tuple(weight.shape) for name, weight in state.items()}, config)


def test_weights_become_the_network_again_without_a_copy() -> None:
    network = TranslationNetwork(NetworkConfig(**SIZES))  # type: ignore[arg-type]
    given = stored(network)
    assert given.network is network
    made = StoredNetwork(given.config, given.weights).network
    for name, weight in made.state_dict().items():
        assert np.shares_memory(weight.numpy(), given.weights[name])
    assert not made.training
    assert not any(weight.requires_grad for weight in made.parameters())


CALLS = """
import sys
from pathlib import Path
from dragoman_models.bundle import read_bundle
from dragoman_models.registry import load_model
from dragoman_models.translation.arithmetic.choice import Arithmetic
from dragoman_models.translation.family import TranslationFamily
from dragoman_models.translation.translation_options import TranslationOptions
family = TranslationFamily(arithmetic=Arithmetic.FLOAT32)
translator = load_model(read_bundle(Path(sys.argv[1])), translation=family)
options = TranslationOptions(return_alignments=True, split_sentences=True, no_repeat_ngram_size=3)
(answer,) = translator.translate(["Zeynep dort. Il fait froid."], options)
translator.score_targets([("Tom dort.", answer[0].text)])
heavy = {"torch", "sacrebleu", "matplotlib", "grpc", "numba.typed.typeddict"}
print(*sorted(heavy & set(sys.modules)))
"""


def test_who_translates_in_compiled_loops_never_loads_torch() -> None:
    """From the file to scores and alignments: torch takes as much memory as all else together. Nor
    do those load numba's compiler (its dictionaries, say) who find what the first one compiled."""
    bundle = Path(dragoman_models.__file__).parent / "pretrained/fr-en/1"
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-c", CALLS, bundle], capture_output=True, text=True, check=True
        )
    assert ended.stdout.strip() == ""
