"""What there is: backends with their versions, ops, rules."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape

from refq import QUANTIZE_RULES, RULES, Semantics
from refq.graphs import PROFILES
from verify.backends import BACKENDS, installed_version
from verify.explain import every_rule
from verify.models import MODEL_BACKENDS, as_backend
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
    record = {"backends": backends, "ops": ops, "rules": rules, "quantize_rules": list(QUANTIZE_RULES)}
    return record | {"model_backends": _model_backends(), "profiles": _profiles()}


def _model_backends() -> list[dict[str, Any]]:
    """Those that run whole models, for trace and matrix."""
    return [
        {"name": b.name, "version": installed_version(as_backend(b)), "extra": b.extra, "formats": list(b.formats),
         "profile": b.profile, "what": b.what}
        for b in MODEL_BACKENDS.values()
    ]  # fmt: skip


def _profiles() -> list[dict[str, Any]]:
    return [{"name": p.name, "what": p.what, "ops": sorted({e.op for e in p.entries})} for p in PROFILES.values()]


def print_listing(out: Console, record: dict[str, Any]) -> None:
    """A table of each kind."""
    rows = table("backend", "installed", "ops")
    for b in record["backends"]:
        rows.add_row(b["name"], _installed(b), ", ".join(b["ops"]))
    out.print(rows, "")
    rows = table("backend of trace and matrix", "installed", "models", "profile", "what it is")
    for b in record["model_backends"]:
        rows.add_row(b["name"], _installed(b), ", ".join(b["formats"]), b["profile"], escape(b["what"]))
    out.print(rows, "")
    rows = table("profile", "ops with rules", "whose rules")
    for p in record["profiles"]:
        rows.add_row(p["name"], str(len(p["ops"])), escape(p["what"]))
    out.print(rows, "")
    rows = table("rule", "what it does", "where it is used")
    for r in record["rules"]:
        rows.add_row(r["name"], escape(r["description"]), escape(r["source"]))
    out.print(rows, "")
    out.print(f"rules of quantizing ops, each with division or reciprocal: {', '.join(record['quantize_rules'])}")


def _installed(backend: dict[str, Any]) -> str:
    missing = f"no: pip install 'refq[{backend['extra']}]'"
    return escape(backend["version"] or missing)
