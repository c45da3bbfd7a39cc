"""Speed of Dragoman's translator beside its peers', on one core: `make benchmark-translation`.

    python -m tests.benchmarks.translation.compare_speed [--peers FOLDER] [--only TEXT] [--again]

Everybody translates 1,000 sources of 15 pieces into 15 pieces with random weights of one shape
(embedding 256, encoder 2 x 256, decoder GRU 512, attention, input feeding, 8,000 pieces), one
thread, per second of CPU time, the best of four repetitions. Dragoman is given text and returns
text; the peers are given pieces and return them.

FOLDER (or DRAGOMAN_PEERS in the environment) holds the peers' environments, `onmt` (with
ctranslate2) and `joeynmt`; those that are missing are left out. Each contestant is a process of its
own, whose figures are kept in OUT/translation-speed.json as soon as it ends: an interrupted run
goes on where it was, and --again times again what --only names (or everything).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.translation.report_speed import write_report
from tests.benchmarks.translation.sources import TOKENIZER, write_sources

from dragoman_models.tokenizer import SubwordTokenizer

ROOT = Path(__file__).parents[3]
TIME_LIMIT = 400  # seconds of one contestant


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A script, what it is to time, and the environment that it needs (None: this one)."""

    name: str
    script: str
    variant: str
    environment: str | None = None


def _ours(attention: str, arithmetic: str) -> Contestant:
    label = arithmetic.replace("-", ", ")
    return Contestant(
        name=f"Dragoman, {attention}, {label}", script="bench_dragoman",
        variant=f"{attention}-{arithmetic}",
    )  # fmt: skip


CONTESTANTS = (
    *(
        _ours("multiplicative", one)
        for one in ("int8-shortlist", "int8", "bfloat16-shortlist", "bfloat16", "float32", "plain")
    ),
    *(_ours("additive", one) for one in ("int8-shortlist", "int8", "plain")),
    Contestant(
        name="OpenNMT-py, multiplicative", script="bench_opennmt", variant="general",
        environment="onmt",
    ),
    Contestant(
        name="OpenNMT-py, additive", script="bench_opennmt", variant="mlp", environment="onmt"
    ),
    Contestant(
        name="JoeyNMT, multiplicative", script="bench_joeynmt", variant="luong",
        environment="joeynmt",
    ),
    Contestant(
        name="JoeyNMT, additive", script="bench_joeynmt", variant="bahdanau",
        environment="joeynmt",
    ),
    Contestant(
        name="CTranslate2, Transformer 3 + 3, int8", script="bench_ctranslate2",
        variant="int8", environment="onmt",
    ),
    Contestant(
        name="breakdown, int8, shortlist", script="bench_breakdown",
        variant="multiplicative-int8-shortlist",
    ),
    Contestant(
        name="breakdown, int8", script="bench_breakdown", variant="multiplicative-int8"
    ),
    Contestant(
        name="cores, int8, shortlist", script="bench_cores",
        variant="multiplicative-int8-shortlist",
    ),
)  # fmt: skip


def machine() -> str:
    """The CPU, its kernel and its vector instructions that matter."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    known = [
        flag for flag in ("avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if flag in flags
    ]
    return f"{names[0] if names else platform.processor()}, {len(names)} cores, {' '.join(known)}"


def run(contestant: Contestant, python: Path, sources: Path, work: Path) -> list[dict[str, Any]]:
    """The rows of JSON that the contestant prints; it is tied to one core, but for the cores' own
    measurement."""
    command: list[str | Path] = [
        python,
        "-m",
        f"tests.benchmarks.translation.{contestant.script}",
        "--variant",
        contestant.variant,
    ]
    command += ["--sources", sources, "--work", work]
    variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, timeout=TIME_LIMIT, check=True,
        env={**os.environ, **variables}, cwd=ROOT,
    )  # fmt: skip
    return [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    """Times whoever is there and has no figures yet, and writes table and plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, default=os.environ.get("DRAGOMAN_PEERS"))
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results")
    parser.add_argument("--only", default="", help="contestants whose name has this in it")
    parser.add_argument("--again", action="store_true", help="time again who has figures already")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "translation-speed.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    work = Path(tempfile.gettempdir()) / "dragoman-benchmark"
    work.mkdir(exist_ok=True)
    sources = work / "sources.json"
    write_sources(SubwordTokenizer(TOKENIZER.read_bytes()), sources)
    for one in CONTESTANTS:
        if options.only not in one.name or (one.name in results and not options.again):
            continue
        python = Path(sys.executable)
        if one.environment is not None:
            python = Path(options.peers or "none") / one.environment / "bin/python"
            if not python.exists():
                print(f"{one.name}: left out, there is no {python}")
                continue
        print(one.name, flush=True)
        try:
            rows = run(one, python, sources, work)
        except subprocess.SubprocessError as error:
            print(f"  failed: {error}", file=sys.stderr)
            continue
        results[one.name] = {
            "rows": rows, "machine": machine(), "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        }  # fmt: skip
        kept.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write_report(results, options.out)
    print(options.out / "translation-speed.md")


if __name__ == "__main__":
    main()
