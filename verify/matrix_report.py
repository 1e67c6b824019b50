"""The classes of `refq matrix` as a JSON record and as text."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape

from refq.graphs.table import short
from verify.matrix import Classes, Matrix, Member, Witness
from verify.report import table
from verify.trace_report import difference_record, value_record

Record = dict[str, Any]


def _member_record(member: Member) -> Record:
    record: Record = {"name": member.name, "version": member.version or None, "samples": member.samples}
    record["findings"] = list(member.findings)
    return record | ({"failure": member.failure} if member.failure else {})


def _witness_record(witness: Witness) -> Record:
    return {
        "left": witness.left,
        "right": witness.right,
        "node": witness.node,
        **difference_record(witness.difference),
        "left_value": value_record(witness.left_value),
        "right_value": value_record(witness.right_value),
    }


def matrix_record(found: Matrix) -> Record:
    """`refq matrix --json`."""
    return {
        "model": found.model,
        "inputs": found.inputs,
        "samples": found.samples,
        "strength": f"SAMPLED {found.compared}",
        "backends": [_member_record(m) for m in found.members],
        "outputs": {
            "classes": [list(c) for c in found.outputs],
            "witnesses": [_witness_record(w) for w in found.output_witnesses],
        },
        "tensors": {
            "classes": [list(c) for c in found.tensors],
            "witnesses": [_witness_record(w) for w in found.tensor_witnesses],
        },
    }


def _print_classes(out: Console, what: str, classes: Classes, witnesses: tuple[Witness, ...]) -> None:
    count = "one class" if len(classes) == 1 else f"{len(classes)} classes"
    out.print(f"[bold]{what}[/]: {count}")
    for place, names in enumerate(classes, 1):
        out.print(f"  {place}: {escape(', '.join(names))}", soft_wrap=True)
    if not witnesses:
        return
    rows = table("  left", "right", "tensor", "differ", "of", "largest", "sample", "index", "values")
    for w in witnesses:
        d = w.difference
        largest = "?" if d.largest is None else f"{d.largest:g}"
        values = escape(d.note or f"{w.left_value} and {w.right_value}")
        rows.add_row(
            f"  {escape(w.left)}", escape(w.right), escape(short(d.tensor)), str(d.differing), str(d.compared),
            largest, str(d.sample), escape(str(list(d.index))), values,
        )  # fmt: skip
    out.print(rows)


def print_matrix(out: Console, found: Matrix) -> None:
    """The classes, a witness for each two of them, and who failed."""
    out.print(f"{escape(found.model)} on {found.samples} samples ({escape(found.inputs)})", soft_wrap=True)
    for member in found.members:
        version = f" {member.version}" if member.version else ""
        for text in (*member.findings, *([f"FAILED: {member.failure}"] if member.failure else [])):
            out.print(f"  {escape(member.name)}{version}: {escape(text)}", soft_wrap=True)
    out.print(f"SAMPLED {found.compared} elements held against each other")
    _print_classes(out, "by final outputs", found.outputs, found.output_witnesses)
    _print_classes(out, "by every tensor shown", found.tensors, found.tensor_witnesses)
