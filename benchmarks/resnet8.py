"""The batch norms of a real ResNet-8 in fixed point: python benchmarks/resnet8.py writes docs/resnet8.md.

The float network is the CIFAR-10 model of MLPerf Tiny (mlcommons/tiny 1afd2c9). Seven of its batch norms follow a
convolution; weights are rounded to int8 with scale max|w| / 127, the bias of the convolution is folded into the
mean, inputs and outputs are unsigned with step 6 / (2**bits - 1), and the accumulator's range is that of the weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import median_low

import numpy as np

from refq.batchnorm import (
    Channel,
    Deviation,
    LayerFit,
    Share,
    accumulator_range,
    deviation,
    fit_batchnorm,
    naive_form,
    naive_min_shift,
    shift_form,
    widths,
)
from refq.batchnorm.forms import Form

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "mlperf_tiny"
BITS = (4, 8)


def layers(bits: int) -> dict[str, tuple[Channel, ...]]:
    """name of the batch norm -> its channels, in the order of the network."""
    if not DATA.is_dir():
        raise SystemExit(
            "resnet8: ../shared/data/mlperf_tiny, beside the checkout, is not here; it holds the float network"
        )
    with np.load(DATA / "resnet8_float.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    graph = json.loads((DATA / "resnet8_layers.json").read_text())
    following = {node["name"]: node["inputs"][0] for node in graph if node["class"] == "BatchNormalization"}
    return {name: _channels(arrays, name, convolution, bits) for name, convolution in following.items()}


def _channels(arrays: dict[str, np.ndarray], name: str, convolution: str, bits: int) -> tuple[Channel, ...]:
    kernel = arrays[f"{convolution}.kernel"]
    scale = Fraction(float(np.abs(kernel).max())) / 127
    weights = np.array([round(Fraction(float(w)) / scale) for w in kernel.ravel()]).reshape(kernel.shape)
    top = (1 << bits) - 1
    low, high = accumulator_range(weights, 0, top)
    step = Fraction(6, top)
    gamma, beta, mean, variance = (arrays[f"{name}.{part}"].tolist() for part in ("gamma", "beta", "mean", "variance"))
    bias = arrays[f"{convolution}.bias"].tolist()
    return tuple(
        Channel(
            gamma[c],
            beta[c],
            Fraction(mean[c]) - Fraction(bias[c]),
            variance[c],
            float(arrays[f"{name}.epsilon"]),
            acc_scale=scale * step,
            out_scale=step,
            acc_min=int(low[c]),
            acc_max=int(high[c]),
            qmin=0,
            qmax=top,
        )
        for c in range(kernel.shape[-1])
    )


def _spread(values: Sequence[int]) -> str:
    return f"{min(values)} / {median_low(values)} / {max(values)}"


def _deviations(layer: LayerFit, form_of: Callable[[Channel], Form]) -> list[Deviation]:
    return [deviation(fit.steps, form_of(channel)) for channel, fit in zip(layer.channels, layer.fits, strict=True)]


def _count(found: list[Deviation]) -> str:
    largest = max(d.max_codes for d in found)
    return f"{sum(d.wrong for d in found)} in {sum(d.wrong > 0 for d in found)} channels, by {largest}"


def _share(found: list[Deviation], layer: LayerFit) -> str:
    share = sum(d.wrong for d in found) / sum(fit.steps.size for fit in layer.fits)
    return f"{share:.1%}, by up to {max(d.max_codes for d in found)}"


def _row(name: str, layer: LayerFit, naive: list[int]) -> list[object]:
    shared = layer.shared or 0
    needed = [widths(fit.form, c.acc_min, c.acc_max) for c, fit in zip(layer.channels, layer.fits, strict=True)]
    acc = max(max(-c.acc_min, c.acc_max).bit_length() + 1 for c in layer.channels)
    return [
        name.removeprefix("batch_normalization").strip("_") or "0",
        len(layer.channels),
        acc,
        _spread([fit.min_shift for fit in layer.fits]),
        _spread(naive),
        max(w.multiplier for w in needed),
        max(w.total for w in needed),
        _count(_deviations(layer, lambda channel: naive_form(channel, shared))),
        _share(_deviations(layer, shift_form), layer),
    ]


HEAD = [
    "batch norm",
    "channels",
    "acc bits",
    "smallest K: min / median / max",
    "naive K: min / median / max",
    "bits of A",
    "bits of A*x + B",
    "accumulators naive gets wrong",
    "accumulators shift-BN gets wrong",
]


def tables(bits: int) -> tuple[str, str, list[int], list[int]]:
    """The table of layers, the list of all channels, and all minimal shifts, optimal and naive."""
    rows, lists, optimal, plain = [HEAD, ["---"] * len(HEAD)], [], [], []
    for name, channels in layers(bits).items():
        layer = fit_batchnorm(channels, share=Share.SHIFT)
        shifts = [fit.min_shift for fit in layer.fits]
        naive = [naive_min_shift(c, fit) for c, fit in zip(channels, layer.fits, strict=True)]
        rows.append(_row(name, layer, naive))
        number = rows[-1][0]
        for kind, values in (("K", shifts), ("naive", naive)):
            lists.append(f"{number} {kind:5} " + " ".join(f"{k:2}" for k in values))
        optimal, plain = optimal + shifts, plain + naive
    table = "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
    return table, "\n".join(lists), optimal, plain


def figure(found: dict[int, tuple[list[int], list[int]]]) -> None:
    """Histograms of the smallest shift of the 240 channels, optimal over naive, one panel a width."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "refq"
    fig, axes = plt.subplots(1, len(found), figsize=(10, 3.6), sharey=True)
    for axis, (bits, (optimal, naive)) in zip(axes, found.items(), strict=True):
        bins = np.arange(0, max(naive) + 2)
        for values, label, color, offset in ((optimal, "optimal", "#0072b2", 0.0), (naive, "naive", "#e69f00", 0.45)):
            counts = np.bincount(values, minlength=len(bins))[: len(bins)]
            axis.bar(bins + offset, counts, 0.45, label=f"{label}, median {median_low(values)}", color=color)
        axis.set_title(f"{bits}-bit inputs and outputs")
        axis.set_xlabel("bits K shifted away")
        axis.legend(frameon=False)
    axes[0].set_ylabel("channels of 240")
    fig.suptitle("ResNet-8: the smallest shift that keeps every output code, per channel")
    fig.tight_layout()
    fig.savefig(ROOT / "docs" / "resnet8.svg", metadata={"Date": None})


