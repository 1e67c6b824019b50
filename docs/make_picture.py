"""Draw docs/codes.svg and docs/analysis.svg: python docs/make_picture.py (needs the extra `plots`)."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from refq import Rounding, requantize
from refq.batchnorm import Channel
from verify.batchnorm_picture import draw
from verify.batchnorm_schemes import Schemes, analysis_record

RULES = {
    "float32_ties_even": "ONNX Runtime, XNNPACK",
    "single_up": "ruy on Arm, TOSA single",
    "double_up": "LiteRT builtin on x86",
    "gemmlowp_double": "TFLite reference, TOSA double",
    "multiply_add_shift_floor": "NEMO, DORY, PULP-NN",
}
ACCUMULATORS = list(range(-11, 12))


CHANNELS = [(0.75, 0.1, 12.5, 101), (-0.5, 0.3, -4, 50), (1.25, -0.2, 30, 77)]


def analysis() -> None:
    """Three channels of batch norm under each scheme, as `refq analyze-bn --image` draws them."""
    common = {"epsilon": 0, "out_scale": 0.25, "acc_min": -256, "acc_max": 255, "qmin": 0, "qmax": 15}
    names = ("gamma", "beta", "mean", "variance")
    channels = tuple(Channel(**dict(zip(names, row, strict=True)), **common) for row in CHANNELS)
    schemes = Schemes(channels, Rounding.TIES_UP)
    path = Path(__file__).with_name("analysis.svg")
    draw(schemes, analysis_record(schemes, "three channels", None), None, str(path))


def main() -> None:
    """One row a rule, one column an accumulator; coloured where the code is not that of exact ties to even."""
    plt.rcParams.update({"svg.hashsalt": "refq", "font.size": 9, "font.family": "DejaVu Sans"})
    expected = requantize(ACCUMULATORS, "exact_ties_even", 0.25)
    figure, axes = plt.subplots(figsize=(11, 2.9))
    for row, (rule, who) in enumerate(RULES.items()):
        codes = requantize(ACCUMULATORS, rule, 0.25)
        axes.text(-12.0, -row, f"{rule}\n", ha="right", va="center", weight="bold", linespacing=0.6)
        axes.text(-12.0, -row, f"\n{who}", ha="right", va="center", color="#555555", linespacing=1.6)
        for acc, code, exact in zip(ACCUMULATORS, codes, expected, strict=True):
            color = "#f4f4f4" if code == exact else "#f2a65a"
            axes.add_patch(plt.Rectangle((acc - 0.46, -row - 0.42), 0.92, 0.84, color=color, lw=0))
            axes.text(acc, -row, str(code), ha="center", va="center")
    for acc in ACCUMULATORS:
        axes.text(acc, 0.75, str(acc), ha="center", va="center", color="#555555")
    axes.text(-12.0, 0.75, "accumulator", ha="right", va="center", color="#555555")
    title = "Stored code at scale 1/4, zero point 0. Orange: not the exact product rounded to nearest, ties to even."
    axes.set_title(title, loc="left", x=-0.0, fontsize=9)
    axes.set_xlim(-20.5, 11.6)
    axes.set_ylim(-len(RULES) + 0.4, 1.2)
    axes.axis("off")
    figure.tight_layout(pad=0.4)
    figure.savefig(Path(__file__).with_name("codes.svg"), metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
    analysis()
