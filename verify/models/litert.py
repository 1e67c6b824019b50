"""LiteRT's interpreter on whole models in its three modes, one thread, one inference a sample.

The default delegate hides the tensors between the ops that it takes over; they are seen in a copy of the model that
names them as outputs, run beside the model itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from verify.models import Shown
from verify.models.tflite_copy import computed, showing_all


def _opened(content: bytes, resolver: Any, preserve: bool) -> Any:
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=resolver, num_threads=1,
        experimental_preserve_all_tensors=preserve,
    )  # fmt: skip
    interpreter.allocate_tensors()
    return interpreter


def _invoke(interpreter: Any, feed: dict[str, Any]) -> None:
    for detail, array in zip(interpreter.get_input_details(), feed.values(), strict=True):
        interpreter.set_tensor(detail["index"], array.reshape(detail["shape"]))
    interpreter.invoke()


def _read(interpreter: Any, numbers: list[int]) -> dict[int, Any]:
    """The tensors that have values."""
    found = {}
    for number in numbers:
        try:
            found[number] = interpreter.get_tensor(number)
        except ValueError:
            # resources and tensors that a delegate keeps to itself
            continue
    return found


def _outputs(interpreter: Any) -> list[int]:
    return [int(detail["index"]) for detail in interpreter.get_output_details()]


def _run_all(resolver: Any, content: bytes, feeds: list[dict[str, Any]]) -> Iterator[Shown]:
    interpreter, numbers = _opened(content, resolver, True), computed(content)
    for feed in feeds:
        _invoke(interpreter, feed)
        yield Shown(_read(interpreter, numbers))


def _run_outputs(interpreter: Any, feeds: list[dict[str, Any]], finding: str) -> Iterator[Shown]:
    for feed in feeds:
        _invoke(interpreter, feed)
        yield Shown(_read(interpreter, _outputs(interpreter)), None, (finding,))


def run_default(content: bytes, feeds: list[dict[str, Any]]) -> Iterator[Shown]:
    """The default delegate: the outputs of the model, and all tensors of the copy."""
    given, numbers = _opened(content, OpResolverType.AUTO, False), computed(content)
    try:
        copy = _opened(showing_all(content), OpResolverType.AUTO, False)
    except (RuntimeError, ValueError) as error:
        finding = f"inner tensors cannot be named as outputs: {str(error).partition(chr(10))[0]}"
        yield from _run_outputs(given, feeds, finding)
        return
    for feed in feeds:
        _invoke(given, feed)
        _invoke(copy, feed)
        yield Shown(_read(copy, numbers), _read(given, _outputs(given)))


run_builtin = partial(_run_all, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
run_reference = partial(_run_all, OpResolverType.BUILTIN_REF)
