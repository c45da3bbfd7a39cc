"""The moving average of weights, by its equation in float64."""

import torch

from dragoman_models.vision.moving_average import MovingAverage


def test_the_moving_average_is_that_of_its_equation() -> None:
    network = torch.nn.BatchNorm1d(2).double()
    average = MovingAverage(network, 0.7)
    chance = torch.Generator().manual_seed(4)
    expected = network.weight.detach().clone()
    for update in range(1, 30):
        new = torch.rand(2, generator=chance, dtype=torch.float64)
        network.weight.data.copy_(new)
        network.state_dict()["num_batches_tracked"] += 1
        average.add(network)
        decay = min(0.7, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * new
        torch.testing.assert_close(average.weights["weight"], expected)
    assert average.weights["num_batches_tracked"] == 29
    other = MovingAverage(network, 0.7)
    other.load_state_dict(average.state_dict())
    average.add(network)
    other.add(network)
    torch.testing.assert_close(other.weights, average.weights)
