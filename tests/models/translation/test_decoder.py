"""The decoder's step against the papers' equations in float64, and torch's own cells."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dragoman_models.translation.attention import AdditiveAttention
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.decoder import Decoder, DecoderState, gru_step, lstm_step

Floats = NDArray[np.float64]


def double(tensor: torch.Tensor) -> Floats:
    return tensor.detach().double().numpy()


def sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_steps_equal_torch_cells(rows: int, size: int, inputs: int, seed: int) -> None:
    torch.manual_seed(seed)
    x, hidden, cell = torch.randn(rows, inputs), torch.randn(rows, size), torch.randn(rows, size)
    gru, lstm = torch.nn.GRUCell(inputs, size), torch.nn.LSTMCell(inputs, size)
    input_gates = x @ gru.weight_ih.t() + gru.bias_ih
    hidden_gates = hidden @ gru.weight_hh.t() + gru.bias_hh
    torch.testing.assert_close(
        gru_step(input_gates, hidden_gates, hidden), gru(x, hidden), atol=1e-5, rtol=1e-5
    )
    gates = x @ lstm.weight_ih.t() + lstm.bias_ih + hidden @ lstm.weight_hh.t() + lstm.bias_hh
    torch.testing.assert_close(
        lstm_step(gates, cell), lstm(x, (hidden, cell)), atol=1e-5, rtol=1e-5
    )


class ReferenceDecoder:
    """One hypothesis, one step, in float64."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def linear(self, name: str, x: Floats) -> Floats:
        weights = dict(self.decoder.named_parameters())
        product = double(weights[f"{name}.weight"]) @ x
        bias = weights.get(f"{name}.bias")
        return np.asarray(product if bias is None else product + double(bias))

    def gru(self, embedded: Floats, feed: Floats, hidden: Floats) -> Floats:
        """Cho et al. 2014, eq. 5 to 8, the reset gate after the product as in cuDNN."""
        fed = self.linear("embedding_gates", embedded) + self.linear("feed_gates", feed)
        recurrent = self.linear("hidden_gates", hidden)
        r_in, z_in, n_in = np.split(fed, 3)
        r_hidden, z_hidden, n_hidden = np.split(recurrent, 3)
        reset, update = sigmoid(r_in + r_hidden), sigmoid(z_in + z_hidden)
        new = np.tanh(n_in + reset * n_hidden)
        return np.asarray((1 - update) * new + update * hidden)

    def lstm(
        self, embedded: Floats, feed: Floats, hidden: Floats, cell: Floats
    ) -> tuple[Floats, Floats]:
        """Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000."""
        gates = self.linear("embedding_gates", embedded) + self.linear("feed_gates", feed)
        gates += self.linear("hidden_gates", hidden)
        in_gate, forget_gate, candidate, out_gate = np.split(gates, 4)
        cell = sigmoid(forget_gate) * cell + sigmoid(in_gate) * np.tanh(candidate)
        return np.asarray(sigmoid(out_gate) * np.tanh(cell)), np.asarray(cell)

    def attention(self, hidden: Floats, encoded: Floats) -> Floats:
        keys = [self.linear("attention.key_projection", source) for source in encoded]
        if isinstance(self.decoder.attention, AdditiveAttention):
            query = self.linear("attention.query_projection", hidden)
            energy = double(self.decoder.attention.energy)
            scores = np.array([energy @ np.tanh(query + key) for key in keys])
        else:
            scores = np.array([hidden @ key for key in keys]) / np.sqrt(len(hidden))
        return np.asarray(np.exp(scores) / np.exp(scores).sum())

    def attentional(self, hidden: Floats, encoded: Floats, weights: Floats) -> Floats:
        """Luong et al. 2015, eq. 5: tanh(W [c; h]), W in two parts, with a bias."""
        context = weights @ encoded
        joined = self.linear("context_projection", context)
        return np.asarray(np.tanh(joined + self.linear("hidden_projection", hidden)))


def test_step_equals_the_equations(small_config: NetworkConfig) -> None:
    """Three hypotheses of each of two sentences, the second one shorter."""
    torch.manual_seed(5)
    decoder, config = Decoder(small_config), small_config
    encoded = torch.randn(2, 5, 2 * config.encoder_size)
    lengths = [5, 3]
    padding = torch.arange(5) >= torch.tensor(lengths).unsqueeze(1)
    memory = decoder.memory(encoded, padding)
    embedded = torch.randn(6, config.embedding_size)
    state = DecoderState(
        torch.randn(6, config.decoder_size).tanh(),
        torch.randn(6, config.decoder_size if decoder.is_lstm else 0),
        torch.randn(6, config.embedding_size).tanh(),
    )
    after, weights = decoder.step(decoder.embedding_gates(embedded), state, memory)
    reference = ReferenceDecoder(decoder)
    for row in range(6):
        sentence, place = divmod(row, 3)
        source = double(encoded[sentence, : lengths[sentence]])
        inputs = double(embedded[row]), double(state.attentional[row]), double(state.hidden[row])
        if decoder.is_lstm:
            hidden, cell = reference.lstm(*inputs, double(state.cell[row]))
            np.testing.assert_allclose(double(after.cell[row]), cell, atol=1e-5)
        else:
            hidden = reference.gru(*inputs)
        expected = reference.attention(hidden, source)
        np.testing.assert_allclose(double(after.hidden[row]), hidden, atol=1e-5)
        np.testing.assert_allclose(
            double(weights[sentence, place, : lengths[sentence]]), expected, atol=1e-5
        )
        attentional = reference.attentional(hidden, source, expected)
        np.testing.assert_allclose(double(after.attentional[row]), attentional, atol=1e-5)


def test_initial_state_is_the_bridged_summary(small_config: NetworkConfig) -> None:
    decoder = Decoder(small_config)
    summary = torch.randn(2, 2 * small_config.encoder_size)
    state = decoder.initial_state(summary)
    bridged = [ReferenceDecoder(decoder).linear("bridge", double(row)) for row in summary]
    np.testing.assert_allclose(double(state.hidden), np.tanh(bridged), atol=1e-6)
    assert not state.cell.any()
    assert state.cell.shape == (2, small_config.decoder_size if decoder.is_lstm else 0)
    assert not state.attentional.any()


def test_teacher_forcing_equals_single_steps(small_config: NetworkConfig) -> None:
    torch.manual_seed(6)
    decoder = Decoder(small_config)
    memory = decoder.memory(
        torch.randn(2, 4, 2 * small_config.encoder_size), torch.zeros(2, 4, dtype=torch.bool)
    )
    state = decoder.initial_state(torch.randn(2, 2 * small_config.encoder_size))
    embedded = torch.randn(5, 2, small_config.embedding_size)
    together = decoder(embedded, state, memory)
    for t in range(5):
        state, _ = decoder.step(decoder.embedding_gates(embedded[t]), state, memory)
        torch.testing.assert_close(together[t], state.attentional, atol=1e-6, rtol=1e-5)
