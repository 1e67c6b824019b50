"""The rule that a profile gives a node, and profiles found by name."""

from __future__ import annotations

from difflib import get_close_matches

from refq.graphs.ops.records import EXACT, Op
from refq.graphs.profiles import PROFILES
from refq.graphs.profiles.records import Profile
from refq.graphs.sites import Site
from refq.labels import parse_semantics


def find_profile(profile: Profile | str) -> Profile:
    """A profile given by record or by name.

    >>> find_profile("tflm").name
    'tflm'
    """
    if isinstance(profile, Profile):
        return profile
    if not isinstance(profile, str):
        raise TypeError(f"find_profile: profile={profile!r} is not a Profile or a name; legal: {', '.join(PROFILES)}")
    if profile not in PROFILES:
        raise ValueError(f"find_profile: profile={profile!r} is unknown; legal: {', '.join(PROFILES)}")
    return PROFILES[profile]


def _written_out(rule: str) -> str:
    """A label with the parts that were left out, such as `single_up`; what is no label stays as it is."""
    try:
        return parse_semantics(rule).label
    except ValueError:
        return rule


def rule_of(profile: Profile, op: Op, site: Site) -> str:
    """The rule of a node: by its name, else the first entry whose op and tags fit, else "exact" where nothing rounds.

    ValueError where the profile has none, or one that the op does not know.
    """
    legal = op.rules(site)
    if legal == EXACT:
        return EXACT[0]
    rule = profile.nodes.get(site.node.name)
    if rule is None:
        tags = op.tags(site)
        fitting = (e.rule for e in profile.entries if e.op == op.name and tags.issuperset(e.tags.split()))
        rule = next(fitting, None)
    if rule is None:
        kind = " ".join([op.name, *sorted(op.tags(site))])
        raise ValueError(
            f"profile {profile.name} has no rule for {kind} (node {site.node.name}); choose another,"
            " or give it one in a profile of your own"
        )
    rule = rule if rule in legal else _written_out(rule)
    if rule not in legal:
        near = get_close_matches(rule, legal, 3, 0.0)
        raise ValueError(
            f"profile {profile.name}: {rule!r} is none of the {len(legal)} rules of {op.name} (node {site.node.name}); "
            f"nearest: {', '.join(near)}"
        )
    return rule
