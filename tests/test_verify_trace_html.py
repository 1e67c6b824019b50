"""The page of a trace: what stands on it, that nothing is loaded from elsewhere, that names cannot break out."""

import re
from fractions import Fraction
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from verify.trace import (
    AGREES,
    OTHER,
    Arithmetic,
    Between,
    Difference,
    Divergence,
    Field,
    Judgement,
    Layer,
    Remedy,
    Side,
    Staircase,
    Trace,
)
from verify.trace_html import _arcs, trace_page
from verify.trace_pictures import grouped, places_picture, samples_picture, staircase_picture

pytest.importorskip("jinja2", reason="pip install 'refq[plots]'")
pytest.importorskip("matplotlib", reason="pip install 'refq[plots]'")

EVIL = '<script>alert("x")</script>'
VOID = {"meta", "br", "path", "use", "rect", "link"}


def difference(shape=(1, 4, 5, 3), at=(0, 2, 3, 1)):
    counts = np.zeros(shape, np.int64)
    counts[at] = 2
    return Difference("t;" + EVIL, 300, 2, 1, 1, at, counts=counts, by_sample=np.array([0, 2, 0, 0, 0]))


def arithmetic():
    sums = np.arange(20, 30)
    steps = Staircase(sums, {"one": sums // 4, "two": (sums + 1) // 4, "three": sums // 4})
    fields = (Field("x", ((0, 1, 1), (0, 9, 2)), np.arange(5)), Field("w", ((0, 4000, 1),), None))
    return Arithmetic(fields, 25, Fraction(1, 4), Fraction(25, 4), "", Fraction(-1, 4), "5 products",
                      {6: ("one", "three"), 7: ("two",)}, (("four", "not there"),), steps)  # fmt: skip


def layer(name, reads, outputs, verdict=AGREES, differing=0):
    alone = Judgement(verdict, 300, differing, 1, ("two",), 9)
    results = (Difference(outputs[0], 300, differing),)
    return Layer(name, "conv", "CONV_2D", "int8", "one", reads, outputs, (1, 4, 5, 3), "int8", results, alone)


def side(first=True):
    layers = (layer("a", ("x",), ("1",)), layer("b" + EVIL, ("1",), ("2",), OTHER, 2), layer("c", ("1", "2"), ("3",)))
    d = Divergence("b" + EVIL, "conv", "one", difference(), 7, 6, ("two",), arithmetic())
    remedy = Remedy("tflm", {"conv": "two"}, {}, f'[rules]\n"conv" = "{EVIL}"', 900, 0)
    return Side(
        "litert" + EVIL, "2.3.0", "tflm", 5, layers, d if first else None, remedy, ("4",), ("a finding",), "late"
    )


class Checker(HTMLParser):
    """Tags close in order; no script, and nothing is loaded."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        assert tag not in ("script", "iframe", "object", "img")
        for name, value in attributes:
            assert not name.startswith("on")
            assert not (name in ("src", "href") and (value or "").startswith(("http", "//", "javascript")))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def checked(page):
    found = Checker()
    found.feed(page)
    assert found.open == []
    return found.seen


def whole():
    return trace_page(Trace("model.tflite", "tflite", 5, "seed 0", (side(),)))


@pytest.fixture(scope="module")
def page():
    return whole()


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures take most of the time of a page."""
    for name in ("places_picture", "samples_picture", "staircase_picture"):
        monkeypatch.setattr(f"verify.trace_html.{name}", lambda *_: "<svg></svg>")


def test_a_page_holds_the_whole_trace(page):
    assert EVIL not in page
    seen = checked(page)
    # the column's arcs, the staircase, the places, the samples
    assert seen.count("svg") == 5
    text = re.sub(r"<[^>]+>", " ", page)
    for words in ("model.tflite", "2 of 300", "5 products", "accumulator", "x[0:1, 0:9:2]", "a finding", "late",
                  "0.25 output steps a unit", "6.25 output steps", "-0.25 steps from a tie", "one, three",
                  "A profile that makes the model agree", "Not shown by the runtime: 4"):  # fmt: skip
        assert words in text, words


def test_names_of_a_file_cannot_break_out(undrawn):
    page = trace_page(Trace(EVIL, "tflite", 5, EVIL, (side(),)))
    assert EVIL not in page
    checked(page)


def test_two_sides_and_what_is_between_them(undrawn):
    d = Divergence("a", "conv", "one", difference(), 7, 6, ("two",), arithmetic(), ("one", "three"))
    page = trace_page(Trace("m", "tflite", 5, "seed 0", (side(False), side()), Between((difference(),), d)))
    checked(page)
    assert page.count("First divergence") == 2


def test_a_divergence_without_arithmetic(undrawn):
    d = Divergence("a", "conv", "one", Difference("t", 5, 5, note="dtype int16, expected int8"), None, None, (), None)
    page = trace_page(Trace("m", "tflite", 5, "seed 0", (side(), side(False)), Between((difference(),), d)))
    checked(page)
    assert "dtype int16, expected int8" in page


def test_the_same_trace_is_the_same_page(page):
    assert whole() == page


@pytest.mark.parametrize(
    ("shape", "at"),
    [
        ((1, 7), (0, 3)),
        ((1, 4, 5, 3), (0, 1, 1, 1)),
        ((2, 3, 4, 5), (1, 1, 1, 1)),
        ((7,), (2,)),
        ((1, 600), (0, 9)),
        ((), ()),
    ],
)
def test_places_of_every_shape_are_drawn(shape, at):
    assert places_picture(difference(shape, at), "t").startswith("<svg")


def test_pictures_of_nothing():
    assert places_picture(Difference("t", 5, 0), "t") == ""
    assert samples_picture(Difference("t", 5, 0), "t") == ""


def test_rules_that_agree_share_a_line():
    steps = arithmetic().steps
    assert [names for names, _ in grouped(steps)] == [["one", "three"], ["two"]]
    picture = staircase_picture(steps, 25, (Fraction(1, 4), Fraction(25, 4)), "t")
    assert "one and 1 more" in picture
    assert "exact real value" in picture


def test_arcs_do_not_cross_in_a_lane():
    layers = [layer(str(i), (str(i - 1), str(max(i - 3, 0)), "0"), (str(i),)) for i in range(8)]
    arcs, lanes = _arcs(layers)
    assert arcs
    for lane in range(lanes):
        spans = sorted((a["from"], a["to"]) for a in arcs if a["lane"] == lane)
        assert all(left[1] <= right[0] for left, right in pairwise(spans))


def test_channels_come_first_in_onnx(monkeypatch):
    drawn = []
    monkeypatch.setattr("verify.trace_html.places_picture", lambda d, salt, channel: drawn.append(channel) or "")
    for kind in ("onnx", "tflite"):
        trace_page(Trace("m", kind, 5, "seed 0", (side(),)))
    assert drawn == [0, 2]
