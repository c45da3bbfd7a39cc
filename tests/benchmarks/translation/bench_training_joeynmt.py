"""JoeyNMT's training step with the benchmark's shape; the variant is fp32 or bf16.

Runs in an environment of its own (joeynmt, torch). The step is that of its TrainManager: loss with
smoothing, normalized by tokens, gradient clipped by its norm, Adam. It offers float16 autocast
only, which a CPU gains nothing by; bfloat16 is the same call with the type that its source
suggests.
"""

# mypy: ignore-errors

from __future__ import annotations

import logging
from types import SimpleNamespace

import torch
from tests.benchmarks.translation.bench_joeynmt import random_model
from tests.benchmarks.translation.training_workload import LABEL_SMOOTHING, batches, time_steps
from tests.benchmarks.translation.workload import given

_SPECIAL = {"unk": "<unk>", "pad": "<pad>", "bos": "<s>", "eos": "</s>"}
_PAD, _BOS, _EOS = 1, 2, 3


def main() -> None:
    """Prints a line of JSON: target pieces a second."""
    from joeynmt.batch import Batch
    from joeynmt.vocabulary import Vocabulary

    logging.disable(logging.INFO)
    arguments = given()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    special = SimpleNamespace(
        **{f"{name}_token": piece for name, piece in _SPECIAL.items()},
        **{f"{name}_id": id_ for id_, name in enumerate(_SPECIAL)},
        sep_token=None,
        lang_tags=[],
    )
    vocabulary = Vocabulary(arguments.vocabulary[4:], special)
    model = random_model(vocabulary, "luong").train()
    model.loss_function = ("crossentropy", LABEL_SMOOTHING)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)

    def step(pieces: list[list[str]]) -> int:
        ids = [[vocabulary.lookup(piece) for piece in one] for one in pieces]
        source = torch.tensor([[*one, _EOS] for one in ids])
        target = torch.tensor([[_BOS, *one, _EOS] for one in ids])
        batch = Batch(
            src=source, src_length=torch.full((len(ids),), source.size(1)),
            src_prompt_mask=None, trg=target, trg_prompt_mask=None,
            indices=torch.arange(len(ids)), device=torch.device("cpu"), pad_index=_PAD,
            eos_index=_EOS, is_train=True,
        )  # fmt: skip
        half = arguments.variant == "bf16"
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss, _, _, _ = model(return_type="loss", **vars(batch))
        batch.normalize(loss, normalization="tokens").backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return target[:, 1:].numel()

    time_steps(batches(arguments), step)


if __name__ == "__main__":
    main()
