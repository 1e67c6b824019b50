"""Verdicts as JSON records and as text for a terminal; every other format is derived from the records."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from refq import Difference, Semantics
from verify.conform import Conformance
from verify.explain import Explanation, Line
from verify.floatkeys import from_keys
from verify.identify import Consistent, Verdict, Witness
from verify.questions import is_quantizing
from verify.words import describe

Record = dict[str, Any]


def console() -> Console:
    """Findings go to stdout; tables do not wrap when they are piped."""
    probe = Console()
    return probe if probe.is_terminal else Console(width=160)


def print_json(record: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(record, indent=2, allow_nan=False))


def table(*headings: str) -> Table:
    """A plain table with those columns."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def _scales(witness: Witness) -> Record:
    case = witness.case
    return {"input": case.input_scale, "weight": case.weight_scale, "output": case.output_scale}


def asked(op: str, witness: Witness) -> Record:
    """The input as a number the reader can use: `acc`, or `x` with its float32 pattern."""
    if not is_quantizing(op):
        return {"acc": witness.x}
    value = from_keys(np.array([witness.x]))
    return {"x": float(value[0]), "x_bits": f"0x{int(value.view('uint32')[0]):08x}"}


def witness_record(op: str, witness: Witness) -> Record:
    """Everything needed to ask again."""
    case = witness.case
    return {
        **asked(op, witness),
        "scales": _scales(witness),
        "zero_point": case.zero_point,
        "format": case.fmt.name,
        "case": case.name,
        "carrier": witness.carrier,
        "positions": witness.positions,
        "got": witness.got,
        "expected": witness.expected,
    }


def witness_text(op: str, witness: Witness) -> str:
    """inputs => got, expected, and how to see the arithmetic."""
    case = witness.case
    given = ", ".join(f"{k}={v}" for k, v in asked(op, witness).items())
    given += " in the remainder of a vector" if witness.positions == "remainder" else ""
    scales = f"{case.input_scale!r}*{case.weight_scale!r}/{case.output_scale!r}"
    if is_quantizing(op):
        where = f"scale={case.output_scale!r}, zero_point={case.zero_point}, {case.fmt.name}"
        return f"{given}, {where} => {witness.got}, expected {witness.expected}"
    again = f"refq explain --acc {witness.x} --scale {scales} --zero-point {case.zero_point} --format {case.fmt.name}"
    return f"{given}, case {case.name} => {witness.got}, expected {witness.expected}; {again}"


def semantics_record(semantics: Semantics) -> Record:
    """The three axes that name a semantics."""
    return {
        "rounding": semantics.rule.name,
        "scale": semantics.scaling.value,
        "zero_point": semantics.rule.zero_point.value,
    }


def _consistent_record(found: Consistent) -> Record:
    return {
        **semantics_record(found.semantics),
        "clamp": [c.value for c in found.clamps],
        "also_known_as": list(found.also_known_as),
        "description": describe(found.semantics),
    }


def verdict_record(verdict: Verdict) -> Record:
    """One op of `refq identify --json`."""
    record: Record = {
        "op": verdict.op,
        "positions": verdict.positions,
        "consistent": [_consistent_record(c) for c in verdict.consistent],
        "excluded": {label: witness_record(verdict.op, w) for label, w in verdict.excluded.items()},
        "probes": verdict.probes,
        "strength": verdict.strength,
    }
    if verdict.nearest:
        record["nearest"] = [{"rule": label, "wrong": wrong} for label, wrong in verdict.nearest]
    return record


def op_record(verdicts: list[Verdict]) -> Record:
    """One op; where the remainder of a vector follows another rule it is nested under `remainder`."""
    record = verdict_record(verdicts[0])
    if len(verdicts) > 1:
        record["remainder"] = verdict_record(verdicts[1])
    return record


def _print_consistent(out: Console, verdict: Verdict) -> None:
    for found in verdict.consistent:
        also = f" (also {', '.join(found.also_known_as)})" if found.also_known_as else ""
        out.print(f"  [green]{escape(found.semantics.label)}[/]{also}")
        out.print(f"    {describe(found.semantics)}; clamp {' or '.join(c.value for c in found.clamps)}")
    if not verdict.consistent:
        near = "; ".join(f"{label} misses {wrong}" for label, wrong in verdict.nearest)
        out.print(f"  [red]no named rule explains every answer[/]; nearest: {near}")


def print_verdict(out: Console, verdict: Verdict, details: bool) -> None:
    """One op as text; with details, the input that excluded each other rule."""
    where = {"all": "", "blocks": ", whole vectors", "remainder": ", remainder of a vector"}[verdict.positions]
    out.print(f"[bold]{escape(verdict.op)}[/]{where}: {verdict.strength}, {verdict.probes} probes")
    _print_consistent(out, verdict)
    hint = "" if details else " (--details shows them)"
    out.print(f"  excluded: {len(verdict.excluded)} others, each by an input{hint}")
    if details:
        rows = table("  excluded rule", "by")
        for label, witness in verdict.excluded.items():
            rows.add_row("  " + escape(label), escape(witness_text(verdict.op, witness)))
        out.print(rows)


