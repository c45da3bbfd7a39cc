"""The conditional GRU decoder, and layer normalization, in float64 by the papers' equations."""

from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from dragoman_models.translation.arithmetic.choice import Arithmetic, chosen, suits
from dragoman_models.translation.conditional_decoder import ConditionalDecoder
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.decoder import Decoder, DecoderState
from dragoman_models.translation.dropout import DropoutRates
from dragoman_models.translation.encoder import Encoder

Floats = NDArray[np.float64]
SIZES = {
    "vocabulary_size": 340, "embedding_size": 7, "encoder_size": 5, "decoder_size": 6,
}  # fmt: skip
Kind = Literal["input_feeding", "conditional_gru"]


def make_config(decoder: Kind, *, layer_norm: bool, attention: str = "additive") -> NetworkConfig:
    settings = {**SIZES, "decoder": decoder, "layer_norm": layer_norm, "attention": attention}
    return NetworkConfig.model_validate(settings)


def randomized(module: nn.Module) -> nn.Module:
    """Gains and shifts too, which begin as ones and zeros."""
    generator = torch.Generator().manual_seed(9)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.7
    return module.eval().requires_grad_(False)


def double(tensor: torch.Tensor) -> Floats:
    return tensor.detach().double().numpy()


class Reference:
    """The named layers of a module, in float64."""

    def __init__(self, module: nn.Module) -> None:
        self.weights = {name: double(weight) for name, weight in module.named_parameters()}

    def linear(self, name: str, x: Floats) -> Floats:
        return np.asarray(self.weights[f"{name}.weight"] @ x + self.weights.get(f"{name}.bias", 0))

    def norm(self, name: str, gates: Floats) -> Floats:
        """Ba et al. 2016, eq. 4, of each gate; as it is where the module has no such layer."""
        if f"{name}.gain" not in self.weights:
            return gates
        blocks = [
            (block - block.mean()) / np.sqrt(block.var() + 1e-5) for block in np.split(gates, 3)
        ]
        return np.asarray(
            self.weights[f"{name}.gain"] * np.concatenate(blocks) + self.weights[f"{name}.shift"]
        )

    def attention(self, query: Floats, encoded: Floats) -> Floats:
        """Bahdanau et al. 2015, appendix A.1.2."""
        scores = np.array(
            [
                self.weights["attention.energy"]
                @ np.tanh(
                    self.linear("attention.query_projection", query)
                    + self.linear("attention.key_projection", source)
                )
                for source in encoded
            ]
        )
        return np.asarray(np.exp(scores) / np.exp(scores).sum())


def gru(input_gates: Floats, hidden_gates: Floats, hidden: Floats) -> Floats:
    r_x, z_x, n_x = np.split(input_gates, 3)
    r_h, z_h, n_h = np.split(hidden_gates, 3)
    reset, update = 1 / (1 + np.exp(-(r_x + r_h))), 1 / (1 + np.exp(-(z_x + z_h)))
    return np.asarray((1 - update) * np.tanh(n_x + reset * n_h) + update * hidden)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_conditional_step_equals_the_equations(layer_norm: bool) -> None:
    decoder = randomized(ConditionalDecoder(make_config("conditional_gru", layer_norm=layer_norm)))
    assert isinstance(decoder, ConditionalDecoder)
    encoded, lengths = torch.randn(2, 4, 10), [4, 2]
    memory = decoder.memory(encoded, torch.arange(4) >= torch.tensor(lengths).unsqueeze(1))
    embedded = torch.randn(6, 7)
    state = DecoderState(torch.randn(6, 6), torch.zeros(6, 0), torch.zeros(6, 7))
    after, weights = decoder.step(decoder.embedding_gates(embedded), state, memory)
    reference = Reference(decoder)
    for row in range(6):
        sentence, place = divmod(row, 3)
        source = double(encoded[sentence, : lengths[sentence]])
        joined, hidden = (
            reference.linear("embedding_gates", double(embedded[row])),
            double(state.hidden[row]),
        )
        recurrent = reference.norm("norms.1", reference.linear("hidden_gates", hidden))
        first = gru(reference.norm("norms.0", joined[:18]), recurrent, hidden)
        attended = reference.attention(first, source)
        context = reference.linear("context_projection", attended @ source)
        recurrent = reference.norm("norms.3", reference.linear("second_gates", first))
        second = gru(reference.norm("norms.2", context[:18]), recurrent, first)
        readout = joined[18:] + context[18:] + reference.linear("hidden_projection", second)
        found = double(weights[sentence, place, : lengths[sentence]])
        np.testing.assert_allclose(found, attended, atol=1e-5)
        np.testing.assert_allclose(double(after.hidden[row]), second, atol=1e-5)
        np.testing.assert_allclose(double(after.attentional[row]), np.tanh(readout), atol=1e-5)


