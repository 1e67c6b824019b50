"""Two released models, whole: every tensor that LiteRT shows in each of its three modes, bit for bit.

Inputs: what the model is made for (a recording of a machine; photographs, cut to the size of CIFAR-10), and 100
random samples. Needs ../shared/data.
"""

import numpy as np
import pytest
from command import answer
from outside import arrays, folder

from refq.graphs import run
from refq.importers import read_tflite

MODES = ("litert", "litert-builtin", "litert-reference")
# elements of all computed tensors of one sample, and how many layers there are
SIZES = {"resnet8_int8.tflite": (114836, 16), "ad01_int8.tflite": (1672, 10)}


def recording():
    """The 40 windows of the recording as the model's codes."""
    graph = read_tflite((folder("mlperf_tiny") / "ad01_int8.tflite").read_bytes())
    quantization = graph.tensors[graph.inputs[0]].quantization
    [x] = arrays("mlperf_tiny", "ad01_input.npz").values()
    codes = np.rint(x / quantization.scale[0]) + quantization.zero_point[0]
    return np.clip(codes, -128, 127).astype(np.int8).reshape(-1, 640)


def photographs():
    """Every 32 x 32 cut of two photographs, thinned: real edges, skies, petals."""
    images = pytest.importorskip("sklearn.datasets").load_sample_images().images
    cuts = [im[y : y + 32, x : x + 32] for im in images for y in range(0, 384, 128) for x in range(0, 600, 128)]
    return (np.stack(cuts).astype(np.int16) - 128).astype(np.int8)


REAL = {"resnet8_int8.tflite": photographs, "ad01_int8.tflite": recording}


def traced(model, backend, *words):
    return answer("trace", str(folder("mlperf_tiny") / model), "--backend", backend, *words)


def all_agree(record, model, samples):
    """Every layer, beside the golden run and alone, every element of every tensor."""
    [side] = record["sides"]
    size, layers = SIZES[model]
    assert (side["compared"], side["differing"], side["hidden"]) == (size * samples, 0, [])
    assert [layer["alone"]["verdict"] for layer in side["layers"]] == ["agrees"] * layers
    assert all(r["compared"] and not r["differing"] for layer in side["layers"] for r in layer["results"])
    assert side["first"] is None
    return True


@pytest.mark.parametrize("backend", MODES)
@pytest.mark.parametrize("model", SIZES)
def test_every_tensor_of_random_samples(model, backend):
    assert all_agree(traced(model, backend, "--random", "100", "--seed", "7"), model, 100)


@pytest.mark.parametrize("backend", MODES)
@pytest.mark.parametrize("model", SIZES)
def test_every_tensor_of_real_samples(model, backend, tmp_path):
    x = REAL[model]()
    np.save(tmp_path / "x.npy", x)
    assert all_agree(traced(model, backend, "--input", str(tmp_path / "x.npy")), model, len(x))


def test_reference_and_builtin_kernels_on_the_recording(tmp_path):
    """What the two modes follow, and the first sum on which they differ."""
    np.save(tmp_path / "x.npy", recording())
    record = traced(
        "ad01_int8.tflite", "litert-reference", "--against", "litert-builtin", "--input", str(tmp_path / "x.npy")
    )
    between, first = record["between"], record["between"]["first"]
    assert (first["node"], first["op"]) == ("FULLY_CONNECTED:0", "fully_connected")
    assert "float64_ties_away/double_product/after" in first["rules"]
    assert "double_up/mixed_product/after" in first["right_rules"]
    assert not set(first["rules"]) & set(first["right_rules"])
    assert (first["left"], first["right"]) == (first["arithmetic"]["answers"][0]["value"], first["right"])
    answers = {rule: a["value"] for a in first["arithmetic"]["answers"] for rule in a["rules"]}
    assert answers["float64_ties_away/double_product/after"] == first["left"]
    assert answers["double_up/mixed_product/after"] == first["right"]
    shares = [r["differing"] / r["compared"] for r in between["results"]]
    assert 0 < shares[0] < 0.005
    assert shares[-1] > 0.2


def test_profiles_differ_where_their_rules_do():
    """That all of the above agree means something: each mode under another mode's rules does not."""
    graph = read_tflite((folder("mlperf_tiny") / "resnet8_int8.tflite").read_bytes())
    found = [run(graph, photographs(), p, keep=True) for p in ("litert-xnnpack", "litert-builtin", "litert-reference")]
    for left, right in ((0, 1), (0, 2), (1, 2)):
        assert any(found[left][name].tobytes() != found[right][name].tobytes() for name in found[0])
