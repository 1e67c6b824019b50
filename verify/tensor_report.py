"""The error analysis of a tensor as text for a terminal, all of it from the record that --json prints."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from verify.report import table
from verify.tensor import Record

HEADS = (
    "bits", "method", "mean squared error", "by optimum", "grid", "best scale", "maximum error", "levels", "entropy"
)  # fmt: skip


def _cells(row: Record) -> list[str]:
    ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3f}"
    return [
        str(row["bits"]), row["method"], f"{row['mean_squared_error']:.6g}", ratio, row["grid"],
        f"{row['rescaled_mean_squared_error']:.6g}", f"{row['maximum_error']:.6g}",
        f"{row['used_levels']}/{row['levels']}", f"{row['entropy']:.3f}",
    ]  # fmt: skip


def print_tensor(out: Console, record: Record) -> None:
    """One row a method and width; methods that refused below."""
    name = f": {record['name']}" if record["name"] else ""
    shape = "x".join(map(str, record["shape"])) or "one value"
    spread = f"{record['minimum']:.6g}..{record['maximum']:.6g}, {record['zeros']} zeros"
    out.print(escape(f"{record['file']}{name}, {shape} {record['dtype']}, {spread}"), soft_wrap=True)
    rows = table(*HEADS)
    for row in record["rows"]:
        if not row["refused"]:
            rows.add_row(*map(escape, _cells(row)))
    out.print(rows)
    for row in record["rows"]:
        if row["refused"]:
            out.print(escape(f"{row['bits']} bits, {row['method']}: {row['refused']}"), soft_wrap=True)
    out.print("by optimum: 1 is the least mean squared error of the grid, found exactly", soft_wrap=True)
