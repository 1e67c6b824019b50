"""The verb of `refq` for a tensor: analyze-tensor."""

from __future__ import annotations

from pathlib import Path

import click

from verify import failures
from verify.failures import FileRejectedError, NothingComparedError, UsageError
from verify.files import shown
from verify.options import checked, json_option

MOST_WIDTHS = 4


def _widths(text: str) -> list[int]:
    """2,3,4 as distinct numbers of bits, ascending as given."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() and 1 <= int(part) <= 8 for part in parts):
        raise UsageError(f"bits={text!r} is not a list of widths 1..8; write --bits 2,3,4")
    widths = [int(part) for part in parts]
    if len(set(widths)) < len(widths):
        raise UsageError(f"bits={text!r} names a width twice; drop one")
    return widths


def _check_picture(picture: str | None, file: str, widths: list[int]) -> None:
    """Refuse what cannot be drawn before anything is computed."""
    if picture is None:
        return
    if Path(picture).resolve() == Path(file).resolve():
        raise UsageError(f"picture={shown(picture)} is the input; name another file")
    if len(widths) > MOST_WIDTHS:
        raise UsageError(f"--picture draws at most {MOST_WIDTHS} widths, --bits has {len(widths)}; drop some")
    from verify.drawing import require_drawable

    require_drawable("picture", picture)


@click.command("analyze-tensor")
@click.argument("file")
@click.option("--name", help="Which array of an .npz file; may be left out where there is one.")
@click.option("--bits", default="2,3,4", show_default=True, help="Widths 1..8, with commas.")
@click.option(
    "--picture", metavar="FILE", help="Draw it, .svg or .png: the histogram and the bin edges of each method."
)
@json_option
def analyze_tensor(file: str, name: str | None, bits: str, picture: str | None, as_json: bool) -> int:
    """What each quantizer does to the weights in FILE: error, used levels and entropy, against the exact optimum.

    FILE is .npy or .npz with floats; it is read without pickle. Exit code 5: the array is empty.
    """
    widths = _widths(bits)
    _check_picture(picture, file, widths)
    from refq.quantizers.error_table import error_table
    from verify.report import console, print_json
    from verify.tensor import tensor_record
    from verify.tensor_file import read_tensor
    from verify.tensor_report import print_tensor

    found, values = read_tensor(file, name)
    if not values.size:
        raise NothingComparedError(f"{shown(file)} has shape {values.shape}; there is nothing to analyse")
    try:
        with checked():
            rows = error_table(values, widths)
    except UsageError as error:
        raise FileRejectedError(f"{shown(file)}: {str(error).removeprefix('error_table: ')}") from None
    record = tensor_record(shown(file), found, values, rows)
    print_json(record) if as_json else print_tensor(console(), record)
    if picture is not None:
        from verify.tensor_picture import draw

        draw(values, rows, record, picture)
    return failures.CONFORMS


VERBS = (analyze_tensor,)
