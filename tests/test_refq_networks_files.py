"""Networks in files: the same after a round trip, as NumPy reads them, and in a fresh process."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from network_cases import NETS, codes, fixed_point_net, same, samples
from refq_cases import assert_same

from refq.networks import IntegerNetwork, load, run, save


@pytest.mark.parametrize("name", NETS)
def test_round_trip(name, tmp_path):
    path, network = tmp_path / "net.npz", NETS[name]()
    save(path, network)
    found = load(path)
    same(found, network)
    assert_same(got=run(found, samples(name)), expected=run(network, samples(name)))
    save(tmp_path / "again.npz", found)
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes()
    assert not any(step.weights.flags.writeable for step in found.steps if step.weights is not None)


def test_numpy_reads_it_and_writes_it_back(tmp_path):
    """Plain .npz without pickle, and packed by others it is the same network."""
    path, network = tmp_path / "net.npz", fixed_point_net()
    save(str(path), network)
    with np.load(path, allow_pickle=False) as arrays:
        assert json.loads(arrays["header"].tobytes())["version"] == 1
        assert_same(got=arrays["0.weights"], expected=network.steps[0].weights)
        assert_same(got=arrays["1.fixed"], expected=np.array([[0, 19, -177, 64, 0, 7], [1, -5, 40, 32, 0, 7]]))
        assert_same(got=arrays["1.threshold"], expected=np.array([[2, 0, 0, 1, 7]]))
        np.savez_compressed(tmp_path / "packed.npz", **arrays)
    same(load(tmp_path / "packed.npz"), network)


def test_other_byte_order_is_written_as_ours(tmp_path):
    network = fixed_point_net()
    turned = tuple(
        replace(step, weights=step.weights.astype(">i2")) if step.weights is not None else step
        for step in network.steps
    )
    save(tmp_path / "net.npz", replace(network, steps=turned))
    found = load(tmp_path / "net.npz")
    assert found.steps[0].weights.dtype == np.int16
    assert_same(got=found.steps[0].weights.astype(np.int8), expected=network.steps[0].weights)


FRESH = """
import sys
import numpy as np
from refq.networks import load, run
tensors = run(load(sys.argv[1]), np.load(sys.argv[2]), keep=True)
np.savez(sys.argv[3], **tensors)
"""


def test_in_a_fresh_process(tmp_path):
    """Without convolutions, which take the new process ten seconds to compile."""
    line, *rest = NETS["shift"]().steps[5:]
    network = IntegerNetwork((replace(line, inputs=("input",)), *rest), "uint4", (3, 3, 3))
    inputs = codes((20, 3, 3, 3), 0, 15)
    paths = [str(tmp_path / name) for name in ("net.npz", "inputs.npy", "tensors.npz")]
    save(paths[0], network)
    np.save(paths[1], inputs)
    done = subprocess.run(
        [sys.executable, "-c", FRESH, *paths], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(paths[2]) as found:
        expected = run(network, inputs, keep=True)
        assert set(found) == set(expected)
        assert sum(assert_same(got=found[name], expected=tensor) for name, tensor in expected.items()) > 1000


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npz")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)
    with pytest.raises(FileNotFoundError):
        save(tmp_path / "none" / "net.npz", fixed_point_net())
    with pytest.raises(ValueError, match=r"^check: step 'class': inputs has 'logits'"):
        save(tmp_path / "net.npz", replace(fixed_point_net(), steps=fixed_point_net().steps[-1:]))
    assert not (tmp_path / "net.npz").exists()
