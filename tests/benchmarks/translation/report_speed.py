"""The table and the plot of `compare_speed.py`'s figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CASES = ((1, 1), (1, 16), (1, 64), (5, 1), (5, 16), (5, 64))
Results = dict[str, Any]
Rates = dict[tuple[int, int], float]
_COMMAND = "make benchmark-translation"


def rates_of(results: Results) -> dict[str, Rates]:
    """Sentences per CPU second of each translator, by beam width and batch."""
    return {
        name: {(row["beam"], row["batch"]): row["rate"] for row in result["rows"]}
        for name, result in results.items()
        if not name.startswith(("breakdown", "cores"))
    }


def _speed_table(results: Results) -> list[str]:
    lines = [
        "| sentences per CPU second | " + " | ".join(f"beam {k}, batch {b}" for k, b in CASES)
        + " | peak MB |",
        "|---|" + "---:|" * (len(CASES) + 1),
    ]  # fmt: skip
    for name, rates in rates_of(results).items():
        peak = max(row["peak_mb"] for row in results[name]["rows"])
        cells = [f"{rates[case]:,.0f}" if case in rates else "" for case in CASES]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {peak:.0f} |")
    return lines


def _ratio_lines(rates: dict[str, Rates]) -> list[str]:
    """Ours against the fastest peer of the same attention, and against CTranslate2."""
    lines = []
    peers = {
        name: one for name, one in rates.items() if not name.startswith(("Dragoman", "CTranslate2"))
    }
    for attention in ("multiplicative", "additive"):
        same = [one for name, one in peers.items() if attention in name]
        for ours in (f"Dragoman, {attention}, int8, shortlist", f"Dragoman, {attention}, int8"):
            if same and ours in rates:
                cells = [
                    f"{rates[ours][case] / max(one[case] for one in same):.1f}" for case in CASES
                ]
                lines.append(f"| {ours} / fastest {attention} peer | " + " | ".join(cells) + " |")
    bar = next((one for name, one in rates.items() if name.startswith("CTranslate2")), None)
    ours = "Dragoman, multiplicative, int8, shortlist"
    if bar is not None and ours in rates:
        cells = [f"{rates[ours][case] / bar[case]:.1f}" for case in CASES]
        lines.append(f"| {ours} / CTranslate2's Transformer | " + " | ".join(cells) + " |")
    if lines:
        head = "| ratios | " + " | ".join(f"beam {k}, batch {b}" for k, b in CASES) + " |"
        lines = ["", head, "|---|" + "---:|" * len(CASES), *lines]
    return lines


def _breakdown_lines(name: str, rows: list[dict[str, Any]]) -> list[str]:
    peak = rows[-1]["giga_products"]
    lines = [
        "", f"## Where the time goes: {name.removeprefix('breakdown, ')}, beam 5, batch 64", "",
        f"The limit is what the products alone take at {peak:,.0f} thousand million products and "
        "sums a second, the most that the innermost loop reaches from the nearest cache "
        "(attention: its own in float32).", "",
        "| part | share | ms a sentence | limit, ms | of the limit |", "|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for row in rows:
        share = f"{row['limit_ms'] / row['ms']:.0%}" if row["limit_ms"] else ""
        limit = f"{row['limit_ms']:.3f}" if row["limit_ms"] else ""
        lines.append(
            f"| {row['part']} | {row['share']:.0%} | {row['ms']:.3f} | {limit} | {share} |"
        )
    return lines


def _cores_lines(name: str, rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "", f"## Two cores: {name.removeprefix('cores, ')}, sentences per second of wall clock", "",
        "| batch | one worker | two threads | ratio | one worker | two processes | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for row in rows:
        cells = []
        for one, two in (("one", "threads"), ("one_again", "processes")):
            cells += [f"{row[one]:,.0f}", f"{row[two]:,.0f}", f"{row[two] / row[one]:.2f}"]
        lines.append(f"| beam {row['beam']}, batch {row['batch']} | " + " | ".join(cells) + " |")
    return lines


def write_report(results: Results, out: Path) -> None:
    """Writes translation-speed.md and, where matplotlib is installed, translation-speed.png."""
    dates = sorted({result["at"] for result in results.values()})
    machines = sorted({result["machine"] for result in results.values()})
    lines = ["# Speed of translation", ""]
    if dates:
        lines += [
            f"`{_COMMAND}`, {dates[0]} to {dates[-1]}, {'; '.join(machines)}. One thread; random "
            "weights of one shape: embedding 256, encoder 2 x 256, decoder GRU 512, input feeding, "
            "8,000 pieces; sources of 15 pieces, outputs of 15. Dragoman: text in and out; peers: "
            "pieces in and out.", "", "![speed](translation-speed.png)", "",
        ]  # fmt: skip
    lines += _speed_table(results) + _ratio_lines(rates_of(results))
    for name, result in results.items():
        if name.startswith("breakdown"):
            lines += _breakdown_lines(name, result["rows"])
        elif name.startswith("cores"):
            lines += _cores_lines(name, result["rows"])
    (out / "translation-speed.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _plot(rates_of(results), out / "translation-speed.png")


def _plot(rates: dict[str, Rates], path: Path) -> None:
    try:
        import matplotlib as mpl
    except ImportError:
        print("matplotlib is not installed: no plot")
        return
    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, all_axes = plt.subplots(1, 2, figsize=(13, 0.32 * len(rates) + 1.6), sharey=True)
    for axes, case in zip(all_axes, ((5, 64), (5, 1)), strict=True):
        names = list(reversed(rates))
        values = [rates[name].get(case, 0.0) for name in names]
        colors = ["#c2571a" if name.startswith("Dragoman") else "#8a8f98" for name in names]
        bars = axes.barh(names, values, color=colors)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
        axes.set_title(f"beam {case[0]}, batch {case[1]}", fontsize=10)
        axes.set_xlabel("sentences per second of CPU time, one thread")
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.12)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
