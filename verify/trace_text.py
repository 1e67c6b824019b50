"""Traces as text for a terminal, from their records."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.markup import escape

from refq.graphs.table import short
from verify.report import number, table
from verify.trace import AGREES, HIDDEN, NONE, OTHER, Arithmetic, Divergence, Field, Layer, Remedy, Side, Trace

MOST_RULES = 8
MOST_VALUES = 36


def _rules(rules: tuple[str, ...], most: int = MOST_RULES) -> str:
    named = ", ".join(rules[:most])
    return named + (f" and {len(rules) - most} more" if len(rules) > most else "")


def _alone(layer: Layer) -> str:
    """What the layer does when fed the runtime's own values, in a few words."""
    found = layer.alone
    behind = f" (with {len(found.through)} hidden before it)" if found.through and found.verdict != HIDDEN else ""
    if found.verdict == AGREES:
        return f"[green]agrees[/]{behind}"
    if found.verdict == OTHER:
        return f"[yellow]{found.differing} differ; under {escape(_rules(found.rules, 2))} none[/]{behind}"
    if found.verdict == NONE:
        why = escape(found.note) if found.note else f"under each of {found.tried} rules some do"
        return f"[red]{found.differing} differ; {why}[/]{behind}"
    return found.verdict if found.verdict == HIDDEN else f"[red]refused: {escape(found.note)}[/]"


def _print_layers(out: Console, side: Side) -> None:
    rows = table("node", "op", "rule", "elements", "differ", "largest", "alone, fed the runtime's own values")
    for layer in side.layers:
        compared, differing = (sum(getattr(d, key) for d in layer.results) for key in ("compared", "differing"))
        sizes = [d.largest for d in layer.results if d.differing]
        largest = "" if not sizes else "?" if None in sizes else f"{max(s for s in sizes if s is not None):g}"
        rows.add_row(
            escape(short(layer.node)), layer.op, escape(layer.rule), str(compared) if layer.results else "-",
            str(differing) if layer.results else "-", largest, _alone(layer),
        )  # fmt: skip
    out.print(rows)


def _field_text(field: Field) -> str:
    cut = ", ".join(f"{a}:{b}" if step == 1 else f"{a}:{b}:{step}" for a, b, step in field.slices)
    if field.values is None or field.values.size > MOST_VALUES:
        return f"{short(field.tensor)}[{cut}]"
    return f"{short(field.tensor)}[{cut}] = {' '.join(map(str, field.values.ravel().tolist()))}"


def _print_arithmetic(out: Console, found: Arithmetic, names: dict[Any, list[str]]) -> None:
    """The sum, its exact value, and who gives what."""
    if found.words:
        out.print(f"  {escape(found.words)}", soft_wrap=True)
    for field in found.fields:
        out.print(f"    reads {escape(_field_text(field))}", soft_wrap=True)
    if found.accumulator is not None:
        scale = "" if found.scale is None else f", {number(found.scale)} steps a unit"
        out.print(f"  accumulator {found.accumulator}{scale}", soft_wrap=True)
    if found.value is not None and found.residue is not None:
        side = "a tie" if not found.residue else f"{number(found.residue)} steps from a tie"
        out.print(f"  exact real value {number(found.value)} steps, zero point included: {side}", soft_wrap=True)
    elif found.approximate:
        out.print(f"  real value {escape(found.approximate)} steps, zero point included", soft_wrap=True)
    for code, rules in found.answers.items():
        who = f" [bold]({', '.join(names[code])})[/]" if code in names else ""
        out.print(f"  [bold]{code}[/]{who}: {escape(_rules(rules))}", soft_wrap=True)
    if found.refused:
        out.print(f"  not defined there: {escape(_rules(tuple(rule for rule, _ in found.refused)))}", soft_wrap=True)


