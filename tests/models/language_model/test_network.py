"""Output layers against torch's softmax; dropouts, tying and carried state as they are defined."""

import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import cross_entropy, linear

from dragoman_models.language_model import loss as loss_module
from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.network import Dropouts, LanguageModelNetwork, locked_dropout

V, E, T, B = 23, 6, 7, 4


def network(dropouts: Dropouts | None = None, **changes: object) -> LanguageModelNetwork:
    torch.manual_seed(0)
    settings = {"vocabulary_size": V, "embedding_size": E, "hidden_size": 5, **changes}
    made = LanguageModelNetwork(NetworkConfig.model_validate(settings), dropouts)
    torch.nn.init.normal_(made.output_bias)
    torch.nn.init.normal_(made.cluster_weight)
    return made


def test_full_softmax_loss_and_gradient_equal_torchs() -> None:
    net = network().double()
    hidden = torch.randn(300, E, dtype=torch.float64, requires_grad=True)
    target = torch.randint(V, (300,))
    found = net.output.summed_loss(hidden, target, torch.float64)
    expected = cross_entropy(
        linear(hidden, net.embedding, net.output_bias), target, reduction="sum"
    )
    torch.testing.assert_close(found, expected)
    inputs = (hidden, net.embedding, net.output_bias)
    for one, other in zip(
        torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_adaptive_loss_and_gradient_equal_the_log_probs_of_the_vocabulary() -> None:
    net = network(adaptive_cutoffs=(5, 12)).double()
    hidden = torch.randn(300, E, dtype=torch.float64, requires_grad=True)
    target = torch.randint(V, (300,))
    log_probs = net.output.log_probs(hidden)
    expected = -log_probs.gather(1, target[:, None]).sum()
    found = net.output.summed_loss(hidden, target, torch.float64)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(-net.output.token_log_probs(hidden, target).sum(), expected)
    inputs = (hidden, net.embedding, net.output_bias, net.cluster_weight, net.cluster_bias)
    for one, other in zip(
        torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_a_loss_in_several_chunks_has_the_gradient_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(adaptive_cutoffs=(5, 12)).double()
    hidden = torch.randn(1000, E, dtype=torch.float64, requires_grad=True)
    target = torch.randint(V, (1000,))
    inputs = (hidden, *net.parameters())
    found = []
    for largest in (1 << 23, 1):  # one chunk, then 128 rows a chunk
        monkeypatch.setattr(loss_module, "_LARGEST_CHUNK", largest)
        loss = net.output.summed_loss(hidden, target, torch.float64)
        found.append([loss, *torch.autograd.grad(loss, inputs, materialize_grads=True)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_a_loss_is_differentiated_only_once() -> None:
    net = network()
    loss = net.output.summed_loss(torch.randn(3, E), torch.tensor([1, 2, 3]), torch.float32)
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="only once"):
        loss.backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("cutoffs", [(), (5,), (2, 9, 22)])
def test_probabilities_sum_to_one(cutoffs: tuple[int, ...]) -> None:
    log_probs = network(adaptive_cutoffs=cutoffs).output.log_probs(torch.randn(9, E))
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(9))


def test_adaptive_clusters_follow_the_definition() -> None:
    net = network(adaptive_cutoffs=(5, 12))
    hidden = torch.randn(1, E)
    frequent = linear(hidden, net.embedding[:5], net.output_bias[:5])
    clusters = linear(hidden, net.cluster_weight, net.cluster_bias)
    head = torch.cat([frequent, clusters], dim=1).softmax(1)
    inside = linear(hidden, net.embedding[12:], net.output_bias[12:]).softmax(1)
    found = net.output.log_probs(hidden).exp()
    torch.testing.assert_close(found[0, 15], head[0, 6] * inside[0, 3])


def test_half_precision_loss_is_near_and_its_gradient_points_the_same_way() -> None:
    net = network(adaptive_cutoffs=(5, 12))
    hidden = torch.randn(64, E)
    target = torch.randint(V, (64,))
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        loss = net.output.summed_loss(hidden, target, dtype)
        gradients.append(torch.autograd.grad(loss, net.embedding)[0].flatten())
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.999


@pytest.mark.parametrize("cutoffs", [(1, 5), (5, 5), (9, 5), (5, V)])
def test_cutoffs_out_of_order_are_refused(cutoffs: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="adaptive_cutoffs must rise"):
        NetworkConfig(vocabulary_size=V, adaptive_cutoffs=cutoffs)


@pytest.mark.parametrize("cell", ["rnn", "gru", "simple_gru", "lstm", "mogrifier_lstm"])
def test_carried_state_joins_segments(cell: str) -> None:
    net = network(cell=cell).eval()
    tokens = torch.randint(V, (T, B))
    whole = net(tokens, net.initial_state(B))
    first = net(tokens[:3], net.initial_state(B))
    second = net(tokens[3:], first.state)
    torch.testing.assert_close(torch.cat([first.raw, second.raw]), whole.raw)
    state = net.initial_state(B)
    for t in range(T):
        hidden, state = net.step(tokens[t], state)
        torch.testing.assert_close(hidden, whole.raw[t])


def test_locked_dropout_has_one_mask_for_all_steps() -> None:
    torch.manual_seed(1)
    dropped = locked_dropout(torch.ones(T, 50, 40), 0.4, training=True)
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert set(dropped.flatten().tolist()) == {0.0, float(torch.tensor(1.0) / torch.tensor(0.6))}
    assert abs(float((dropped[0] == 0).float().mean()) - 0.4) < 0.05
    assert torch.equal(
        locked_dropout(torch.ones(T, 2, 2), 0.4, training=False), torch.ones(T, 2, 2)
    )


def test_embedding_dropout_drops_words_wherever_they_stand() -> None:
    net = network(Dropouts(embedding=0.5)).train()
    tokens = torch.arange(V).repeat(6, 1).t()  # every word in all six columns
    embedded = net._embed(tokens, torch.float32)
    gone = (embedded == 0).all(-1)  # (V, 6)
    assert torch.equal(gone, gone[:, :1].expand_as(gone))
    assert 0 < int(gone[:, 0].sum()) < V
    kept = ~gone[:, 0]
    torch.testing.assert_close(embedded[kept, 0], 2 * net.embedding[kept])


def test_evaluation_drops_nothing() -> None:
    drop = Dropouts(embedding=0.5, input=0.5, hidden=0.5, output=0.5, weight=0.5)
    net, plain = network(drop).eval(), network().eval()
    tokens = torch.randint(V, (T, B))
    found = net(tokens, net.initial_state(B)).dropped
    assert torch.equal(found, plain(tokens, plain.initial_state(B)).dropped)


def test_tied_output_is_the_embedding() -> None:
    net = network()
    assert net.output.weight is net.embedding
    apart = network(tie_weights=False)
    assert apart.output.weight.shape == (V, 5)
    assert apart.output.weight is not apart.embedding
