"""Attention step by step gives what it gives at once, gradients included."""

import torch
from torch import Tensor

from dragoman_models.translation.attention import (
    AdditiveAttention,
    AttentionMemory,
    MultiplicativeAttention,
    attend,
)
from dragoman_models.translation.step_attention import StepAttention, step_attention

BATCH, SOURCE, SIZE, VALUE, STEPS = 3, 5, 4, 6, 4


def random_case() -> tuple[list[Tensor], Tensor]:
    """Queries (B, T, Q), keys, values that want gradients, and padding."""
    generator = torch.Generator().manual_seed(4)
    shapes = ((BATCH, STEPS, SIZE), (BATCH, SOURCE, SIZE), (BATCH, SOURCE, VALUE))
    tensors = [
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in shapes
    ]
    padding = torch.zeros(BATCH, SOURCE, dtype=torch.bool)
    padding[1, 3:] = True
    return tensors, padding


def test_steps_give_the_gradients_of_all_at_once() -> None:
    (queries, keys, values), padding = random_case()
    scorer = MultiplicativeAttention(query_size=SIZE, memory_size=SIZE)
    memory = AttentionMemory(keys, values, padding)
    context, weights = attend(scorer, queries, memory)
    upstream = torch.linspace(-1, 1, context.numel(), dtype=context.dtype).view_as(context)
    exact = torch.autograd.grad((context * upstream).sum(), (queries, keys, values))

    step = step_attention(scorer, memory)
    assert isinstance(step, StepAttention)
    parts = [step(query.unsqueeze(1)) for query in queries.unbind(1)]
    found_context = torch.cat([part for part, _ in parts], dim=1)
    found_weights = torch.cat([part for _, part in parts], dim=1)
    # Scores are float32, whatever they are scores of.
    torch.testing.assert_close(found_context, context, atol=1e-6, rtol=0)
    torch.testing.assert_close(found_weights, weights, atol=1e-6, rtol=0)
    assert not found_weights[1, :, 3:].any()
    found = torch.autograd.grad((found_context * upstream).sum(), (queries, keys, values))
    for part, right in zip(found, exact, strict=True):
        torch.testing.assert_close(part, right, atol=1e-5, rtol=0)


def test_additive_attention_is_left_to_autograd() -> None:
    (queries, keys, values), padding = random_case()
    scorer = AdditiveAttention(query_size=SIZE, memory_size=SIZE).double()
    memory = AttentionMemory(keys, values, padding)
    step = step_attention(scorer, memory)
    context, _ = step(queries)
    assert torch.equal(context, attend(scorer, queries, memory)[0])