def conformance_record(result: Conformance) -> Record:
    """One op of `refq verify --json`."""
    return {
        "op": result.op,
        "rule": semantics_record(result.semantics) | {"clamp": result.semantics.rule.clamp.value},
        "conforms": not result.wrong,
        "strength": result.strength,
        "compared": result.compared,
        "wrong": result.wrong,
        "counterexamples": [witness_record(result.op, w) for w in result.counterexamples],
        "skipped": result.skipped,
    }


def print_conformance(out: Console, result: Conformance) -> None:
    """One op as text, counterexamples one a line."""
    word = "[red]differs[/]" if result.wrong else "[green]conforms[/]"
    counts = f"{result.strength}, {result.wrong} of {result.compared} wrong"
    out.print(f"[bold]{escape(result.op)}[/]: {word}, {counts}; clamp {result.semantics.rule.clamp.value}")
    for witness in result.counterexamples:
        out.print("  " + escape(witness_text(result.op, witness)), soft_wrap=True)
    for text in result.skipped:
        out.print(f"  skipped {escape(text)}", soft_wrap=True)


def number(value: Fraction) -> str:
    """A rational for a reader: exact if it is short, else decimal with its sign of inexactness.

    >>> number(Fraction(13, 2)), number(Fraction(1, 3))
    ('6.5', '~0.333333333333')
    """
    if value.denominator == 1:
        return str(value.numerator)
    short = f"{float(value):.12g}"
    return short if Fraction(short) == value else f"~{short}"


def _line_record(line: Line) -> Record:
    record = semantics_record(line.semantics)
    if line.refused:
        return record | {"refused": line.refused}
    steps = [{"what": s.what, "value": str(s.value)} for s in line.steps]
    return record | {"rounded": line.rounded, "stored": line.stored, "steps": steps}


def explanation_record(found: Explanation) -> Record:
    """`refq explain --json`: rationals as text, so that nothing is rounded on the way."""
    return {
        "acc": found.acc,
        "exact": str(found.exact),
        "exact_decimal": float(found.exact),
        "tie_residue": str(found.residue),
        "rules": [_line_record(line) for line in found.lines],
        "agree": {str(code): [line.semantics.label for line in lines] for code, lines in found.groups().items()},
    }


def print_explanation(out: Console, found: Explanation, triple: bool, steps: bool) -> None:
    """A table with the last value before rounding, or every step of every rule."""
    side = "a tie" if not found.residue else f"{number(found.residue)} steps from a tie"
    out.print(f"acc {found.acc}: exact product {number(found.exact)} = {found.exact}, {side}", soft_wrap=True)
    rows = table("rule", *(["scale product"] if triple else []), "rounds last", "to", "code")
    for line in found.lines:
        rule = line.semantics.rule
        product = [line.semantics.scaling.value] if triple else []
        if line.refused:
            rows.add_row(rule.name, *product, escape(line.refused), "", "")
            continue
        last = line.steps[-3]
        tie = ", a tie" if (last.value * 2).denominator == 1 and last.value.denominator == 2 else ""
        rows.add_row(rule.name, *product, number(last.value) + tie, str(line.rounded), str(line.stored))
    out.print(rows)
    for code, lines in found.groups().items():
        names = dict.fromkeys(line.semantics.rule.name for line in lines)
        out.print(f"code [bold]{code}[/]: {', '.join(names)}")
    for line in found.lines if steps else ():
        out.print(f"[bold]{line.semantics.rule.name}[/] {describe(line.semantics)}", soft_wrap=True)
        for step in line.steps:
            out.print(f"  {escape(step.what)}: {number(step.value)}")


def difference_record(left: Semantics, right: Semantics, found: Difference, swept: int | None) -> Record:
    """`refq diff --json`."""
    spans = found.intervals
    record: Record = {
        "left": semantics_record(left),
        "right": semantics_record(right),
        "equal": found.count == 0,
        "count": found.count,
        "first": spans[0].first if spans else None,
        "last": spans[-1].last if spans else None,
        "intervals": [{"first": i.first, "last": i.last, "left": i.left, "right": i.right} for i in spans],
    }
    return record | ({} if swept is None else {"swept": swept})


def _side(semantics: Record, triple: bool) -> str:
    """The rule, with the scale product where it counts, and an order that is not the usual one."""
    order = [] if semantics["zero_point"] == "after" else [semantics["zero_point"]]
    return "/".join([semantics["rounding"], *([semantics["scale"]] if triple else []), *order])


def print_difference(out: Console, record: Record, domain: tuple[int, int], limit: int, triple: bool) -> None:
    """Proved equal, or how many inputs differ and where."""
    names = [_side(s, triple) for s in (record["left"], record["right"])]
    if not triple and record["left"]["scale"] != record["right"]["scale"]:
        out.print("one scale was given, so the scale products make no difference")
    where = f"on {domain[0]}..{domain[1]}"
    if "swept" in record:
        out.print(f"swept one by one: {record['swept']} differences")
    if record["equal"]:
        out.print(f"[green]PROVED equal[/] {where}: {names[0]} and {names[1]} have the same staircase")
        return
    spans = record["intervals"]
    ends = f"{record['first']} to {record['last']}"
    out.print(f"{record['count']} differences {where}, in {len(spans)} intervals, {ends}")
    rows = table("first", "last", *names)
    for span in spans[:limit]:
        rows.add_row(*(str(span[key]) for key in ("first", "last", "left", "right")))
    out.print(rows)
    if len(spans) > limit:
        out.print(f"... and {len(spans) - limit} intervals more; --intervals {len(spans)} shows all")