def _print_divergence(out: Console, found: Divergence, who: tuple[str, str], samples: int) -> None:
    """Node, tensor, counts, the first element and its arithmetic. who: says `got`, says the other value."""
    d = found.difference
    out.print(f"[bold]first divergence[/]: {found.op} {escape(found.node)}, tensor {escape(d.tensor)}", soft_wrap=True)
    if d.note:
        out.print(f"  [red]{escape(d.note)}[/]")
        return
    where = 0 if d.by_sample is None else int((d.by_sample > 0).sum())
    largest = "not a number" if d.largest is None else f"{d.largest:g}"
    out.print(f"  {d.differing} of {d.compared} differ, in {where} of {samples} samples; largest difference {largest}")
    out.print(f"  sample {d.sample}, {list(d.index)}: {escape(who[0])} {found.got}, {escape(who[1])} {found.expected}")
    names: dict[Any, list[str]] = {}
    for code, name in ((found.got, who[0]), (found.expected, who[1])):
        names.setdefault(code, []).append(escape(name))
    if found.arithmetic is not None:
        _print_arithmetic(out, found.arithmetic, names)


def _reproduced(out: Console, who: str, rules: tuple[str, ...]) -> None:
    words = escape(_rules(rules)) if rules else "[red]none that is known[/]"
    out.print(f"  rules that give all values of {escape(who)} from its own inputs: {words}", soft_wrap=True)


def _print_remedy(out: Console, found: Remedy) -> None:
    if found.differing or not found.compared:
        out.print(f"[red]the layers' rules together still miss {found.differing} of {found.compared}[/]:")
    else:
        out.print(f"[green]a profile that makes the model agree[/], {found.compared} elements compared, 0 differ:")
    for line in found.toml.splitlines():
        out.print(f"  {escape(line)}", soft_wrap=True, highlight=False)


def _verdict(side: Side) -> str:
    if not side.compared:
        return "[red]nothing compared[/]"
    word = "[red]differs[/]" if side.differing else "[green]agrees[/]"
    return f"{word}, SAMPLED {side.compared} elements of {side.samples} samples, {side.differing} differ"


def _print_side(out: Console, side: Side, alone: bool) -> None:
    """One runtime; the first divergence and the remedy."""
    name = f"{side.backend} {side.version}".rstrip()
    out.print(f"[bold]{escape(name)}[/] beside {escape(side.profile)}: {_verdict(side)}", soft_wrap=True)
    for text in side.findings:
        out.print(f"  {escape(text)}", soft_wrap=True)
    if side.hidden:
        out.print(f"  {len(side.hidden)} tensors are not shown, the first is {escape(side.hidden[0])}", soft_wrap=True)
    if not side.layers:
        return
    _print_layers(out, side)
    if side.first is not None and alone:
        _print_divergence(out, side.first, (side.backend, f"{side.profile} ({side.first.rule})"), side.samples)
        _reproduced(out, side.backend, side.first.rules)
    counts = Counter(layer.alone.verdict for layer in side.layers)
    out.print("layers alone: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    if side.remedy is not None:
        _print_remedy(out, side.remedy)


def _print_between(out: Console, trace: Trace) -> None:
    found = trace.between
    if found is None:
        return
    left, right = trace.sides
    word = "[red]differ[/]" if found.differing else "[green]agree[/]"
    names = f"{escape(left.backend)} and {escape(right.backend)}"
    out.print(f"[bold]{names}[/] {word}, SAMPLED {found.compared} elements, {found.differing} differ", soft_wrap=True)
    if found.first is not None:
        _print_divergence(out, found.first, (left.backend, right.backend), min(left.samples, right.samples))
        _reproduced(out, left.backend, found.first.rules)
        _reproduced(out, right.backend, found.first.other)


def print_trace(out: Console, trace: Trace) -> None:
    """Everything, the layers of each side as a table."""
    out.print(f"{escape(trace.model)} on {trace.samples} samples ({escape(trace.inputs)})", soft_wrap=True)
    for side in trace.sides:
        _print_side(out, side, trace.between is None)
    _print_between(out, trace)
