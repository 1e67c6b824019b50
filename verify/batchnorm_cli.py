"""The verbs of `refq` for batch norm: fit-bn, check-certificate, analyze-bn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from verify import failures
from verify.failures import FileRejectedError, UsageError
from verify.files import read_text, shown
from verify.options import checked, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refq import Rounding
    from refq.batchnorm import FixedPoint

MAX_CERTIFICATE = 1 << 30
_rounding = click.option(
    "--rounding",
    default="ties_up",
    show_default=True,
    help="Rounding rule of the target: ties_up, ties_down, ties_even, ties_odd, ties_away, ties_toward_zero, floor, "
    "ceil, toward_zero, away_from_zero, jam.",
)


def _rule(name: str) -> Rounding:
    from refq import Rounding

    rules = {rule.name.lower(): rule for rule in Rounding}
    if name not in rules:
        raise UsageError(f"rounding={name!r} is unknown; legal: {', '.join(rules)}")
    return rules[name]


def _not_an_input(name: str, output: str | None, inputs: tuple[str, ...]) -> None:
    """Refuse to write over what is read."""
    if output is not None and any(Path(output).resolve() == Path(path).resolve() for path in inputs):
        raise UsageError(f"{name}={shown(output)} is an input; name another file")


def _write(name: str, path: str, written: bytes) -> None:
    try:
        Path(path).write_bytes(written)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}={shown(path)} cannot be written: {getattr(error, 'strerror', error)}") from None


def _packed(forms: Sequence[FixedPoint]) -> bytes:
    """The bytes of an .npz file of the integers."""
    import io

    import numpy as np

    from refq.batchnorm import columns_of

    file = io.BytesIO()
    np.savez(file, **columns_of(forms))  # type: ignore[arg-type]
    return file.getvalue()


@click.command("fit-bn")
@click.argument("params")
@_rounding
@click.option("--shared-shift", is_flag=True, help="One shift for all channels, the smallest.")
@click.option("--shared-divisor", is_flag=True, help="One divisor for all, the smallest; need not be a power of two.")
@click.option("--word-bits", type=click.IntRange(min=1), help="Signed bits that multiplier, bias and sum must fit.")
@click.option("--certificate", metavar="FILE", help="Write what was proved, for refq check-certificate.")
@click.option("--output", metavar="FILE.npz", help="Write the integers as arrays multiplier bias divisor qmin qmax.")
@json_option
def fit_bn(
    params: str, rounding: str, word_bits: int | None, certificate: str | None, output: str | None, **flags: bool
) -> int:
    """Batch norm as (multiplier * x + bias) >> shift, exact on every accumulator, with the fewest bits.

    PARAMS is an .npz file of arrays gamma beta mean variance epsilon acc_scale out_scale acc_min acc_max qmin qmax
    and, if any, zero_point: one value, or one per channel. Exit code 1: some channel has no such line.
    """
    if flags["shared_shift"] and flags["shared_divisor"]:
        raise UsageError("--shared-shift and --shared-divisor exclude each other; drop one")
    _not_an_input("certificate", certificate, (params,))
    _not_an_input("output", output, (params,))
    from refq.batchnorm import Share, fit_batchnorm, require_width
    from refq.batchnorm import certificate as certified
    from verify.batchnorm import fit_record
    from verify.batchnorm_report import print_fit
    from verify.npz import read_channels
    from verify.report import console, print_json

    share = Share.SHIFT if flags["shared_shift"] else Share.DIVISOR if flags["shared_divisor"] else Share.NONE
    rule, channels = _rule(rounding), read_channels(params)
    with checked():
        layer = fit_batchnorm(channels, rule, share)
        if word_bits is not None:
            require_width(layer, word_bits)
        packed = None if output is None else _packed(layer.forms)
    if certificate is not None:
        _write("certificate", certificate, certified(layer).encode())
    if output is not None and packed is not None:
        _write("output", output, packed)
    record = fit_record(layer)
    print_json(record) if flags["as_json"] else print_fit(console(), record)
    return failures.CONFORMS if all(fit.form for fit in layer.fits) else failures.DIFFERS


@click.command("check-certificate")
@click.argument("file")
@click.option("--params", help="Besides, that it is about the channels of this .npz file, as for fit-bn.")
@json_option
def check_certificate(file: str, params: str | None, as_json: bool) -> int:
    """Accept or reject a certificate of fit-bn, with a checker that shares no code with the solver."""
    from verify.certificate_checker import RejectedError, check

    text = read_text(file, MAX_CERTIFICATE)
    try:
        proved = check(text)
    except RejectedError as error:
        raise FileRejectedError(f"{shown(file)}: {error}") from None
    if params is not None:
        _same_channels(file, text, params)
    print(json.dumps({"accepted": True, "proved": proved, "params": params}, indent=2) if as_json else proved)
    return failures.CONFORMS


def _same_channels(file: str, text: str, params: str) -> None:
    """FileRejectedError unless an accepted certificate is about the channels of the file, each in its place."""
    from refq.batchnorm.certificate import parameters
    from verify.npz import read_channels

    found = [channel["parameters"] for channel in json.loads(text)["channels"]]
    wanted = [parameters(channel) for channel in read_channels(params)]
    if len(found) != len(wanted):
        raise FileRejectedError(f"{shown(file)}: it has {len(found)} channels, {shown(params)} {len(wanted)}")
    for place, (here, there) in enumerate(zip(found, wanted, strict=True)):
        for name in there:
            if here[name] != there[name]:
                what = f"{name} of channel {place} is {here[name]}, in {shown(params)} {there[name]}"
                raise FileRejectedError(f"{shown(file)}: {what}")


def _check_picture(image: str | None, channel: int | None, counts: dict[str, int]) -> None:
    """Refuse what cannot be drawn before anything is computed."""
    if channel is not None and image is None:
        raise UsageError("--channel chooses the channel of the picture; add --image FILE")
    for path, count in counts.items():
        if channel is not None and channel >= count:
            raise UsageError(f"channel={channel} is outside 0..{count - 1} of {shown(path)}")
    if image is not None:
        from verify.drawing import require_drawable

        require_drawable("image", image)


@click.command("analyze-bn")
@click.argument("params", nargs=-1, required=True)
@_rounding
@click.option("--shift", type=click.IntRange(0, 128), help="The shift to look at; default the smallest exact one.")
@click.option("--channel", type=click.IntRange(min=0), help="The channel of the picture; default the hardest.")
@click.option("--image", metavar="FILE", help="Draw it, .svg or .png; several layers are numbered FILE-1, FILE-2, ...")
@json_option
def analyze_bn(
    params: tuple[str, ...], rounding: str, shift: int | None, channel: int | None, image: str | None, as_json: bool
) -> int:
    """What each scheme needs and gets wrong: optimal, centred, naive and shift-BN, layer by layer.

    PARAMS are .npz files as for fit-bn, one a layer. All counts are exact and over every accumulator.
    Exit code 1: some channel has no line that is exact.
    """
    from verify.batchnorm_report import print_analysis
    from verify.batchnorm_schemes import Schemes, analysis_record
    from verify.npz import read_channels
    from verify.report import console, print_json

    rule, layers = _rule(rounding), [read_channels(path) for path in params]
    _not_an_input("image", image, params)
    _check_picture(image, channel, {path: len(channels) for path, channels in zip(params, layers, strict=True)})
    records: list[dict[str, Any]] = []
    for number, (path, channels) in enumerate(zip(params, layers, strict=True), 1):
        with checked():
            schemes = Schemes(channels, rule)
            records.append(analysis_record(schemes, shown(path), shift))
        if not as_json:
            print_analysis(console(), records[-1])
        if image is not None:
            from verify.batchnorm_picture import draw

            draw(schemes, records[-1], channel, numbered(image, number if len(params) > 1 else None))
    if as_json:
        print_json({"layers": records})
    return failures.DIFFERS if any(record["without_line"] for record in records) else failures.CONFORMS


def numbered(image: str, number: int | None) -> str:
    """The file of one of several pictures: FILE-1.svg; FILE itself where there is one."""
    path = Path(image)
    return image if number is None else str(path.with_name(f"{path.stem}-{number}{path.suffix}"))


VERBS = (fit_bn, check_certificate, analyze_bn)
