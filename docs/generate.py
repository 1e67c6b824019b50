"""Rewrite the tables of rules.md, identify.md and profiles.md from the code; with --check, exit 1 if they are stale.

Each table stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->`; the rest of a page is written by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from refq import IDENTITIES, INT8, RULES, RUNTIMES, Rule, Split
from refq.graphs import OPS, PROFILES
from verify.cases import Case, quantize_cases, requantize_cases


def _table(headings: str, rows: Iterable[Iterable[object]]) -> str:
    columns = headings.split("|")
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _roundings(rule: Rule) -> str:
    last = rule.rounding.name.lower()
    if rule.split != Split.SINGLE:
        return f"{rule.high_rounding.name.lower()}, {last}"
    return f"{last}, nudged" if rule.nudge else last


def rules() -> str:
    """One row a rule."""
    headings = "rule|arithmetic|derivation|split|roundings|acc bits|result bits|clamp|source"
    rows = (
        (
            f"`{r.name}`",
            r.arithmetic,
            r.derivation,
            r.split,
            _roundings(r),
            r.acc_bits,
            r.result_bits,
            r.clamp,
            r.source,
        )
        for r in RULES.values()
    )
    return _table(headings, rows)


def runtimes() -> str:
    """One row an op of a runtime in a mode."""
    headings = "runtime|versions|op|mode|semantics|evidence|source"
    rows = ((r.runtime, r.versions, r.op, r.mode, f"`{r.semantics}`", r.evidence, r.source) for r in RUNTIMES)
    return _table(headings, rows)


def identities() -> str:
    """One row a pair of rules that are the same function."""
    rows = ((f"`{rule}`", f"`{twin}`", condition) for rule, twin, condition in IDENTITIES)
    return _table("rule|equals|condition", rows)


def _cases(plan: list[Case], scale: Callable[[Case], float]) -> str:
    rows = ((c.name.removesuffix("-int8"), f"{scale(c):.7g}", c.zero_point, c.why) for c in plan)
    return _table("case|scale|zero point|why", rows)


def cases() -> str:
    """One row a case of the ops that requantize."""
    return _cases(requantize_cases((INT8,)), lambda c: c.input_scale * c.weight_scale / c.output_scale)


def reals() -> str:
    """One row a case of the ops that quantize a real number."""
    return _cases(quantize_cases((INT8,)), lambda c: c.output_scale)


def profile_names() -> str:
    """One row a profile."""
    return _table("profile|whose rules|bounds of fused activations", (
        (f"`{p.name}`", p.what, p.bounds.name.lower()) for p in PROFILES.values()
    ))  # fmt: skip


def _by_rule(op: str) -> Iterable[tuple[str, ...]]:
    """One row a rule and kind of node: who follows it, and how that is known."""
    found: dict[tuple[str, str], list[str]] = {}
    for profile in PROFILES.values():
        for place, entry in enumerate(e for e in profile.entries if e.op == op):
            found.setdefault((entry.tags, entry.rule), []).append(f"{profile.name} ({place + 1}, {entry.evidence})")
    for (tags, rule), who in found.items():
        yield tags or "any", f"`{rule}`", ", ".join(who)


def profile_entries() -> str:
    """A table an op that rounds."""
    rounding = [op for op in OPS if any(e.op == op for p in PROFILES.values() for e in p.entries)]
    parts = [f"### {op}\n\n{_table('nodes with|rule|profiles', _by_rule(op))}" for op in sorted(rounding)]
    return "\n\n".join(parts)


def ops() -> str:
    """One row an op."""
    rows = ((f"`{op.name}`", op.what, "; ".join(f"{k}: {v}" for k, v in op.attributes.items())) for op in OPS.values())
    return _table("op|what|attributes", rows)


PAGES: dict[str, tuple[Callable[[], str], ...]] = {
    "rules.md": (rules, runtimes, identities),
    "identify.md": (cases, reals),
    "profiles.md": (profile_names, profile_entries, ops),
}


def generated(name: str, page: str) -> str:
    """The page with every table made again."""
    for make in PAGES[name]:
        begin, end = f"<!-- begin: {make.__name__} -->", f"<!-- end: {make.__name__} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"generate: {name} must hold {begin} and {end} once each")
        head, rest = page.split(begin)
        page = f"{head}{begin}\n{make()}\n{end}{rest.split(end)[1]}"
    return page


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them; the exit code."""
    if arguments not in ([], ["--check"]):
        print(f"generate: arguments={arguments} are unknown; pass --check or nothing", file=sys.stderr)
        return 4
    stale = 0
    for name in PAGES:
        path = Path(__file__).with_name(name)
        page = path.read_text(encoding="utf-8")
        fresh = generated(name, page)
        if arguments and fresh != page:
            print(f"generate: {name} is stale; run python docs/generate.py", file=sys.stderr)
            stale = 1
        elif fresh != page:
            path.write_text(fresh, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
