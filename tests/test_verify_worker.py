"""A backend that raises, crashes, hangs or answers wrongly is a finding with its own exit code, not our crash."""

import pytest

from verify.backends import Backend, find_backend, load
from verify.campaign import identify_backend
from verify.failures import BackendError, UsageError
from verify.worker import started

MISBEHAVIOUR = {
    "raises": "boxes:raises: raised RuntimeError: no kernel for this op while running CONV_2D",
    "crashes": "boxes:crashes: crashed with signal SIGABRT",
    "leaves": "boxes:leaves: crashed with exit code 17 while running CONV_2D",
    "writes_and_dies": "last line of its stderr: 'assertion failed: kernel.c:12'",
    "wrong_dtype": "boxes:wrong_dtype: returned dtype int16; expected int8",
    "wrong_shape": "elements; expected",
    "a_list": "boxes:a_list: returned list; expected an array of int8",
}


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_misbehaviour_is_reported_in_one_line(name: str) -> None:
    campaign = identify_backend(f"boxes:{name}", ("CONV_2D",), 30.0, lambda *_: None)
    assert campaign.done == []
    [(op, error)] = campaign.failed
    assert op == "CONV_2D"
    assert MISBEHAVIOUR[name] in str(error)
    assert "\n" not in str(error)


def test_hang_is_ended() -> None:
    campaign = identify_backend("boxes:hangs", ("CONV_2D",), 6.0, lambda *_: None)
    assert str(campaign.failed[0][1]) == "boxes:hangs: no answer within 6 s while running CONV_2D"


def test_worker_answers() -> None:
    with started(find_backend("boxes:honest", ("CONV_2D",))) as ask, pytest.raises(BackendError, match="KeyError"):
        ask("CONV_2D", {}, {})


def test_unknown_backend() -> None:
    with pytest.raises(UsageError, match=r"backend='ort' is unknown; legal: onnxruntime, onnx-reference, litert"):
        find_backend("ort")


def test_missing_function_and_module() -> None:
    with pytest.raises(UsageError, match="boxes has no function not_a_function"):
        load(find_backend("boxes:not_a_function"))
    with pytest.raises(UsageError, match="module no_such_module cannot be imported"):
        load(find_backend("no_such_module:run"))


def test_missing_package_names_the_extra() -> None:
    absent = Backend("absent", "absent", "litert", "no_such_runtime", "run", ("CONV_2D",), "")
    with pytest.raises(UsageError, match=r"needs no_such_runtime; install it with: pip install 'refq\[litert\]'"):
        load(absent)


def test_own_backend_needs_an_op() -> None:
    with pytest.raises(UsageError, match="does not say its ops; pass --op"):
        identify_backend("boxes:honest", (), 1.0, lambda *_: None)


def test_own_backend_is_identified() -> None:
    campaign = identify_backend("boxes:honest", ("FULLY_CONNECTED",), 30.0, lambda *_: None)
    [[verdict]] = campaign.done
    assert [c.semantics.label for c in verdict.consistent] == ["double_up/double_product/after"]
