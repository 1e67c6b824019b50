"""Checks a batch-norm certificate, with integers and Fractions alone: python certificate_checker.py FILE."""

# f(x) = clamp(round((gamma * (acc_scale * x - mean) / sqrt(variance + epsilon) + beta) / out_scale) + zero_point) is
# proved to be g(x) = clamp(floor((multiplier * x + bias) / divisor)) at every x, no smaller shift to do.
import hashlib
import json
import sys
from fractions import Fraction
from itertools import count
from math import ceil, floor, inf, lcm
from pathlib import Path
from typing import Any

RATIONALS = ("gamma", "beta", "mean", "variance", "epsilon", "acc_scale", "out_scale")
INTEGERS = ("zero_point", "acc_min", "acc_max", "qmin", "qmax")
FORM = ("min_shift", "impossible", "multiplier_range", "multiplier", "divisor", "bias", "bias_range")
TIES = ("ties_up", "ties_down", "ties_away", "ties_toward_zero", "ties_even", "ties_odd")
DIRECTED = ("floor", "ceil", "toward_zero", "away_from_zero", "jam")  # each in the place of the tie rule it is like


class RejectedError(Exception):
    """The certificate does not prove what it says; one line tells where."""


def _demand(true: bool, place: str, found: object, expected: object) -> None:
    if not true:
        shown, wanted = (json.dumps(value, default=str)[:80] for value in (found, expected))
        raise RejectedError(f"{place}: found {shown}, expected {wanted}")


