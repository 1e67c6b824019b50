"""The verb `demo`: integer-only networks that equal their training twin bit for bit."""

from __future__ import annotations

import click

from verify import failures
from verify.options import json_option
from verify.progress import shown_progress

METHODS = ("pact-sawb-2", "pact-sawb-4", "balanced-2", "balanced-4", "shift-4")
_COUNT = click.IntRange(min=1)


@click.group()
def demo() -> None:
    """Whole examples, from training to an integer-only network."""


@demo.command()
@click.option("--method", "methods", multiple=True, type=click.Choice(METHODS), help="Only this one (repeatable).")
@click.option("--epochs", type=_COUNT, help="Of each training; default as in docs/digits.md.")
@click.option("--samples", type=_COUNT, help="Only so many test samples; default all.")
@click.option("--save", "directory", metavar="DIR", help="Write each integer network as DIR/METHOD.npz.")
@json_option
def digits(
    methods: tuple[str, ...], epochs: int | None, samples: int | None, directory: str | None, as_json: bool
) -> int:
    """Train on handwritten digits, quantize, run in integers, and compare every integer with the exact twin.

    Needs scikit-learn, which holds the digits and downloads nothing: pip install 'refq[digits]'. Exit code 1: an
    integer differs from its twin's, or a code of the float32 twin differs and no rounding explains it.
    """
    from verify.digits.data import load_split

    data, test = load_split()
    from verify.digits import demo as steps
    from verify.digits import plan
    from verify.digits.report import print_outcomes
    from verify.digits.training import Budget
    from verify.report import console, print_json

    if directory is not None:
        steps.make_directory(directory)
    budget = Budget() if epochs is None else Budget(epochs, epochs, epochs)
    chosen, test, records = [m for m in plan.METHODS if not methods or m.name in methods], test.some(samples), []
    with steps.one_thread(), shown_progress() as progress:
        base = steps.train_float(data, budget, progress)
        for method in chosen:
            net = steps.train_quantized(base, method, data, budget, progress)
            outcome = steps.examine(base, net, test, progress)
            records.append(steps.outcome_record(outcome, len(test.labels)))
            if directory is not None:
                records[-1]["file"] = steps.save_network(directory, outcome, test)
    print_json({"methods": records}) if as_json else print_outcomes(console(), records)
    return failures.DIFFERS if any(r["differ"] or r["unexplained"] for r in records) else failures.CONFORMS


VERBS = (demo,)
