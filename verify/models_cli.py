"""The verbs of `refq` that run whole models on runtimes: trace and matrix."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from verify import failures
from verify.failures import FileRejectedError, NothingComparedError, UsageError
from verify.files import shown
from verify.models import FUSIONS
from verify.options import checked, json_option, seconds
from verify.progress import shown_progress

MOST_SAMPLES = 100_000


def _asking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--timeout", default=60.0, show_default=True, type=float, callback=seconds,
            help="Seconds before a silent backend counts as hung.",
        ),
        click.option(
            "--fusion", type=click.Choice(FUSIONS),
            help="Which QDQ groups of an .onnx model become integer ops; default as the backend does it.",
        ),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of --random."),
        click.option(
            "--random", "count", type=click.IntRange(1, MOST_SAMPLES),
            help="How many random samples; the first three are all zero point, minimum, maximum. Default 10.",
        ),
        click.option("--input", "feed", metavar="FILE", help=".npy, or .npz with arrays by input name."),
    ):  # fmt: skip
        command = option(command)
    return click.argument("model")(command)


def _feeds(path: str | None, count: int | None, seed: int, graph: Any) -> tuple[dict[str, Any], int, str]:
    """The inputs by name, how many samples, and how they were made, in words."""
    from refq.graphs.feeding import feeds_of
    from verify.model_files import read_inputs
    from verify.trace_inputs import generator_words, random_inputs
    from verify.trace_making import require_room

    if path is not None and count is not None:
        raise UsageError("--input and --random exclude each other; drop one")
    if path is None:
        require_room(graph, count or 10)
        made, words = random_inputs(graph, count or 10, seed), generator_words(seed)
    else:
        made, words = read_inputs(path, graph), shown(path)
    with checked():
        inputs, samples = feeds_of(graph, made)
    require_room(graph, samples)
    return inputs, samples, words


def _ended(failed: list[str], compared: int, differing: int, lost: Sequence[str] = ()) -> int:
    """A backend's failure outranks a difference; an output that was not compared outranks success."""
    for text in failed:
        print(f"refq: {text}", file=sys.stderr)
    if failed:
        return failures.BACKEND
    if not compared:
        raise NothingComparedError("nothing was compared; the backend shows no tensor that the model computes")
    if lost and not differing:
        raise NothingComparedError(f"output {shown(lost[0])} of the model is not shown; it was not compared")
    return failures.DIFFERS if differing else failures.CONFORMS


@click.command()
@_asking_options
@click.option("--backend", required=True, help="litert, litert-builtin, litert-reference, onnxruntime[:off|:basic|"
              ":extended|:all], onnx-reference, or module:function of your own.")  # fmt: skip
@click.option("--against", help="A second backend: trace the two against each other.")
@click.option("--profile", help="The rules to hold it to: a name, or FILE.toml; default the backend's own.")
@click.option("--html", metavar="FILE", help="Write one self-contained page.")
@json_option
def trace(
    model: str, backend: str, against: str | None, profile: str | None, feed: str | None, count: int | None, seed: int,
    fusion: str | None, html: str | None, timeout: float, as_json: bool,
) -> int:  # fmt: skip
    """Where BACKEND first differs from the golden run of MODEL (.tflite or .onnx), and by which rule it computes.

    Every tensor that the backend shows is compared exactly; then each layer is judged alone, fed the backend's own
    values; last comes a profile that makes the model agree, if there is one.
    """
    from verify.model_files import read_content
    from verify.models import find_model_backend
    from verify.report import console, print_json
    from verify.trace import Trace
    from verify.trace_making import between, one_side
    from verify.trace_report import trace_record
    from verify.trace_text import print_trace

    suffix = _suffix(model)
    found = [find_model_backend(name, suffix) for name in (backend, against) if name is not None]
    page = None if html is None else _page(html, (model, feed))
    content = read_content(model)
    questions = [_question(b, model, content, fusion, profile) for b in found]
    inputs, samples, words = _feeds(feed, count, seed, questions[0].graph)
    with shown_progress(_stage) as progress:
        pairs = [one_side(q, content, inputs, samples, timeout, progress) for q in questions]
        walks = [walk for _, walk in pairs if walk is not None]
        beside = between(*walks) if len(walks) == 2 else None
    sides = tuple(side for side, _ in pairs)
    made = Trace(shown(Path(model).name), suffix, samples, words, sides, beside)
    print_json(trace_record(made)) if as_json else print_trace(console(), made)
    if page is not None:
        page(made)
    judge = beside if beside is not None else sides[0]
    return _ended(
        [s.failure for s in sides if s.failure], judge.compared, judge.differing, [n for s in sides for n in s.lost]
    )