def _same(place: str, found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compares each field as JSON text, where true is not 1; a Fraction is a string there, and infinity null."""
    _demand(found.keys() == expected.keys(), f"{place} missing or unknown", sorted(found.keys() ^ expected.keys()), [])
    for name, value in expected.items():
        text = json.dumps(value, sort_keys=True, default=str).replace("-Infinity", "null").replace("Infinity", "null")
        _demand(json.dumps(found[name], sort_keys=True) == text, f"{place} {name}", found[name], value)


def _inside(low: Any, high: Any, divisor: int) -> Any:  # the first and last integer strictly between the ends * divisor
    return low if low == -inf else floor(low * divisor) + 1, high if high == inf else ceil(high * divisor) - 1


def _channel(at: str, c: Any, rounding: str) -> Any:
    """Proves a channel with the divisor it names; returns the open interval of its slopes, None if there is none."""
    p = c["parameters"]
    rationals = [Fraction(*map(int, str(p[name]).split("/"))) for name in RATIONALS]
    gamma, beta, mean, variance, epsilon, acc_scale, out_scale = rationals
    zero_point, acc_min, acc_max, qmin, qmax = integers = [int(p[name]) for name in INTEGERS]
    _same(f"{at} parameters", p, dict(zip(RATIONALS + INTEGERS, [*rationals, *integers], strict=True)))
    square, sign = variance + epsilon, -1 if gamma < 0 else 1
    legal = (
        variance >= 0 <= epsilon and square > 0 and acc_scale > 0 < out_scale and acc_min <= acc_max and qmin <= qmax
    )
    _demand(legal, f"{at} parameters", p, "variance >= 0, a sum and scales > 0, no empty range")
    # f never falls as u = sign * x rises, so thresholds say all of it. f(u) >= level means rise * u + rest is above
    # (half * step - offset) * sqrt(square), or equal. Made integers, both are compared by squares that keep the sign.
    start, end = sorted((sign * acc_min, sign * acc_max))
    terms = (abs(gamma) * acc_scale, -gamma * mean, out_scale / 2, beta)
    rise, rest, step, offset = (int(term * lcm(*(t.denominator for t in terms))) for term in terms)
    rule = (TIES + DIRECTED).index(rounding) % len(TIES)

    def reaches(u: int, level: int) -> bool:
        i = level - zero_point  # is reached from i - 1/2 on (ties) or i on; if not closed, only above i - 1/2 or i - 1
        closed = (True, False, i > 0, i <= 0, i % 2 == 0, i % 2 == 1)[rule]
        half = 2 * i - 1 if rounding in TIES else 2 * i if closed else 2 * i - 2
        left, right = rise * u + rest, half * step - offset
        order = left * abs(left) * square.denominator - right * abs(right) * square.numerator
        return level <= qmin or (level <= qmax and (order > 0 or (closed and order == 0)))

    def biases(slope: int, divisor: int) -> Any:  # the least that satisfies `lower`, the least too large for `upper`
        reached = max((level * divisor - slope * x for x, level in lower), default=-inf)
        return reached, min((level * divisor - slope * x for x, level in upper), default=inf)

    lowest, thresholds = int(c["lowest"]), [int(t) for t in c["thresholds"]]
    top, steps = lowest + len(thresholds), list(enumerate(thresholds, lowest + 1))
    _demand(reaches(start, lowest) and not reaches(start, lowest + 1), f"{at} lowest", lowest, f"f at u = {start}")
    _demand(reaches(end, top) and not reaches(end, top + 1), f"{at} last level", top, f"f at u = {end}")
    for level, t in steps:
        first = start < t <= end and reaches(t, level) and not reaches(t - 1, level)
        _demand(first, f"{at} thresholds", t, f"the first u where f(u) >= {level}")
    # The points (x, level) where g must reach the level, and where it must stay below: all of them together are f = g.
    lower = [(sign * t, level) for level, t in steps] + [(x, lowest) for x in (acc_min, acc_max) if lowest > qmin]
    upper = [(sign * (t - 1), level) for level, t in steps] + [(x, top + 1) for x in (acc_min, acc_max) if top < qmax]
    proved = {"parameters": p, "falling": gamma < 0, "lowest": lowest, "thresholds": thresholds, "conflict": None}
    if c["slope_interval"] is None:
        (u, j), (v, k), (w, m), (y, n) = points = [(int(u), int(level)) for pair in c["conflict"] for u, level in pair]
        known = {(sign * u, j), (sign * w, m)} <= {*lower} and {(sign * v, k), (sign * y, n)} <= {*upper}
        empty = known and u < v and y < w and Fraction(k - j, v - u) <= Fraction(m - n, w - y)
        _demand(empty, f"{at} conflict", c["conflict"], "two pairs that leave no slope")
        _same(at, c, proved | dict.fromkeys(FORM) | {"slope_interval": None, "conflict": [points[:2], points[2:]]})
        return None
    ends = zip(c["slope_interval"], (-inf, inf), strict=True)
    low, high = (Fraction(*map(int, str(end).split("/"))) if end else infinite for end, infinite in ends)
    for slope in (low, high):  # at an end the last bias is just lost; if infinite, +-1 / 0, none ever is
        reached, below = biases(*((1 if slope > 0 else -1, 0) if abs(slope) == inf else slope.as_integer_ratio()))
        tight = reached == below or (abs(slope) == inf and reached < below)
        _demand(tight, f"{at} slope_interval", slope, "an end of the slopes that leave a bias")
    multiplier, divisor, bias = (int(c[name]) for name in ("multiplier", "divisor", "bias"))
    first, last = _inside(low, high, divisor)
    fewest = first <= multiplier <= last and multiplier.bit_length() == sorted((first, 0, last))[1].bit_length()
    _demand(divisor > 0 and fewest, f"{at} multiplier", multiplier, f"the fewest bits in {first}..{last}")
    least, below = biases(multiplier, divisor)
    most, unit = below - 1, 2 * (bias & -bias) or 1  # only multiples of unit have more trailing zeros
    roundest = bias in (least, most) if inf in (-least, most) else most // unit * unit < least
    roundest = bias == 0 or (not least <= 0 <= most and roundest)
    _demand(least <= bias <= most and roundest, f"{at} bias", bias, f"the most trailing zeros in {least}..{most}")
    shift = next(k for k in count() if (ends := _inside(low, high, 1 << k))[0] <= ends[1])
    impossible = {"shift": shift - 1, "between": floor(min(sign * low, sign * high) * 2**shift / 2)} if shift else None
    form = (shift, impossible, (first, last), multiplier, divisor, bias, (least, most))
    _same(at, c, proved | {"slope_interval": (low, high)} | dict(zip(FORM, form, strict=True)))
    return low, high


def check(text: str) -> str:
    """What the certificate proves, in one line; RejectedError if it proves anything less."""
    at, slopes = "certificate", []
    try:
        c = json.loads(text, object_pairs_hook=lambda pairs: dict(pairs) if len(dict(pairs)) == len(pairs) else pairs)
        body = json.dumps({name: c[name] for name in c if name != "sha256"}, sort_keys=True, separators=(",", ":"))
        share, digest = ("none", "shift", "divisor").index(c["share"]), hashlib.sha256(body.encode()).hexdigest()
        for n, channel in enumerate(c["channels"]):
            at = f"channel {n}"
            slopes.append(_channel(at, channel, c["rounding"]))
        shifts, at = [channel["min_shift"] for n, channel in enumerate(c["channels"]) if slopes[n]], "certificate"
        shared = max(shifts) if shifts and share == 1 else None
        if shifts and share == 2:  # spans around 0 or without end allow every divisor, the narrowest one few
            spans = [sorted(abs(x) or Fraction(1, 1 << 33) for x in s) for s in slopes if s and s[0] * s[1] >= 0]
            ratios = sorted((b - a, *a.as_integer_ratio(), *b.as_integer_ratio()) for a, b in spans if b < inf)
            (_, p, q, r, s), end = ratios[0] if ratios else (1, 1, 1 << 33, 2, 1), min(c["shared"] or 0, 1 << 32) + 1
            few = (d for a in range(1, r * end // s + 1) for d in range(a * s // r + 1, min(-(-a * q // p), end)))
            shared = next((d for d in few if all(p * d // q + 1 < -(-r * d // s) for _, p, q, r, s in ratios)), 0)
        for n, channel in enumerate(c["channels"]):
            own = shared if share == 2 else 1 << (shared or channel["min_shift"] or 0)
            _demand(not slopes[n] or channel["divisor"] == own, f"channel {n} divisor", channel["divisor"], own)
        named = {"rounding": c["rounding"], "share": c["share"], "shared": shared, "sha256": digest, "version": 1}
        _same("certificate", c, named | {"certificate": "refq-batchnorm", "channels": [*c["channels"]] or "any"})
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise RejectedError(f"{at}: not as a certificate should be, {error!r}") from None
    total, shares = sum(len(channel["thresholds"]) for channel in c["channels"]), f"shared {c['share']} {shared}"
    return f"accepted: {len(slopes)} channels, {total} thresholds, {'nothing shared' if shared is None else shares}"


if __name__ == "__main__":
    try:
        _demand(len(sys.argv) == 2, "arguments", sys.argv[1:], "one FILE")
        print(check(Path(sys.argv[1]).read_text(encoding="utf-8")))
    except (RejectedError, OSError, ValueError) as error:
        print(f"rejected: {error}", file=sys.stderr)
        sys.exit(7)
