"""What there is: backends with their versions, ops, rules."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape

from refq import QUANTIZE_RULES, RULES, Semantics
from verify.backends import BACKENDS, installed_version
from verify.explain import every_rule
from verify.report import table
from verify.words import describe


def listing() -> dict[str, Any]:
    """`refq list --json`."""
    backends = [
        {"name": b.name, "version": installed_version(b), "extra": b.extra, "ops": list(b.ops), "what": b.what}
        for b in BACKENDS.values()
    ]
    natural: dict[str, Semantics] = {s.rule.name: s for s in every_rule(False)}
    rules = [
        {"name": name, "description": describe(natural[name]), "source": rule.source} for name, rule in RULES.items()
    ]
    ops = sorted({op for b in BACKENDS.values() for op in b.ops})
    return {"backends": backends, "ops": ops, "rules": rules, "quantize_rules": list(QUANTIZE_RULES)}


def print_listing(out: Console, record: dict[str, Any]) -> None:
    """Three tables."""
    rows = table("backend", "installed", "ops")
    for b in record["backends"]:
        missing = f"no: pip install 'refq[{b['extra']}]'"
        rows.add_row(b["name"], escape(b["version"] or missing), ", ".join(b["ops"]))
    out.print(rows, "")
    rows = table("rule", "what it does", "where it is used")
    for r in record["rules"]:
        rows.add_row(r["name"], escape(r["description"]), escape(r["source"]))
    out.print(rows, "")
    out.print(f"rules of quantizing ops, each with division or reciprocal: {', '.join(record['quantize_rules'])}")