def _stage(text: str) -> str:
    """One line a stage where stderr is no terminal."""
    return text


def _suffix(model: str) -> str:
    suffix = Path(model).suffix.lower().removeprefix(".")
    if suffix not in ("tflite", "onnx"):
        raise UsageError(f"model={shown(model)} is neither .tflite nor .onnx")
    return suffix


def _question(backend: Any, model: str, content: bytes, fusion: str | None, profile: str | None) -> Any:
    from verify.model_files import graph_of
    from verify.run_cli import profile_of, usual_profile
    from verify.trace_making import Question

    graph = graph_of(model, content, fusion or backend.fusion)
    return Question(
        backend, graph, profile_of(profile if profile is not None else backend.profile or usual_profile(model))
    )


def _page(path: str, inputs: tuple[str | None, ...]) -> Callable[[Any], None]:
    """What writes the page; refused before anything is computed where it cannot be written."""
    from verify.files import require_writable

    require_writable("html", path, inputs)
    for module in ("jinja2", "matplotlib"):
        if find_spec(module) is None:
            raise UsageError(f"--html needs {module}; pip install 'refq[plots]'")

    def write(made: Any) -> None:
        from verify.trace_html import trace_page

        try:
            Path(path).write_text(trace_page(made), encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(f"html={shown(path)} cannot be written: {getattr(error, 'strerror', error)}") from None

    return write


@click.command()
@_asking_options
@click.option("--backends", required=True, metavar="A,B,...", help="Two backends or more, as for trace.")
@json_option
def matrix(
    model: str, backends: str, feed: str | None, count: int | None, seed: int, fusion: str | None, timeout: float,
    as_json: bool,
) -> int:  # fmt: skip
    """Which backends and modes give MODEL the same values: their classes, with a witness for each two classes.

    Exit code 1: there is more than one class, by outputs or by inner tensors.
    """
    from verify.matrix import make_matrix
    from verify.matrix_report import matrix_record, print_matrix
    from verify.model_files import read_content
    from verify.models import find_model_backend
    from verify.report import console, print_json

    suffix = _suffix(model)
    names = [name.strip() for name in backends.split(",") if name.strip()]
    if len(set(names)) < 2:
        raise UsageError(f"backends={backends!r} is not two backends or more; pass them with commas")
    found = [find_model_backend(name, suffix) for name in dict.fromkeys(names)]
    content = read_content(model)
    graph = _widest_graph(model, content, fusion)
    inputs, samples, words = _feeds(feed, count, seed, graph)
    with shown_progress(_stage) as progress:
        made = make_matrix(shown(Path(model).name), words, found, content, graph, inputs, samples, timeout, progress)
    print_json(matrix_record(made)) if as_json else print_matrix(console(), made)
    return _ended([m.failure for m in made.members if m.failure], made.compared, len(made.tensors) - 1)


def _widest_graph(model: str, content: bytes, fusion: str | None) -> Any:
    """The graph with the most tensors to compare: without fusion, where its float ops are known."""
    from verify.model_files import graph_of

    if fusion is not None:
        return graph_of(model, content, fusion)
    try:
        return graph_of(model, content, "none")
    except FileRejectedError:
        return graph_of(model, content)


VERBS = (trace, matrix)
