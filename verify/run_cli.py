"""The verbs of `refq` for one model and no runtime: run and show."""

from __future__ import annotations

from typing import Any

import click

from verify import failures
from verify.failures import FileRejectedError
from verify.files import read_text, require_writable, shown
from verify.models import FUSIONS
from verify.options import checked, json_option

fusion_option = click.option(
    "--fusion",
    default="onnxruntime",
    show_default=True,
    type=click.Choice(FUSIONS),
    help="Which QDQ groups of an .onnx model become integer ops.",
)


def profile_of(name: str) -> Any:
    """A profile by name, or from a .toml file."""
    from refq.graphs.choosing import find_profile
    from refq.graphs.profile_files import MAX_BYTES, parse_profile
    from refq.graphs.profiles import PROFILES

    if name in PROFILES or not name.endswith(".toml"):
        with checked():
            return find_profile(name)
    try:
        return parse_profile(read_text(name, MAX_BYTES))
    except (ValueError, TypeError) as error:
        raise FileRejectedError(f"{shown(name)}: {error}") from None


def usual_profile(model: str) -> str:
    """The profile of a model whose user named none."""
    return "onnxruntime" if model.lower().endswith(".onnx") else "litert-reference"


@click.command()
@click.argument("model")
@click.option("--input", "feed", required=True, metavar="FILE", help=".npy, or .npz with arrays by input name.")
@click.option("--profile", help="A name (refq list), or FILE.toml; default onnxruntime, or litert-reference.")
@click.option("--output", metavar="FILE", help="Write the tensors as .npz.")
@click.option("--all-tensors", is_flag=True, help="All tensors, not only the outputs.")
@fusion_option
@json_option
def run(
    model: str, feed: str, profile: str | None, output: str | None, all_tensors: bool, fusion: str, as_json: bool
) -> int:
    """Run MODEL (.tflite or .onnx) exactly, in integers, each op under the rule its profile names.

    The input has the dtype and shape that the model declares, or N samples stacked along the first dimension.
    """
    from verify.model_files import graph_of, read_content, read_inputs, write_tensors
    from verify.report import console, print_json
    from verify.run_report import print_run, run_record

    if output is not None:
        require_writable("output", output, (model, feed))
    graph = graph_of(model, read_content(model), fusion)
    chosen = profile_of(usual_profile(model) if profile is None else profile)
    inputs = read_inputs(feed, graph)
    from refq.graphs import prepare, run

    with checked():
        prepared = prepare(graph, chosen)
        tensors = run(prepared, inputs, keep=all_tensors)
    if output is not None:
        write_tensors(output, tensors)
    record = run_record(shown(model), prepared, tensors)
    print_json(record) if as_json else print_run(console(), record)
    return failures.CONFORMS


@click.command()
@click.argument("model")
@click.option("--profile", help="Show the rule each node follows under it, and how wide the sums get.")
@fusion_option
@json_option
def show(model: str, profile: str | None, fusion: str, as_json: bool) -> int:
    """The graph of MODEL as a table, one line a node: op, shapes, scales, zero points, parameters."""
    from refq.graphs import prepare
    from verify.model_files import graph_of, read_content
    from verify.report import console, print_json
    from verify.run_report import graph_record, print_rules, rules_record

    graph = graph_of(model, read_content(model), fusion)
    record = graph_record(shown(model), graph)
    if profile is not None:
        with checked():
            record |= rules_record(prepare(graph, profile_of(profile)))
    if as_json:
        print_json(record)
        return failures.CONFORMS
    print(graph)
    if profile is not None:
        print_rules(console(), record)
    return failures.CONFORMS


VERBS = (run, show)
