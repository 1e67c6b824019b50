"""The ops of one backend, each asked in a fresh process; one op's failure leaves the others' verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from refq import Scaling, Semantics, parse_semantics
from verify.backends import Backend, find_backend, installed_version, load
from verify.conform import Conformance, verify_op
from verify.failures import BackendError, UsageError
from verify.identify import Progress, Verdict, clamps, identify_op
from verify.questions import check_op, is_quantizing
from verify.worker import started


@dataclass
class Campaign:
    """What was established about a backend, and which ops failed."""

    backend: Backend
    version: str | None
    done: list[Any] = field(default_factory=list)
    failed: list[tuple[str, BackendError]] = field(default_factory=list)

    def backend_record(self) -> dict[str, Any]:
        """Name and version of what was asked."""
        return {"name": self.backend.name, "version": self.version}

    def failure_records(self) -> list[dict[str, Any]]:
        """Failed ops, in the place of their verdicts."""
        return [{"op": op, "error": str(error)} for op, error in self.failed]


def _chosen(name: str, ops: tuple[str, ...]) -> tuple[Backend, tuple[str, ...]]:
    backend = find_backend(name, ops)
    unknown = [op for op in ops if op not in backend.ops]
    if unknown:
        raise UsageError(f"op={unknown[0]!r} is unknown to {name}; legal: {', '.join(backend.ops)}")
    if not backend.ops:
        raise UsageError(f"backend={name!r} does not say its ops; pass --op, for example --op CONV_2D")
    for op in ops:
        check_op(op)
    if backend.extra and installed_version(backend) is None:
        load(backend)
        raise UsageError(f"backend {name} needs {backend.distribution}; pip install 'refq[{backend.extra}]'")
    return backend, ops or backend.ops


def _run(backend: Backend, ops: tuple[str, ...], timeout: float, question: Callable[[Any, str], Any]) -> Campaign:
    campaign = Campaign(backend, installed_version(backend))
    for op in ops:
        try:
            with started(backend, timeout) as ask:
                campaign.done.append(question(ask, op))
        except BackendError as error:
            campaign.failed.append((op, error))
    return campaign


def identify_backend(name: str, ops: tuple[str, ...], timeout: float, progress: Progress) -> Campaign:
    """`done` holds one list of verdicts an op (`identify_op`)."""
    backend, chosen = _chosen(name, ops)

    def question(ask: Any, op: str) -> list[Verdict]:
        return identify_op(ask, name, op, progress)

    return _run(backend, chosen, timeout, question)


def _rule_for(text: str, ops: tuple[str, ...]) -> tuple[Semantics, tuple[str, ...]]:
    """The semantics, and the ops of its kind: division and reciprocal belong to quantizing ops."""
    words = text.split("/")
    quantizing = [op for op in ops if is_quantizing(op)]
    if (len(words) > 1 and words[1] in (Scaling.DIVISION, Scaling.RECIPROCAL)) or len(quantizing) == len(ops):
        return parse_semantics(text, quantize=True), tuple(quantizing)
    return parse_semantics(text), tuple(op for op in ops if op not in quantizing)


def verify_backend(
    name: str, rule: str, ops: tuple[str, ...], timeout: float, errors: int, progress: Progress
) -> Campaign:
    """`done` holds one Conformance an op that the rule is about."""
    backend, chosen = _chosen(name, ops)
    try:
        semantics, chosen = _rule_for(rule, chosen)
    except ValueError as error:
        raise UsageError(str(error)) from None

    # a label without a clamp order stands for either
    orders = clamps(semantics.rule) if rule.count("/") < 3 else (semantics.rule.clamp,)
    variants = [replace(semantics, rule=replace(semantics.rule, clamp=clamp)) for clamp in orders]

    def question(ask: Any, op: str) -> Conformance:
        return verify_op(ask, name, op, variants, errors, progress)

    return _run(backend, chosen, timeout, question)