def test_normalized_step_of_the_input_feeding_decoder() -> None:
    decoder = randomized(Decoder(make_config("input_feeding", layer_norm=True)))
    assert isinstance(decoder, Decoder)
    memory = decoder.memory(torch.randn(1, 3, 10), torch.zeros(1, 3, dtype=torch.bool))
    embedded = torch.randn(2, 7)
    state = DecoderState(torch.randn(2, 6), torch.zeros(2, 0), torch.randn(2, 7))
    after, _ = decoder.step(decoder.embedding_gates(embedded), state, memory)
    reference = Reference(decoder)
    for row in range(2):
        hidden = double(state.hidden[row])
        inputs = reference.linear("embedding_gates", double(embedded[row]))
        inputs += reference.linear("feed_gates", double(state.attentional[row]))
        recurrent = reference.norm("hidden_norm", reference.linear("hidden_gates", hidden))
        expected = gru(reference.norm("input_norm", inputs), recurrent, hidden)
        np.testing.assert_allclose(double(after.hidden[row]), expected, atol=1e-5)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("decoder", ["input_feeding", "conditional_gru"])
def test_teacher_forcing_equals_single_steps(decoder: Kind, layer_norm: bool) -> None:
    """In training too, where products are gathered, and with the gradient of the single steps."""
    kind = Decoder if decoder == "input_feeding" else ConditionalDecoder
    module = randomized(kind(make_config(decoder, layer_norm=layer_norm)))
    assert isinstance(module, Decoder | ConditionalDecoder)
    module.requires_grad_(True).train()
    encoded, embedded, summary = torch.randn(2, 4, 10), torch.randn(3, 2, 7), torch.randn(2, 10)
    found, gradients = [], []
    for together in (True, False):
        memory = module.memory(encoded, torch.zeros(2, 4, dtype=torch.bool))
        state = module.initial_state(summary)
        if together:
            outputs = module(embedded, state, memory)
        else:
            steps = []
            for inputs in embedded:
                state, _ = module.step(module.embedding_gates(inputs), state, memory)
                steps.append(state.attentional)
            outputs = torch.stack(steps)
        found.append(outputs)
        gradients.append(torch.autograd.grad(outputs.square().sum(), list(module.parameters())))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)
    for gathered, single in zip(*gradients, strict=True):
        torch.testing.assert_close(gathered, single, atol=1e-4, rtol=1e-4)


def test_normalized_encoder_reads_as_the_equations_do() -> None:
    """The backward direction too: its first state is that of the last word."""
    config = NetworkConfig(embedding_size=4, encoder_size=3, encoder_layers=1, layer_norm=True)
    encoder = randomized(Encoder(config, dropout=DropoutRates()))
    embedded = torch.randn(1, 4, 4)
    encoded, _ = encoder(embedded, torch.tensor([4]))
    weights = {name: double(weight) for name, weight in encoder.named_parameters()}
    for direction, suffix in enumerate(("", "_reverse")):
        hidden = np.zeros(3)
        order = range(4) if direction == 0 else reversed(range(4))
        for t in order:
            sides = []
            for kind, gains, vector in (
                ("ih", "input_gains", double(embedded[0, t])), ("hh", "hidden_gains", hidden),
            ):  # fmt: skip
                blocks = np.split(weights[f"recurrent.weight_{kind}_l0{suffix}"] @ vector, 3)
                normal = [(b - b.mean()) / np.sqrt(b.var() + 1e-5) for b in blocks]
                bias = weights[f"recurrent.bias_{kind}_l0{suffix}"]
                sides.append(weights[gains][0, direction] * np.concatenate(normal) + bias)
            hidden = gru(sides[0], sides[1], hidden)
            found = double(encoded[0, t, 3 * direction : 3 * direction + 3])
            np.testing.assert_allclose(found, hidden, atol=1e-5)


@pytest.mark.parametrize("lengths", [[5, 2, 3], [1, 5, 5]])
def test_padding_does_not_matter_to_a_normalized_encoder(lengths: list[int]) -> None:
    config = NetworkConfig(embedding_size=4, encoder_size=3, encoder_layers=2, layer_norm=True)
    encoder = randomized(Encoder(config, dropout=DropoutRates()))
    embedded = torch.randn(3, 5, 4)
    encoded, summary = encoder(embedded, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, its_summary = encoder(embedded[row : row + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(encoded[row, :length], alone[0], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(summary[row], its_summary[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("change", [{"layer_norm": True}, {"decoder": "conditional_gru"}])
def test_an_lstm_has_neither(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match='are for cell = "gru"'):
        NetworkConfig.model_validate({"cell": "lstm", **change})


@pytest.mark.parametrize("change", [{"layer_norm": True}, {"decoder": "conditional_gru"}])
def test_compiled_loops_leave_them_to_torch(change: dict[str, object]) -> None:
    """Of sizes that the loops have, so that these alone are what they lack."""
    sizes = {"embedding_size": 64, "encoder_size": 16, "decoder_size": 64}
    assert suits(NetworkConfig.model_validate(sizes))
    config = NetworkConfig.model_validate({**sizes, **change})
    assert chosen(Arithmetic.AUTO, config, dict.fromkeys(("avx512f", "amx_bf16"), True)) is (
        Arithmetic.PLAIN
    )
    with pytest.raises(ValueError, match="with input feeding and without layer_norm"):
        chosen(Arithmetic.FLOAT32, config, {})
