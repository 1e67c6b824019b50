"""The profile that makes a model agree with a runtime: one rule an op where one does, else by kind, else by node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from refq.graphs import PROFILES, Profile, Step, prepare
from refq.graphs.choosing import rule_of
from refq.graphs.profile_files import parse_profile, profile_text
from verify.models.asking import Tensors
from verify.progress import Progress
from verify.trace import AGREES, OTHER, Layer, Remedy
from verify.trace_comparing import compare
from verify.trace_judging import reproducing
from verify.trace_walking import Walk, golden_run, worst_samples

Pair = tuple[Step, Layer]


def remedy(walk: Walk, layers: Sequence[Layer], inputs: Tensors, progress: Progress) -> Remedy | None:
    """A profile under which the golden run gives every value the runtime shows, as far as single layers tell.

    None if every layer agrees as it is, or if some layer follows no known rule.
    """
    judged = [(s, la) for s, la in zip(walk.prepared.steps, layers, strict=True) if la.alone.compared or la.alone.note]
    failing = [pair for pair in judged if pair[1].alone.verdict != AGREES]
    if not failing or any(layer.alone.verdict != OTHER for _, layer in failing):
        return None
    known = _released(walk, judged, inputs, progress)
    if known is not None:
        return known
    rules: dict[str, str] = {}
    nodes: dict[str, str] = {}
    for op in dict.fromkeys(layer.op for _, layer in failing):
        _choose(walk, [pair for pair in judged if pair[1].op == op], rules, nodes)
    base, text = _text(walk.prepared.profile, rules, nodes)
    return _verified(walk, base, rules, nodes, text, inputs, progress)


def _released(walk: Walk, judged: list[Pair], inputs: Tensors, progress: Progress) -> Remedy | None:
    """The profile of a released runtime that explains every layer, if there is one; that of this runtime goes first."""
    likely = walk.answer.backend.profile
    for profile in sorted(PROFILES.values(), key=lambda profile: profile.name != likely):
        if profile is not walk.prepared.profile and all(_explains(walk, profile, *pair) for pair in judged):
            text = profile_text(profile.name, profile.name, {}, {})
            found = _verified(walk, profile.name, {}, {}, text, inputs, progress)
            if not found.differing:
                return found
    return None


def _explains(walk: Walk, profile: Profile, step: Step, layer: Layer) -> bool:
    """Whether the rule that a profile gives a layer reproduces all of it."""
    try:
        rule = rule_of(profile, step.op, step.site)
    except ValueError:
        # that runtime has no such layer
        return False
    if layer.alone.verdict != AGREES or rule == layer.rule:
        return rule in layer.alone.rules
    return bool(_reproducing(walk, step, layer, [rule]))


def _reproducing(walk: Walk, step: Step, layer: Layer, rules: Sequence[str]) -> tuple[str, ...]:
    """Those of the rules, as far as the layer knows them, that reproduce all of it."""
    legal = [rule for rule in rules if rule in step.op.rules(step.site)]
    shown = {name: walk.answer.tensors[name] for name in layer.outputs if name in walk.answer.tensors}
    return reproducing(walk, step, shown, legal, worst_samples([], walk.samples))


def _choose(walk: Walk, pairs: list[Pair], rules: dict[str, str], nodes: dict[str, str]) -> None:
    """Rules for the sites of one op: for all, else for each kind, else for the nodes that need it."""
    by_tags: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_tags.setdefault(pair[1].tags, []).append(pair)
    named = any(step.site.node.name in walk.prepared.profile.nodes for step, _ in pairs)
    whole = None if named else _common(walk, pairs)
    if whole:
        rules[pairs[0][1].op] = whole
        return
    for tags, group in by_tags.items():
        failing = [pair for pair in group if pair[1].alone.verdict != AGREES]
        rule = None if named or not failing or not _apart(tags, by_tags) else _common(walk, group)
        if rule:
            rules[f"{group[0][1].op} {tags}".strip()] = rule
        else:
            nodes |= {layer.node: _preferred(step, layer.alone.rules) for step, layer in failing}


def _apart(tags: str, by_tags: Iterable[str]) -> bool:
    """Whether an entry with these tags fits no site of another kind."""
    return bool(tags) and not any(set(tags.split()) < set(other.split()) for other in by_tags)


def _common(walk: Walk, pairs: list[Pair]) -> str | None:
    """A rule that reproduces all of these layers."""
    failing = [layer for _, layer in pairs if layer.alone.verdict != AGREES]
    alive = [r for r in failing[0].alone.rules if all(r in layer.alone.rules for layer in failing)]
    for step, layer in pairs:
        if layer.alone.verdict == AGREES and alive:
            alive = list(_reproducing(walk, step, layer, alive))
    return _preferred(pairs[0][0], alive) if alive else None


def _preferred(step: Step, rules: Sequence[str]) -> str:
    """The first that a profile of a released runtime names for the op, else the first."""
    known = {entry.rule for profile in PROFILES.values() for entry in profile.entries if entry.op == step.op.name}
    return next((rule for rule in rules if rule in known), rules[0])


def _text(profile: Profile, rules: dict[str, str], nodes: dict[str, str]) -> tuple[str, str]:
    """The base by name and the TOML; what a profile of the user's own says is said again."""
    yours = {f"{e.op} {e.tags}".strip(): e.rule for e in profile.entries if e.evidence == "yours"}
    rest = tuple(e for e in profile.entries if e.evidence != "yours")
    base = next((name for name, known in PROFILES.items() if known.entries == rest), profile.name)
    text = profile_text(f"{base} as traced", base, {**yours, **rules}, {**profile.nodes, **nodes})
    if base in PROFILES and PROFILES[base].bounds != profile.bounds:
        text = f'bounds = "{profile.bounds.name.lower()}"\n{text}'
    return base, text


def _verified(
    walk: Walk, base: str, rules: dict[str, str], nodes: dict[str, str], text: str, inputs: Tensors,
    progress: Progress,
) -> Remedy:  # fmt: skip
    """The profile of a text, once the golden run under it was compared with everything the runtime shows."""
    prepared = prepare(walk.prepared.graph, parse_profile(text))
    golden = golden_run(prepared, inputs, walk.samples, progress, "running the profile that was found")
    shown = {name: array for name, array in walk.answer.tensors.items() if name in golden and name not in inputs}
    results = [compare(name, array, golden[name], walk.samples) for name, array in shown.items()]
    return Remedy(base, rules, nodes, text, sum(d.compared for d in results), sum(d.differing for d in results))
