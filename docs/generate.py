"""Rewrite the tables of docs/rules.md from the catalogue; with --check, exit 1 if they are stale.

Each table stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->`; the rest of the page is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from refq import IDENTITIES, RULES, RUNTIMES, Rule, Split

PAGE = Path(__file__).with_name("rules.md")


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


def generated(page: str) -> str:
    """The page with every table made again."""
    for name, text in (("rules", rules()), ("runtimes", runtimes()), ("identities", identities())):
        begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"generate: {PAGE.name} must hold {begin} and {end} once each")
        between = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        block = f"{begin}\n{text}\n{end}"
        page = between.sub(lambda _, block=block: block, page)  # type: ignore[misc]
    return page


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; the exit code."""
    if arguments not in ([], ["--check"]):
        print(f"generate: arguments={arguments} are unknown; pass --check or nothing", file=sys.stderr)
        return 4
    page = PAGE.read_text(encoding="utf-8")
    fresh = generated(page)
    if arguments and fresh != page:
        print(f"generate: {PAGE.name} is stale; run python docs/generate.py", file=sys.stderr)
        return 1
    if not arguments:
        PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
