"""Fitted and analysed batch norms as text for a terminal, all of it from the records that --json prints."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from verify.batchnorm import Record
from verify.report import table

SHOWN = 16


def text(value: object) -> str:
    """A cell; a dash where there is nothing."""
    return "-" if value is None else str(value)


def bits_text(bits: Record | None) -> str:
    """Bits of multiplier, bias and sum."""
    return "-" if bits is None else f"{bits['multiplier']}/{bits['bias']}/{bits['sum']}"


def plural(count: int, word: str) -> str:
    """`1 channel`, `2 channels`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def print_fit(out: Console, record: Record) -> None:
    """One row a channel, the channels without a line in words, and a summary."""
    by = "divisor" if record["shared_divisor"] else "shift"
    names = ("multiplier", "bias", by, "min_shift", "min_divisor", "naive_min_shift")
    heads = ("multiplier", "bias", by, "min shift", "min divisor", "naive needs")
    rows = table("channel", *heads, "bits: multiplier/bias/sum")
    for place, channel in enumerate(record["channels"]):
        cells = [text(channel[name]) for name in names]
        if channel["representable"] and channel["naive_min_shift"] is None:
            cells[-1] = "more than 128"
        rows.add_row(str(place), *cells, bits_text(channel["widths"]))
    out.print(rows)
    for place, channel in enumerate(record["channels"]):
        if not channel["representable"]:
            out.print(escape(_thresholds(place, channel["thresholds"], record["rounding"])), soft_wrap=True)
    out.print(escape(_fit_summary(record)), soft_wrap=True)


def _thresholds(place: int, found: Record, rounding: str) -> str:
    side = "x" if found["sign"] > 0 else "-x"
    some = " ".join(map(str, found["thresholds"][:SHOWN]))
    more = len(found["thresholds"]) - SHOWN
    rest = f" and {more} more (--json)" if more > 0 else ""
    return (
        f"channel {place}: no multiplier and bias reproduce {rounding}, whatever the shift; "
        f"use thresholds, from code {found['lowest']} on one more at each {side} >= {some}{rest}"
    )


def _fit_summary(record: Record) -> str:
    """How many are exact, with what, and what naive rounding would get wrong at the same shift."""
    channels, naive = record["channels"], record["naive"]
    exact = sum(c["representable"] for c in channels)
    if not exact:
        return f"0 of {plural(len(channels), 'channel')} reproduced exactly"
    shift = f"shared shift {naive['shift']}" if record["shared_shift"] is not None else None
    shift = shift or (f"shared divisor {record['shared_divisor']}" if record["shared_divisor"] else None)
    shift = shift or f"each with its own shift, one for all would be {naive['shift']}"
    bits = record["widths"]
    return (
        f"{exact} of {plural(len(channels), 'channel')} reproduced exactly on every accumulator, {record['rounding']}; "
        f"{shift}; bits of multiplier {bits['multiplier']}, bias {bits['bias']}, sum {bits['sum']}; "
        f"naive rounding at shift {naive['shift']}, the smallest for all, gets {naive['channels_wrong']} of {exact} "
        "wrong"
    )


def share_text(cost: Record) -> str:
    """`23 (4.5 %)`: exact count, and its share with two digits."""
    return f"{cost['wrong']} ({100 * cost['share']:.2g} %)" if cost["wrong"] else "0"


def _needed(scheme: Record, record: Record) -> str:
    if scheme["scheme"] == "shift-BN" or record["shared_shift"] is None:
        return "-"
    if scheme["shift_needed"] is not None:
        return str(scheme["shift_needed"])
    lined = set(range(record["channels"])) - set(record["without_line"])
    never = sum(record["naive_min_shifts"][place] is None for place in lined) if scheme["scheme"] == "naive" else 0
    return "none up to 128" + (f" ({plural(never, 'channel')})" if never else "")


def _codes(cost: Record, bound: int | None) -> str:
    return text(cost["max_codes"]) + (f" (proved <= {bound})" if bound is not None else "")


def print_analysis(out: Console, record: Record) -> None:
    """One layer: a row a scheme, then what each dropped bit costs."""
    count, shared, chosen = record["channels"], record["shared_shift"], record["shift"]
    title = f"[bold]{escape(record['file'])}[/]: {plural(count, 'channel')}, {record['accumulators']} accumulators"
    out.print(f"{title}, {record['rounding']}", soft_wrap=True)
    heads = ("exact needs shift", "bits: multiplier/bias/sum", "channels exact", "accumulators wrong", "codes off")
    rows = table("scheme", "at shift", *heads)
    for scheme in record["schemes"]:
        shift = text(scheme["shift"])
        cells = [scheme["scheme"], shift, _needed(scheme, record), bits_text(scheme["bits"])]
        others = ", others by thresholds" if scheme["scheme"] == "optimal" and record["without_line"] else ""
        cost = [f"{scheme['channels_exact']} of {count}{others}", share_text(scheme), _codes(scheme, scheme["bound"])]
        rows.add_row(*cells, *(cost if scheme["bits"] else ["-"] * 3))
    out.print(rows)
    if record["without_line"]:
        places = ", ".join(map(str, record["without_line"][:SHOWN]))
        more = " ..." if len(record["without_line"]) > SHOWN else ""
        out.print(f"channel {places}{more}: no line reproduces {record['rounding']}; refq fit-bn offers thresholds")
    if shared is not None and chosen < shared:
        out.print(
            f"shift {chosen} is below {shared}, so no line is exact on all channels; optimal is shown at {shared}"
        )
    out.print("what dropped bits cost")
    rows = table("shift", "proved bound", "codes off: centred", "naive", "accumulators wrong: centred", "naive")
    for row in record["dropped_bits"]:
        pair = row["centred"], row["naive"]
        cells = [str(row["shift"]), str(row["bound"]), *(str(c["max_codes"]) for c in pair), *map(share_text, pair)]
        rows.add_row(*cells)
    out.print(rows, "")
