"""OpenNMT-py 3 with random weights, pieces in and pieces out; the variant is mlp or general.

Runs in an environment of its own (opennmt-py, torch). One step of training writes the model.
"""

# mypy: ignore-errors

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")
os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # it loads its own checkpoints by pickle

import torch  # noqa: E402
from tests.benchmarks.translation.workload import OUTPUT_PIECES, Given, Source, given, run_cases  # noqa: E402

RECURRENT = """encoder_type: brnn
decoder_type: rnn
rnn_type: GRU
layers: 1
word_vec_size: 256
hidden_size: 512
"""


def write_model(arguments: Given, name: str, architecture: str) -> Path:
    """Trains one step on the sources themselves, if the checkpoint is not there yet."""
    folder = arguments.work / "opennmt"
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / f"{name}_step_1.pt"
    if checkpoint.exists():
        return checkpoint
    words = arguments.vocabulary[4:]
    (folder / "vocabulary.txt").write_text("".join(f"{one}\t1\n" for one in words))
    lines = "".join(" ".join(one.pieces) + "\n" for one in arguments.sources[:200])
    for side in ("source", "target"):
        (folder / f"{side}.txt").write_text(lines)
    (folder / f"{name}.yml").write_text(f"""{architecture}
src_vocab: {folder}/vocabulary.txt
tgt_vocab: {folder}/vocabulary.txt
share_vocab: true
share_embeddings: true
vocab_size_multiple: 1
data: {{all: {{path_src: {folder}/source.txt, path_tgt: {folder}/target.txt}}}}
save_model: {folder}/{name}
world_size: 1
gpu_ranks: []
batch_size: 8
bucket_size: 64
num_workers: 0
train_steps: 1
valid_steps: 10
save_checkpoint_steps: 1
""")
    command = [Path(sys.executable).parent / "onmt_train", "-config", folder / f"{name}.yml"]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return checkpoint


def translator_of(checkpoint: Path, beam: int) -> Any:
    """OpenNMT-py's own batch translator."""
    from onmt.opts import translate_opts
    from onmt.translate.translator import build_translator
    from onmt.utils.parse import ArgumentParser

    parser = ArgumentParser()
    translate_opts(parser)
    pieces = str(OUTPUT_PIECES)
    options = parser.parse_args([
        "-model", str(checkpoint), "-src", "none", "-beam_size", str(beam), "-gpu", "-1",
        "-min_length", pieces, "-max_length", pieces, "-max_length_ratio", "0",
        "-length_penalty", "wu", "-alpha", "1",
    ])  # fmt: skip
    ArgumentParser.validate_translate_opts(options)
    return build_translator(
        options, device_id=-1, report_score=False, out_file=Path(os.devnull).open("w"),
        logger=logging.getLogger("quiet"),
    )  # fmt: skip


def main() -> None:
    """Times all cases."""
    arguments = given()
    torch.set_num_threads(1)
    name = arguments.variant
    checkpoint = write_model(arguments, name, RECURRENT + f"global_attention: {name}\n")
    translators = {beam: translator_of(checkpoint, beam) for beam in (1, 5)}
    vocabulary = translators[1].vocabs["src"]

    def translate(sources: list[Source], beam: int) -> list[int]:
        ids = [[vocabulary.lookup_token(piece) for piece in one.pieces] for one in sources]
        batch = {
            "src": torch.tensor(ids).unsqueeze(2),
            "srclen": torch.tensor([len(one) for one in ids]),
            "ind_in_bucket": list(range(len(ids))),
        }
        found = translators[beam].translate_batch(batch, False)
        return [len(best[0]) for best in found["predictions"]]

    run_cases(arguments, translate)


if __name__ == "__main__":
    main()
