"""The command `refq`. Everything heavy is imported inside the verb that needs it, so --help is instant."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

from verify import batchnorm_cli, demo_cli, failures, models_cli, run_cli, tensor_cli
from verify.failures import BackendError, FileRejectedError, NothingComparedError, UsageError
from verify.options import checked, json_option, seconds
from verify.progress import shown_progress

_SCALE = "0.25, 1/4, a float32 pattern 0x3e800000, MULTIPLIER>>SHIFT, or INPUT*WEIGHT/OUTPUT of float32 scales"

_COUNT = click.IntRange(min=0)


def _asking(text: str) -> str:
    """One line an op, whatever it is asked."""
    return f"asking {text.partition(': ')[0]}"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="refq")
def main() -> None:
    """Which rule does an integer backend follow, where does it deviate, and why.

    Exit codes: 0 conforms, 1 differs, 2 interrupted, 3 internal error, 4 usage,
    5 nothing was compared, 6 the backend failed, 7 a file was rejected.
    """


for _verb in (*run_cli.VERBS, *models_cli.VERBS, *batchnorm_cli.VERBS, *tensor_cli.VERBS, *demo_cli.VERBS):
    main.add_command(_verb)


def _scale_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--format", "fmt", default="int8", show_default=True, help="Output format: int8, uint4, ..."),
        click.option("--zero-point", default=0, show_default=True, type=int),
        click.option("--shift", type=int, help="Right shift of the whole product, with --multiplier."),
        click.option("--multiplier", type=int, help="Integer multiplier, with --shift."),
        click.option("--scale", help=f"Real scale: {_SCALE}."),
    ):
        command = option(command)
    return command


@main.command("list")
@json_option
def list_(as_json: bool) -> int:
    """The ops, rules and backends, with what is installed."""
    from verify.listing import listing, print_listing
    from verify.report import console, print_json

    record = listing()
    print_json(record) if as_json else print_listing(console(), record)
    return failures.CONFORMS


@main.command()
@click.option("--acc", required=True, type=int, help="The accumulator, bias included.")
@_scale_options
@click.option(
    "--rule", "rules", multiple=True, help="Only this rule (repeatable): RULE[/PRODUCT[/ZERO_POINT[/CLAMP]]]."
)
@click.option("--all-products", is_flag=True, help="Feed every scale product to every rule.")
@click.option("--steps", is_flag=True, help="Print every step of every rule.")
@json_option
def explain(acc: int, rules: tuple[str, ...], all_products: bool, steps: bool, as_json: bool, **given: Any) -> int:
    """One accumulator under every rule: exact product, residue, each answer, and which agree."""
    from refq import parse_format, parse_semantics
    from refq.arguments import integer
    from verify.explain import every_rule, explain
    from verify.report import console, explanation_record, print_explanation, print_json
    from verify.scales import chosen_scale

    with checked():
        fmt, scale = parse_format(given["fmt"]), chosen_scale(given["scale"], given["multiplier"], given["shift"])
        zero_point = integer("explain", "zero_point", given["zero_point"], fmt.qmin, fmt.qmax)
        integer("explain", "acc", acc, -(1 << 63), (1 << 63) - 1)
        triple = isinstance(scale.value, tuple)
        chosen = [parse_semantics(text) for text in rules] or every_rule(all_products and triple)
        found = explain(acc, scale, zero_point, fmt, chosen)
    if as_json:
        print_json(explanation_record(found))
    else:
        print_explanation(console(), found, triple, steps or bool(rules))
    return failures.CONFORMS


def _domain(text: str | None) -> tuple[int, int]:
    if text is None:
        return -(1 << 31), (1 << 31) - 1
    first, dots, last = text.partition("..")
    try:
        return int(first), int(last if dots else "")
    except ValueError:
        raise UsageError(f"domain={text!r} is not FIRST..LAST, two integers") from None


@main.command()
@click.argument("left")
@click.argument("right")
@_scale_options
@click.option("--domain", help="Accumulators FIRST..LAST; default all of int32.")
@click.option("--intervals", default=20, show_default=True, type=_COUNT, help="How many intervals to print.")
@click.option("--sweep", is_flag=True, help="Besides, count the differences over all 2**32 accumulators one by one.")
@json_option
def diff(left: str, right: str, domain: str | None, intervals: int, sweep: bool, as_json: bool, **given: Any) -> int:
    """Where rules LEFT and RIGHT differ over the whole accumulator range, or that they are equal."""
    from refq import count_differences, difference, parse_format, parse_semantics, staircase
    from verify.report import console, difference_record, print_difference, print_json
    from verify.scales import chosen_scale

    with checked():
        fmt, scale = parse_format(given["fmt"]), chosen_scale(given["scale"], given["multiplier"], given["shift"])
        zero_point, bounds = given["zero_point"], _domain(domain)
        sides = [parse_semantics(text) for text in (left, right)]
        steps = [staircase(s.rule, scale.under(s), zero_point=zero_point, fmt=fmt, domain=bounds) for s in sides]
        found = difference(steps[0], steps[1])
    if not steps[0].size:
        raise NothingComparedError(f"domain={domain} is empty; nothing was compared")
    swept = None
    if sweep:
        factors = {scale.under(s) for s in sides}
        if domain is not None or len(factors) > 1:
            raise UsageError("--sweep takes all of int32 and one scale product; drop --domain, or name one product")
        with checked():
            swept = count_differences(sides[0].rule, sides[1].rule, factors.pop(), zero_point=zero_point, fmt=fmt)
    record = difference_record(sides[0], sides[1], found, swept)
    if as_json:
        print_json(record)
    else:
        print_difference(console(), record, bounds, intervals, isinstance(scale.value, tuple))
    return failures.DIFFERS if found.count else failures.CONFORMS


_backend_options = [
    click.option("--op", "ops", multiple=True, help="Only this op (repeatable); default all it has."),
    click.option(
        "--timeout",
        default=60.0,
        show_default=True,
        type=float,
        callback=seconds,
        help="Seconds before a silent backend counts as hung.",
    ),
]


def _with_backend(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in _backend_options:
        command = option(command)
    return click.argument("backend")(command)


@main.command()
@_with_backend
@click.option("--details", is_flag=True, help="The input that excluded each other rule.")
@json_option
def identify(backend: str, ops: tuple[str, ...], timeout: float, details: bool, as_json: bool) -> int:
    """Which named rules are consistent with BACKEND, and what excluded every other one.

    BACKEND is a name of `refq list`, or module:function of your own with --op.
    """
    from verify.campaign import identify_backend
    from verify.report import console, op_record, print_json, print_verdict

    with shown_progress(_asking) as progress:
        result = identify_backend(backend, ops, timeout, progress)
    if as_json:
        reports = [op_record(v) for v in result.done] + result.failure_records()
        print_json({"backend": result.backend_record(), "ops": reports})
    else:
        out = console()
        out.print(f"{result.backend.name} {result.version or ''}".rstrip())
        for verdict in [v for verdicts in result.done for v in verdicts]:
            print_verdict(out, verdict, details)
    return _finish(result, any(not v.consistent for verdicts in result.done for v in verdicts))


@main.command("verify")
@_with_backend
@click.option("--rule", required=True, help="RULE[/PRODUCT[/ZERO_POINT[/CLAMP]]]; without a clamp order, either.")
@click.option("--errors", default=20, show_default=True, type=_COUNT, help="How many counterexamples to keep.")
@json_option
def verify_(backend: str, rule: str, ops: tuple[str, ...], timeout: float, errors: int, as_json: bool) -> int:
    """Whether BACKEND conforms to one rule, with counterexamples."""
    from verify.campaign import verify_backend
    from verify.report import conformance_record, console, print_conformance, print_json

    with shown_progress(_asking) as progress:
        result = verify_backend(backend, rule, ops, timeout, errors, progress)
    if as_json:
        reports = [conformance_record(c) for c in result.done] + result.failure_records()
        print_json({"backend": result.backend_record(), "ops": reports})
    else:
        for conformance in result.done:
            print_conformance(console(), conformance)
    return _finish(result, any(c.wrong for c in result.done))


def _finish(result: Any, differs: bool) -> int:
    """A backend's failure outranks a difference; nothing compared outranks success."""
    for op, error in result.failed:
        print(f"refq: {op}: {error}", file=sys.stderr)
    if result.failed:
        return failures.BACKEND
    if not result.done:
        raise NothingComparedError(f"{result.backend.name}: nothing was compared; no op was asked")
    return failures.DIFFERS if differs else failures.CONFORMS


def run() -> None:
    """Entry point: one line and the right exit code for every failure."""
    try:
        code = main.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), failures.USAGE)
    except UsageError as error:
        _fail(str(error), failures.USAGE)
    except NothingComparedError as error:
        _fail(str(error), failures.NOTHING)
    except BackendError as error:
        _fail(str(error), failures.BACKEND)
    except FileRejectedError as error:
        _fail(str(error), failures.FILE)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted", failures.INTERRUPTED)
    except Exception:
        traceback.print_exc()
        sys.exit(failures.INTERNAL)


def _fail(text: str, code: int) -> None:
    print(f"refq: {text.splitlines()[0]}", file=sys.stderr)
    sys.exit(code)
