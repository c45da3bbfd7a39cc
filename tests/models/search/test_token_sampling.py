"""The sampler against the definitions of its filters, and its draws against chi-squared."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from dragoman_models.language_model.generation_options import GenerationOptions
from dragoman_models.search.sampling_options import SamplingOptions
from dragoman_models.search.token_sampling import draw, filtered_probabilities

V = 12
OPTIONS = st.builds(
    SamplingOptions,
    temperature=st.one_of(st.just(0.0), st.just(1.0), st.floats(0.2, 5)),
    top_k=st.one_of(st.none(), st.integers(1, 20)),
    top_p=st.one_of(st.just(1.0), st.floats(0.05, 1)),
    min_p=st.one_of(st.just(0.0), st.floats(0, 0.9)),
    typical_p=st.one_of(st.just(1.0), st.floats(0.05, 1)),
)


def by_definition(logits: list[float], o: SamplingOptions) -> list[float]:
    """One filter after the other in plain Python; every filter sees a renormalized rest."""
    if o.temperature == 0:
        best = max(range(len(logits)), key=lambda i: logits[i])
        return [float(i == best) for i in range(len(logits))]
    weights = {i: math.exp((x - max(logits)) / o.temperature) for i, x in enumerate(logits)}

    def normalized(kept: list[int]) -> dict[int, float]:
        total = sum(weights[i] for i in kept)
        return {i: weights[i] / total for i in kept}

    def fewest(order: list[int], p: dict[int, float], mass: float) -> list[int]:
        sums = itertools.accumulate((p[i] for i in order), initial=0.0)
        return [i for i, before in zip(order, sums, strict=False) if before < mass]

    kept = sorted(weights, key=lambda i: -weights[i])
    kept = kept[: o.top_k or V]
    kept = fewest(kept, normalized(kept), o.top_p) if o.top_p < 1 else kept
    kept = [i for i in kept if weights[i] >= o.min_p * max(weights.values())]
    p = normalized(kept)
    if o.typical_p < 1:
        entropy = -sum(x * math.log(x) for x in p.values() if x)
        kept.sort(key=lambda i: abs(-math.log(max(p[i], 1e-300)) - entropy))
        p = normalized(fewest(kept, p, o.typical_p))
    return [p.get(i, 0.0) for i in range(V)]


@given(options=st.lists(OPTIONS, min_size=1, max_size=4), seed=st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_filters_equal_their_definition_row_by_row(
    options: list[SamplingOptions], seed: int
) -> None:
    logits = 3 * torch.randn(len(options), V, generator=torch.Generator().manual_seed(seed))
    found = filtered_probabilities(logits, options)
    for row, one in enumerate(options):
        expected = by_definition(logits[row].tolist(), one)
        assert found[row].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("flatness", [0.01, 1.0, 6.0])
@pytest.mark.parametrize("decimals", [None, 0])  # rounded: with many equal logits
def test_a_large_vocabulary_is_filtered_by_the_same_definition(
    flatness: float, decimals: int | None
) -> None:
    """Both ways to find what is kept: by the front of the order, and by all of it."""
    logits = flatness * torch.randn(1, 2000, generator=torch.Generator().manual_seed(3))
    logits = logits if decimals is None else logits.round(decimals=decimals)
    order = sorted(range(2000), key=lambda i: (-float(logits[0, i]), i))
    p = torch.softmax(logits.double(), dim=1)[0]
    for options in (
        SamplingOptions(top_p=0.9),
        SamplingOptions(top_k=700),
        SamplingOptions(top_k=40),
        SamplingOptions(top_k=700, top_p=0.5),
    ):
        front = order[: options.top_k or 2000]
        shares = itertools.accumulate(float(p[i] / p[front].sum()) for i in front[:-1])
        kept = [i for i, before in zip(front, [0.0, *shares], strict=True)
                if before < options.top_p]  # fmt: skip
        found = filtered_probabilities(logits, [options])[0].nonzero().squeeze(1).tolist()
        assert abs(len(found) - len(kept)) <= 1  # a sum may round to the other side of top_p
        assert set(found) <= set(kept) or set(kept) <= set(found)


def test_ruled_out_tokens_stay_ruled_out() -> None:
    logits = torch.tensor([[1.0, -math.inf, 2.0, -math.inf]])
    for options in (SamplingOptions(), SamplingOptions(top_k=3), SamplingOptions(typical_p=0.99)):
        found = filtered_probabilities(logits, [options])
        assert found[0, [1, 3]].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "options",
    [
        SamplingOptions(),
        SamplingOptions(temperature=0.7, top_k=6),
        SamplingOptions(top_p=0.8),
        SamplingOptions(min_p=0.1),
        SamplingOptions(typical_p=0.7),
    ],
)
def test_draws_have_the_defined_probabilities(options: SamplingOptions) -> None:
    """Chi-squared of 20,000 draws, fixed seed: a right sampler passes with 999 of 1,000."""
    logits = torch.randn(V, generator=torch.Generator().manual_seed(5))
    expected = np.array(by_definition(logits.tolist(), options))
    count = 20_000
    uniforms = torch.from_numpy(np.random.default_rng(11).random(count))
    rows = filtered_probabilities(logits.unsqueeze(0), [options]).expand(count, -1)
    counts = np.bincount(draw(rows, uniforms).numpy(), minlength=V)
    possible = expected > 0
    assert counts[~possible].sum() == 0
    statistic = ((counts - count * expected)[possible] ** 2 / (count * expected[possible])).sum()
    assert statistic < chi2.ppf(0.999, possible.sum() - 1)


def test_chi_squared_would_notice_a_wrong_temperature() -> None:
    logits = torch.randn(V, generator=torch.Generator().manual_seed(5))
    expected = np.array(by_definition(logits.tolist(), SamplingOptions()))
    rows = filtered_probabilities(logits.unsqueeze(0), [SamplingOptions(temperature=0.9)])
    uniforms = torch.from_numpy(np.random.default_rng(11).random(20_000))
    counts = np.bincount(draw(rows.expand(20_000, -1), uniforms).numpy(), minlength=V)
    statistic = ((counts - 20_000 * expected) ** 2 / (20_000 * expected)).sum()
    assert statistic > chi2.ppf(0.999, V - 1)


def test_the_edges_of_the_uniform_numbers_draw_possible_tokens() -> None:
    probabilities = torch.tensor([[0.0, 0.3, 0.0, 0.7, 0.0]] * 3)
    uniforms = torch.tensor([0.0, 1 - 2**-53, 0.299], dtype=torch.float64)
    assert draw(probabilities, uniforms).tolist() == [1, 3, 1]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (SamplingOptions(temperature=math.nan), "sampling.temperature"),
        (SamplingOptions(temperature=-1), "sampling.temperature"),
        (SamplingOptions(top_k=0), "sampling.top_k"),
        (SamplingOptions(top_p=0), "sampling.top_p"),
        (SamplingOptions(top_p=math.nan), "sampling.top_p"),
        (SamplingOptions(min_p=1.1), "sampling.min_p"),
        (SamplingOptions(typical_p=0), "sampling.typical_p"),
    ],
)
def test_wrong_sampling_options_are_named(options: SamplingOptions, field: str) -> None:
    (violation,) = GenerationOptions(sampling=options).violations()
    assert violation.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10_001}, "max_tokens"),
        ({"min_tokens": 101}, "min_tokens"),
        ({"stop_strings": ("a",) * 17}, "stop_strings"),
        ({"stop_strings": ("a", "")}, "stop_strings[1]"),
        ({"repetition_penalty": 0.5}, "repetition_penalty"),
        ({"repetition_penalty": math.nan}, "repetition_penalty"),
        ({"no_repeat_ngram_size": 0}, "no_repeat_ngram_size"),
    ],
)
def test_wrong_generation_options_are_named(changes: dict[str, object], field: str) -> None:
    options = GenerationOptions(**changes)  # type: ignore[arg-type]
    assert [violation.field for violation in options.violations()] == [field]