PAGE = """# Batch norms of a real network: ResNet-8 on CIFAR-10

Written by `python benchmarks/resnet8.py` from the float network of MLPerf Tiny (mlcommons/tiny 1afd2c9): the seven
batch norms that follow a convolution, 240 channels. Weights are rounded to int8 with scale max|w| / 127, the bias of
the convolution is folded into the mean, inputs and outputs are unsigned with step 6 / (2^b - 1), rounding is ties up,
and the accumulator runs over all values its weights can reach. K is the shift of `(A*x + B) >> K` that reproduces
every code on that whole range: the smallest one, proved for every channel ([batchnorm.md](batchnorm.md)), and the
smallest one that works when A and B are each rounded to the nearest integer ("naive").

![Smallest shift per channel, optimal beside naive, at 4 and 8 bits](resnet8.svg)

In the last columns all channels of a layer share one K, the largest: the bits of A and of A*x + B, and on how many
accumulators naive rounding to that K gives another code. The power-of-two form of shift-BN, put here in the place of a
batch norm trained without it, is wrong on the stated share of all accumulators. Channels with K = 0 are constant:
their output never leaves 0.
"""


def main() -> None:
    """Write the page and its figure."""
    found = {bits: tables(bits) for bits in BITS}
    parts = [PAGE]
    for bits, (table, lists, _, _) in found.items():
        parts.append(f"## {bits} bits\n\n{table}\n\nEvery channel, in order:\n\n```text\n{lists}\n```\n")
    (ROOT / "docs" / "resnet8.md").write_text("\n".join(parts), encoding="utf-8")
    figure({bits: (optimal, naive) for bits, (_, _, optimal, naive) in found.items()})


if __name__ == "__main__":
    main()
