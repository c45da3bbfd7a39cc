"""Which arithmetic is taken on which CPU, for which network."""

import pytest

from dragoman_models.translation.arithmetic.choice import Arithmetic, chosen
from dragoman_models.translation.config import NetworkConfig

AVX512 = {"avx512f": True, "avx512bw": True, "avx512vl": True}
BOTH = {**AVX512, "avx512vnni": True, "avx512bf16": True}
SUITED = NetworkConfig()
OTHERS = [
    NetworkConfig(cell="lstm"),
    NetworkConfig(encoder_layers=2),
    NetworkConfig(decoder_size=500),
    NetworkConfig(embedding_size=100),
    NetworkConfig(encoder_size=100),
]


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (BOTH, Arithmetic.INT8),
        ({**AVX512, "avx512vnni": True}, Arithmetic.INT8),
        ({**AVX512, "avx512bf16": True}, Arithmetic.BFLOAT16),
        (AVX512, Arithmetic.FLOAT32),
        ({"avx2": True}, Arithmetic.PLAIN),
        ({}, Arithmetic.PLAIN),
    ],
)
def test_auto_takes_the_fastest_that_the_cpu_has(
    features: dict[str, bool], expected: Arithmetic
) -> None:
    assert chosen(Arithmetic.AUTO, SUITED, features) is expected


@pytest.mark.parametrize("config", OTHERS)
def test_other_networks_are_computed_plainly(config: NetworkConfig) -> None:
    assert chosen(Arithmetic.AUTO, config, BOTH) is Arithmetic.PLAIN
    assert chosen(Arithmetic.PLAIN, config, BOTH) is Arithmetic.PLAIN
    with pytest.raises(ValueError, match="GRU networks of one encoder layer"):
        chosen(Arithmetic.INT8, config, BOTH)


def test_what_the_cpu_lacks_is_named() -> None:
    with pytest.raises(ValueError, match=r"int8 arithmetic needs a CPU with avx512vnni; choose"):
        chosen(Arithmetic.INT8, SUITED, {**AVX512, "avx512bf16": True})
    with pytest.raises(ValueError, match=r"bfloat16 .*avx512bf16"):
        chosen(Arithmetic.BFLOAT16, SUITED, AVX512)
    assert chosen(Arithmetic.FLOAT32, SUITED, {}) is Arithmetic.FLOAT32
