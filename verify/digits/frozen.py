"""A trained net as data: codes of weights, float32 norm parameters, quantizers. Twin and export both start here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from refq.batchnorm.shift_forms import freeze_shift
from refq.channels import Channel, ShiftForm
from refq.encodings import Encoding, Kind
from refq.quantizers.apply import quantize
from refq.quantizers.quantizer import Quantizer
from verify.digits.forward import EPSILON
from verify.digits.gradients import Array
from verify.digits.plan import PIXEL_MAX, Layer, Method
from verify.digits.training import Trained
from verify.digits.weights import fit_weights, grid_weights

INPUT_FORMAT = "uint5"
PIXEL_STEP = Fraction(1, PIXEL_MAX)


@dataclass(frozen=True, eq=False)
class Norm:
    """Batch norm as trained: float32 (channels,), and the epsilon that was added."""

    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    epsilon: float


@dataclass(frozen=True, eq=False)
class TrainedLayer:
    """One layer; `plan` says what it reads, adds and pools.

    codes: int64 weights of `weight_format`, their real values codes * quantizer.step; quantizer None: no scale.
    norm and activation: of a net with scales. forms: of a shift net. bias: float32 (channels,), of the logits only.
    input_step: the real value of one unit of its input's codes; None without scales.
    """

    plan: Layer
    codes: NDArray[np.int64]
    weight_format: str
    input_format: str
    quantizer: Quantizer | None = None
    input_step: Fraction | None = None
    norm: Norm | None = None
    activation: Quantizer | None = None
    forms: tuple[ShiftForm, ...] | None = None
    bias: Array | None = None

    @property
    def acc_scale(self) -> Fraction:
        """The real value of one unit of its accumulators."""
        assert self.quantizer is not None
        assert self.input_step is not None
        return Fraction(float(self.quantizer.step[0])) * self.input_step

    @property
    def bias_codes(self) -> NDArray[np.int64] | None:
        """The bias on the grid of the accumulators, ties to even."""
        if self.bias is None:
            return None
        return np.array([round(Fraction(float(b)) / self.acc_scale) for b in self.bias], np.int64)

    @property
    def code_range(self) -> tuple[int, int]:
        """Of what the norm is quantized to: 0..n, or -n..n before an addition."""
        assert self.activation is not None
        high = self.activation.highest
        return (-high if self.plan.add else 0), high


@dataclass(frozen=True, eq=False)
class TrainedNet:
    """Layers in the order of their evaluation, and what they were made from."""

    trained: Trained
    layers: tuple[TrainedLayer, ...]

    @property
    def method(self) -> Method:
        """How it was quantized."""
        return self.trained.method


def channel_of(layer: TrainedLayer, c: int, acc_min: int = -(1 << 31), acc_max: int = (1 << 31) - 1) -> Channel:
    """The exact real map of one channel, accumulator to code: every float32 parameter as the rational it is."""
    norm, activation = layer.norm, layer.activation
    assert norm is not None
    assert activation is not None
    gamma, beta, mean, variance = (Fraction(float(x[c])) for x in (norm.gamma, norm.beta, norm.mean, norm.variance))
    qmin, qmax = layer.code_range
    return Channel(
        gamma, beta, mean, variance, Fraction(norm.epsilon), layer.acc_scale, Fraction(float(activation.step[0])),
        acc_min=acc_min, acc_max=acc_max, qmin=qmin, qmax=qmax,
    )  # fmt: skip


def _activation(trained: Trained, layer: Layer) -> Quantizer:
    from refq.quantizers.dorefa import fit_dorefa_activations
    from refq.quantizers.pact import fit_pact

    method = trained.method
    if method.activations == "dorefa":
        return fit_dorefa_activations(method.bits)
    return fit_pact(float(trained.parameters[f"{layer.alpha}.alpha"]), method.bits)


def _shift_layer(trained: Trained, layer: Layer, input_format: str) -> TrainedLayer:
    bits, name = trained.method.bits, layer.name
    codes = grid_weights(trained.parameters[f"{name}.weight"], bits).astype(np.int64)
    forms = None if layer.raw else freeze_shift(*trained.statistics[name], bits, name == "logits")
    return TrainedLayer(layer, codes, Encoding(bits, Kind.SIGNED).name, input_format, forms=forms)


def _scaled_layer(trained: Trained, layer: Layer, input_format: str, input_step: Fraction) -> TrainedLayer:
    name, parameters = layer.name, trained.parameters
    weights = parameters[f"{name}.weight"]
    quantizer = fit_weights(weights, trained.method, layer)
    codes, form = quantize(weights, quantizer).astype(np.int64), quantizer.encoding.name
    if layer.raw:
        bias = parameters[f"{name}.bias"]
        return TrainedLayer(layer, codes, form, input_format, quantizer, input_step, bias=bias)
    mean, variance = trained.statistics[name]
    norm = Norm(parameters[f"{name}.gamma"], parameters[f"{name}.beta"], mean, variance, float(EPSILON))
    return TrainedLayer(
        layer, codes, form, input_format, quantizer, input_step, norm, activation=_activation(trained, layer)
    )


def rounded_bias(layer: TrainedLayer) -> Array:
    """The real value of `bias_codes` in float32."""
    assert layer.bias_codes is not None
    return np.array([float(int(b) * layer.acc_scale) for b in layer.bias_codes], np.float32)


def freeze(trained: Trained) -> TrainedNet:
    """The layers of a quantized net as data. What the method does not round is the bias of the logits: it is put on the
    grid of the accumulators here, in the parameters too, so that the float32 pass has the same one.
    """
    shift, steps, found = trained.method.activations == "shift", {"input": PIXEL_STEP}, []
    for layer in trained.method.net:
        form = INPUT_FORMAT if layer.input == "input" else f"uint{trained.method.bits}"
        if shift:
            found.append(_shift_layer(trained, layer, form))
            continue
        found.append(_scaled_layer(trained, layer, form, steps[layer.input]))
        if found[-1].activation is not None:
            steps[layer.name] = Fraction(float(found[-1].activation.step[0]))
    biases = {f"{layer.plan.name}.bias": rounded_bias(layer) for layer in found if layer.bias is not None}
    return TrainedNet(replace(trained, parameters=trained.parameters | biases), tuple(found))
