"""The cells equal their equations and torch's layers; whole sequences equal the cells' steps."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from dragoman_models.language_model.cells import CELLS, CellWeights, State
from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.layers import RecurrentLayer, recurrent_layers
from dragoman_models.language_model.sequence_kernels import GruSequence, LstmSequence

Array = npt.NDArray[np.float64]
B, T, IN, H = 3, 5, 4, 6
PLAIN = ["rnn", "gru", "simple_gru", "lstm"]


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def by_equations(name: str, x: Array, state: list[Array], w: list[Array]) -> list[Array]:
    """One step in float64 numpy, gate by gate as the papers write it."""
    h = state[0]

    def both(gate: int) -> tuple[Array, Array]:
        rows = slice(gate * H, (gate + 1) * H)
        return x @ w[0][rows].T + w[2][rows], h @ w[1][rows].T + w[3][rows]

    def total(gate: int) -> Array:
        return np.asarray(both(gate)[0] + both(gate)[1])

    if name == "rnn":
        return [np.tanh(total(0))]
    if name == "lstm":
        i, f, o = (sigmoid(total(gate)) for gate in (0, 1, 3))
        c = f * state[1] + i * np.tanh(total(2))
        return [o * np.tanh(c), c]
    relevance = sigmoid(total(0)) if name == "gru" else np.ones_like(h)
    update = sigmoid(total(1 if name == "gru" else 0))
    from_input, from_hidden = both(2 if name == "gru" else 1)
    candidate = np.tanh(from_input + relevance * from_hidden)
    return [update * h + (1 - update) * candidate]


def random_cell(name: str, seed: int = 0) -> tuple[torch.Tensor, State, CellWeights]:
    draw = torch.Generator().manual_seed(seed)
    gates, states = CELLS[name].gates, CELLS[name].states

    def tensor(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    weights = CellWeights(
        tensor(gates * H, IN), tensor(gates * H, H), tensor(gates * H), tensor(gates * H)
    )
    return tensor(B, IN), tuple(tensor(B, H) for _ in range(states)), weights


@pytest.mark.parametrize("name", PLAIN)
def test_step_equals_its_equations(name: str) -> None:
    x, state, weights = random_cell(name)
    found = CELLS[name].step(x, state, weights)
    expected = by_equations(
        name, x.numpy(), [s.numpy() for s in state], [w.numpy() for w in weights]
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "layer"), [("rnn", nn.RNN), ("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_step_equals_torchs_own_layer(name: str, layer: Callable[..., nn.RNNBase]) -> None:
    torch.manual_seed(1)
    theirs = layer(IN, H)
    weights = CellWeights(*theirs.state_dict().values())
    inputs = torch.randn(T, B, IN)
    outputs, _ = theirs(inputs)
    state: State = tuple(torch.zeros(B, H) for _ in range(CELLS[name].states))
    for t in range(T):
        state = CELLS[name].step(inputs[t], state, weights)
        torch.testing.assert_close(state[0], outputs[t], rtol=0, atol=1e-5)


def stepped(
    layer: RecurrentLayer, inputs: torch.Tensor, state: State
) -> tuple[torch.Tensor, State]:
    outputs = []
    for row in inputs:
        state = layer.step(row, state)
        outputs.append(state[0])
    return torch.stack(outputs), state


@pytest.mark.parametrize("name", [*PLAIN, "mogrifier_lstm"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_sequence_and_its_gradient_equal_the_steps(
    name: str, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(2)
    config = NetworkConfig(
        cell=name, embedding_size=IN, hidden_size=H, layers=1, tie_weights=False,  # type: ignore[arg-type]
        mogrifier_rank=2,
    )  # fmt: skip
    layer = recurrent_layers(config)[0]
    assert isinstance(layer, RecurrentLayer)
    inputs = torch.randn(T, B, IN)
    first = tuple(torch.randn(B, H) * 0.5 for _ in range(layer.cell.states))
    weighting = torch.randn(T, B, H)
    expected, last = stepped(layer, inputs, first)
    ((expected * weighting).sum() + last[-1].sum()).backward()  # type: ignore[no-untyped-call]
    gradients = {n: p.grad for n, p in layer.named_parameters()}
    layer.zero_grad()
    found, found_last = layer(inputs.to(dtype), first)
    ((found.float() * weighting).sum() + found_last[-1].float().sum()).backward()
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(found_last[-1].float(), last[-1], rtol=0, atol=tolerance)
    for parameter, weight in layer.named_parameters():
        expected_gradient = gradients[parameter]
        assert weight.grad is not None
        assert expected_gradient is not None
        scale = float(expected_gradient.abs().max())
        torch.testing.assert_close(
            weight.grad, expected_gradient, rtol=0, atol=2 * tolerance * max(scale, 1.0)
        )


@pytest.mark.parametrize("gates", [2, 3])
def test_gru_kernel_gradient_against_finite_differences(gates: int) -> None:
    torch.manual_seed(3)
    arguments = [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((3, 2, gates * 3), (gates * 3, 3), (gates * 3,), (2, 3))
    ]
    assert torch.autograd.gradcheck(GruSequence.apply, arguments)


def test_lstm_kernel_gradient_against_finite_differences() -> None:
    torch.manual_seed(3)
    arguments = [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((3, 2, 12), (12, 3), (2, 3), (2, 3))
    ]
    assert torch.autograd.gradcheck(LstmSequence.apply, arguments)


def test_mogrifier_without_rounds_is_an_lstm() -> None:
    sizes = {"embedding_size": IN, "hidden_size": H, "layers": 1, "tie_weights": False}
    torch.manual_seed(4)
    mogrifier = recurrent_layers(
        NetworkConfig(cell="mogrifier_lstm", mogrifier_rounds=0, **sizes)  # type: ignore[arg-type]
    )[0]
    lstm = recurrent_layers(NetworkConfig(cell="lstm", **sizes))[0]  # type: ignore[arg-type]
    lstm.load_state_dict(mogrifier.state_dict())
    inputs, state = torch.randn(T, B, IN), (torch.zeros(B, H), torch.zeros(B, H))
    torch.testing.assert_close(mogrifier(inputs, state)[0], lstm(inputs, state)[0])


def test_mogrifier_step_equals_its_equations() -> None:
    config = NetworkConfig(
        cell="mogrifier_lstm", embedding_size=IN, hidden_size=H, layers=1, tie_weights=False,
        mogrifier_rounds=3,
    )  # fmt: skip
    torch.manual_seed(5)
    layer = recurrent_layers(config)[0].double()
    weights = {name: value.detach().numpy() for name, value in layer.state_dict().items()}
    x0, h0, c0 = (torch.randn(B, n, dtype=torch.float64) for n in (IN, H, H))

    def gate(number: int, values: Array) -> Array:
        prefix = f"gates.{number - 1}.0"
        return 2 * sigmoid(values @ weights[f"{prefix}.weight"].T + weights[f"{prefix}.bias"])

    x1 = gate(1, h0.numpy()) * x0.numpy()
    h2 = gate(2, x1) * h0.numpy()
    x3 = gate(3, h2) * x1
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    expected = by_equations("lstm", x3, [h2, c0.numpy()], [weights[n] for n in names])
    found = layer.step(x0, (h0, c0))  # type: ignore[operator]
    np.testing.assert_allclose(found[0].detach().numpy(), expected[0], rtol=0, atol=1e-12)


def test_weight_drop_takes_recurrent_weights_for_the_whole_sequence_only_in_training() -> None:
    torch.manual_seed(6)
    layer = RecurrentLayer("rnn", IN, H)
    kept = layer.weights(torch.float32, 0.5)
    share = float((kept.recurrent == 0).float().mean())
    assert 0.2 < share < 0.8
    survivors = kept.recurrent[kept.recurrent != 0]
    torch.testing.assert_close(survivors, (layer.weight_hh * 2)[kept.recurrent != 0])
    assert torch.equal(kept.input, layer.weight_ih)
    assert torch.equal(layer.eval().weights(torch.float32, 0.5).recurrent, layer.weight_hh)
