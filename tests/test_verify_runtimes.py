"""The table of runtimes, asked again: what `identify` finds on the installed ones is what the table says."""

import pytest

from refq import RUNTIMES
from verify.backends import BACKENDS, installed_version
from verify.campaign import identify_backend
from verify.failures import UsageError

BACKEND_OF = {
    ("ONNX Runtime", "CPU"): "onnxruntime",
    ("ONNX reference evaluator", "CPU"): "onnx-reference",
    ("LiteRT (ai-edge-litert)", "default (XNNPACK)"): "litert",
    ("LiteRT (ai-edge-litert)", "builtin, no delegate"): "litert-builtin",
    ("LiteRT (ai-edge-litert)", "reference"): "litert-reference",
}


def expected_of(backend: str, op: str) -> list[str]:
    """Rows of the table: one, or one for whole vectors and one for their remainder."""
    found = []
    for row in RUNTIMES:
        mode = row.mode.removesuffix("; remainder")
        if BACKEND_OF.get((row.runtime, mode)) == backend and row.op == op:
            found.append(row.semantics)
    return found


ASKED = [(name, op) for name, backend in BACKENDS.items() for op in backend.ops]


@pytest.mark.parametrize(("backend", "op"), ASKED)
def test_identify_finds_the_table(backend: str, op: str) -> None:
    if installed_version(BACKENDS[backend]) is None:
        pytest.skip(f"{BACKENDS[backend].distribution} is not installed: pip install 'refq[{BACKENDS[backend].extra}]'")
    campaign = identify_backend(backend, (op,), 120.0, lambda *_: None)
    assert campaign.failed == []
    [verdicts] = campaign.done
    got = [[c.semantics.label for c in v.consistent] for v in verdicts]
    expected = [[label] for label in expected_of(backend, op)]
    assert got == expected
    assert verdicts[0].strength == "PROVED monotone"
    assert verdicts[0].probes > 5000
    # every other candidate is excluded by an input on which the box and the rule differ
    assert all(w.got != w.expected for v in verdicts for w in v.excluded.values())
    assert len(verdicts[0].excluded) >= 19


def test_every_row_of_evidence_run_is_asked() -> None:
    labels = sum(len(expected_of(backend, op)) for backend, op in ASKED)
    assert labels == sum(row.evidence == "run" for row in RUNTIMES)


def test_unknown_op_names_the_legal_ones() -> None:
    with pytest.raises(UsageError, match=r"op='Conv' is unknown to onnxruntime; legal: QLinearConv, QLinearMatMul"):
        identify_backend("onnxruntime", ("Conv",), 1.0, lambda *_: None)
