"""The nets and the methods as data: which layers there are, and how each method quantizes them."""

from __future__ import annotations

from dataclasses import dataclass

PIXEL_MAX = 16
EDGE_BITS = 8
"""Of the weights of first and last layer, where a method keeps those wider."""


@dataclass(frozen=True)
class Layer:
    """A convolution of stride 1 or a dense layer, with what follows it.

    input, add: layers whose codes it reads and whose codes (shift nets: accumulators) are added; "input" is the pixels.
    alpha: which layers share a clipping level: those of one name. pool: size of the max-pool behind it, 1 is none.
    raw: ends with its accumulators: no norm, no quantizer.
    """

    name: str
    input: str
    channels: tuple[int, int]
    size: int = 3
    kind: str = "conv"
    add: str | None = None
    alpha: str = ""
    pool: int = 1
    raw: bool = False

    @property
    def padding(self) -> int:
        """Zeros on each side, so that the image keeps its size."""
        return self.size // 2

    @property
    def shape(self) -> tuple[int, ...]:
        """(O, KH, KW, I) or (O, I)."""
        into, out = self.channels
        return (out, self.size, self.size, into) if self.kind == "conv" else (out, into)

    @property
    def depth(self) -> int:
        """How many products an accumulator sums."""
        return self.channels[0] * self.size**2


CONV1 = Layer("conv1", "input", (1, 16), alpha="stream")
CONV2 = Layer("conv2", "conv1", (16, 16), alpha="conv2")
CONV3 = Layer("conv3", "conv2", (16, 16), add="conv1", alpha="stream", pool=2)
CONV4 = Layer("conv4", "conv3", (16, 32), alpha="conv4", pool=2)
SHORTCUT = Layer("shortcut", "conv1", (16, 16), size=1, raw=True)
SUMMED = Layer("conv3", "conv2", (16, 16), add="shortcut", pool=2)

PLAIN = (CONV1, CONV2, CONV3, CONV4, Layer("logits", "conv4", (128, 10), size=1, kind="dense", raw=True))
"""A residual block around conv2 and conv3; its sum is of codes of one step."""

SHIFT = (CONV1, CONV2, SHORTCUT, SUMMED, CONV4, Layer("logits", "conv4", (128, 10), size=1, kind="dense"))
"""The same with the shortcut of IntegerNet: a 1 x 1 convolution, its accumulators added before one shift-BN."""


@dataclass(frozen=True)
class Method:
    """weights: sawb, balanced, grid (integers, no scale) or float; activations: pact, dorefa, shift or relu."""

    name: str
    title: str
    weights: str
    activations: str
    bits: int

    @property
    def net(self) -> tuple[Layer, ...]:
        """Its layers."""
        return SHIFT if self.activations == "shift" else PLAIN

    def weight_bits(self, layer: Layer) -> int:
        """8 for the first and the last layer of a net with scales."""
        edge = layer.input == "input" or layer.name == "logits"
        return EDGE_BITS if edge and self.activations != "shift" else self.bits


FLOAT = Method("float", "float32", "float", "relu", 32)
METHODS = (
    Method("pact-sawb-2", "PACT + SAWB, 2 bits", "sawb", "pact", 2),
    Method("pact-sawb-4", "PACT + SAWB, 4 bits", "sawb", "pact", 4),
    Method("balanced-2", "balanced weights, DoReFa activations, 2 bits", "balanced", "dorefa", 2),
    Method("balanced-4", "balanced weights, DoReFa activations, 4 bits", "balanced", "dorefa", 4),
    Method("shift-4", "shift-BN, 4 bits, no scales", "grid", "shift", 4),
)
