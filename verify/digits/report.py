"""The outcomes of `refq demo digits` as text."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from verify.report import table

Record = dict[str, Any]


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _bits(record: Record) -> str:
    return " ".join(f"{layer['weight_bits']}x{layer['input_bits']}" for layer in record["layers"])


def print_outcomes(console: Console, records: list[Record]) -> None:
    """A table of accuracies and costs, a line for each comparison, and what became of float32."""
    made = table(
        "method", "float %", "quantized %", "integer %", "bits weight x input, layer by layer", "widest acc",
        "products", "multiplications", "of these requantizing", "bytes",
    )  # fmt: skip
    for record in records:
        rates = (_percent(record["accuracy"][name]) for name in ("float", "quantized", "integer"))
        counts = ("products", "multiplications", "multiplications_requantize", "parameter_bytes")
        widest = f"{record['widest_accumulator']} bits"
        made.add_row(record["method"], *rates, _bits(record), widest, *(f"{record[name]:,}" for name in counts))
    console.print(made)
    for record in records:
        _print_comparison(console, record)


def _print_comparison(console: Console, record: Record) -> None:
    wrong = [tensor for tensor in record["tensors"] if tensor["differ"]]
    console.print(
        f"{record['method']}: {record['compared']:,} integers of {record['samples']} samples compared with the exact "
        f"twin, {record['differ']:,} differ"
    )
    for tensor in wrong:
        console.print(f"  {tensor['name']}: {tensor['differ']} of {tensor['count']}, first at {tensor['first']}")
    codes = sum(layer["codes"] for layer in record["float32"])
    differ, own = (sum(layer[name] for layer in record["float32"]) for name in ("differ", "own"))
    console.print(
        f"  float32 twin: {differ} of {codes:,} codes and classes differ; {own} arise in their own layer, "
        f"{record['unexplained']} unexplained"
    )
    margins = [(layer["nearest_tie"], layer) for layer in record["float32"] if layer["nearest_tie"] is not None]
    for nearest, layer in margins:
        deviation = layer["largest_deviation"]
        console.print(f"    {layer['layer']}: off by at most {deviation:.1e} steps, nearest tie {nearest:.1e} away")
    for layer in record["float32"]:
        if layer["lost"]:
            console.print(f"    {layer['layer']}: {layer['lost']} sums or maxima are not those of its codes")
        for one in layer["differences"]:
            console.print(f"    {_explained(one)}")


def _explained(one: Record) -> str:
    exact, got = one["codes"]
    reason = "a tie" if not one["distance"] else f"{one['distance']:.1e} from one"
    return (
        f"{one['layer']}{one['place']}: accumulator {one['accumulator']} is {one['exact']:.9f} steps, {reason}, "
        f"code {exact}; float32 has {one['float32']:.9f}, code {got}"
    )
