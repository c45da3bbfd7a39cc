"""JoeyNMT 2 with random weights, pieces in and pieces out; the variant is bahdanau or luong.

Runs in an environment of its own (joeynmt, torch).
"""

# mypy: ignore-errors

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import torch
from tests.benchmarks.translation.workload import OUTPUT_PIECES, Source, given, run_cases

_SPECIAL = {"unk": "<unk>", "pad": "<pad>", "bos": "<s>", "eos": "</s>"}
_PAD, _EOS = 1, 3


def random_model(vocabulary: Any, attention: str) -> Any:
    """The benchmark's shape."""
    from joeynmt.model import build_model

    recurrent = {
        "type": "recurrent", "rnn_type": "gru", "num_layers": 1, "dropout": 0.0,
        "embeddings": {"embedding_dim": 256},
    }  # fmt: skip
    config = {
        "tied_embeddings": True,
        "initializer": "xavier_uniform",
        "bias_initializer": "zeros",
        "embed_initializer": "normal",
        "embed_init_weight": 0.1,
        "encoder": {**recurrent, "hidden_size": 256, "bidirectional": True},
        "decoder": {
            **recurrent, "hidden_size": 512, "hidden_dropout": 0.0, "input_feeding": True,
            "init_hidden": "bridge", "attention": attention,
        },
    }  # fmt: skip
    return build_model(config, vocabulary, vocabulary).eval()


def main() -> None:
    """Times all cases."""
    from joeynmt.batch import Batch
    from joeynmt.search import search
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
    model = random_model(vocabulary, arguments.variant)

    def translate(sources: list[Source], beam: int) -> list[int]:
        ids = [[*(vocabulary.lookup(piece) for piece in one.pieces), _EOS] for one in sources]
        batch = Batch(
            src=torch.tensor(ids), src_length=torch.tensor([len(one) for one in ids]),
            src_prompt_mask=None, trg=None, trg_prompt_mask=None,
            indices=torch.arange(len(ids)), device=torch.device("cpu"), pad_index=_PAD,
            eos_index=_EOS, is_train=False,
        )  # fmt: skip
        found, _, _ = search(
            model, batch, beam_size=beam, beam_alpha=1.0, n_best=1,
            min_output_length=OUTPUT_PIECES, max_output_length=OUTPUT_PIECES,
        )  # fmt: skip
        return [len(one) for one in found]

    run_cases(arguments, translate)


if __name__ == "__main__":
    main()
