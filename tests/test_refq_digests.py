"""The exhaustive sweeps still give the committed digests (`python tests/refq_digests.py` regenerates them)."""

import json

import pytest
from refq_digests import FILE, SWEEPS, digest

COMMITTED = json.loads(FILE.read_text())


def test_every_sweep_has_a_digest_and_every_digest_a_sweep():
    assert list(COMMITTED) == list(SWEEPS)
    assert len(set(COMMITTED.values())) > len(COMMITTED) // 2


@pytest.mark.parametrize("name", SWEEPS)
def test_digest(name):
    assert digest(SWEEPS[name]) == COMMITTED[name]
