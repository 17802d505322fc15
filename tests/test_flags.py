"""Each flag is raised by a bad translation and not by a good one."""

import gzip
import os
import re
from pathlib import Path

import pytest
from toy_run import ROOT

from nmt.data.glossary import Glossary
from nmt.flags import NAMES, Limits, flags, length_ratio, usual_ratios

DATA = Path(os.environ.get("NMT_MULTI30K", ROOT.parent / "shared/data/multi30k"))
SRC = "Ein Mann mit rotem Hut steht vor dem Haus und wartet auf den Bus."
TGT = "A man in a red hat stands in front of the house and waits for the bus."


def test_a_sound_translation_has_no_flags():
    assert flags(SRC, TGT) == ()
    assert flags("", "") == flags(" \t", "Text from nowhere.") == ()
    assert flags("Ja!", "Yes, of course!") == ()


@pytest.mark.parametrize(
    ("source", "translation", "raised"),
    [
        (SRC, SRC, True),
        (SRC, "Ein Mann mit rotem Hut stands vor dem Haus und wartet auf den Bus.", True),
        (SRC, "A man mit rotem Hut steht vor the house and wartet.", False),
        ("Berlin, Paris, Rom, New York 2010", "Berlin, Paris, Rom, New York 2010", False),
        ("Hotel Taxi", "Hotel Taxi", False),
        (
            "<b>taxi</b> {name} https://www.taxi.de/ein/ort/hier",
            "<b>taxi</b> {name} https://www.taxi.de/ein/ort/hier",
            False,
        ),
        ("他去银行取钱。", "他去银行取钱。", True),
        ("他去银行取钱。", "He goes to the bank for some money.", False),
    ],
)
def test_untranslated(source, translation, raised):
    assert ("untranslated" in flags(source, translation)) == raised


@pytest.mark.parametrize(
    ("source", "translation", "raised"),
    [
        (SRC, "A man in a hat and a man in a hat and a man in a hat wait.", True),
        (SRC, "A man waits waits waits waits for the bus.", True),
        (SRC, "A man waits at the bububububububus.", True),
        (SRC, "A man waits for the bus and another man waits for the bus.", False),
        ("Nein, nein, nein, nein!", "No, no, no, no!", False),
        ("Hahahahahaha, sagt er.", "Hahahahahaha, he says.", False),
        ("Es kostet 10000000 Euro ....................", "It costs 10000000 euros ....................", False),
        ("a " * 10_000, "b " * 900, True),
    ],
)
def test_repeated(source, translation, raised):
    assert ("repeated" in flags(source, translation)) == raised


@pytest.mark.parametrize(
    ("source", "translation", "raised"),
    [
        (SRC, "A man.", True),
        (SRC, " ", True),
        ("Ja", "", True),
        ("!", "", False),
        ("Er geht.", "He is going to the station and will be back before the evening, I am sure.", True),
        ("Ja", "Yes, I do", False),
        ("他去银行取钱，然后回家吃饭。", "He goes to the bank for money, then home for dinner.", False),
    ],
)
def test_length_ratio(source, translation, raised):
    assert ("length_ratio" in flags(source, translation)) == raised


def test_limits_of_length_are_those_of_the_training_text():
    pairs = [("a" * 90, "b" * 90)] * 998 + [("a" * 90, "b" * 190), ("a" * 90, "")]
    assert usual_ratios(pairs) == pytest.approx((1 / 1.1, 1.1))
    assert usual_ratios(pairs, outside=0.0) == pytest.approx((0.0, 2.2))
    with pytest.raises(ValueError, match="no pairs"):
        usual_ratios([])
    assert length_ratio("abcdefghij", "abcdefghijklmnopqrst") == pytest.approx(1.5)
    assert "length_ratio" in flags(SRC, TGT, limits=Limits(highest_ratio=1.05))


@pytest.mark.parametrize(
    ("source", "translation", "raised"),
    [
        ("Hallo {name}, %d neue <b>E-Mails</b>", "Hello {name}, %d new <b>emails</b>", False),
        ("Hallo {name}, %d neue <b>E-Mails</b>", "Hello {Name}, %d new <b>emails</b>", True),
        ("Hallo {name}, %d neue <b>E-Mails</b>", "Hello {name}, %d new <b>emails", True),
        ("Siehe www.a.de", "See www.a.de and www.a.de", True),
        ('Ein  <a  href="x">Gru\u0308ß</a>', 'A <a href="x">greeting</a>', False),
        ("Die 2 Hunde, 1.000 Katzen", "Two dogs, 1,000 cats", False),
        ("50 % der Leute", "50% of the people", False),
    ],
)
def test_placeholders(source, translation, raised):
    assert ("placeholders" in flags(source, translation)) == raised


def test_kinds_and_spans_of_the_user():
    assert flags("Die 2 Hunde", "Two dogs here", kinds=["numbers"]) == ("placeholders",)
    assert flags("{x} hier", "here", kinds=[]) == ()
    keep = [re.compile("Frau Holle")]
    assert flags("Frau Holle ist da", "Mother Hulda is here", keep=keep) == ("placeholders",)
    assert flags("Frau Holle ist da", "Frau Holle is here", keep=keep) == ()


def test_glossary():
    terms = Glossary([("Haus", "building")]).find(SRC)
    assert flags(SRC, TGT, terms=terms) == ("glossary",)
    assert flags(SRC, TGT.replace("house", "building"), terms=terms) == ()


def test_flags_come_in_one_order():
    terms = Glossary([("Haus", "building")]).find(SRC)
    assert flags(f"{SRC} {{x}}", f"{TGT} " * 4, terms=terms) == NAMES[1:]


@pytest.mark.skipif(not (DATA / "train.de.gz").is_file(), reason="needs Multi30k; NMT_MULTI30K names its folder")
def test_few_of_peoples_translations_are_flagged():
    src, tgt = (gzip.decompress((DATA / f"train.{lang}.gz").read_bytes()).decode().split("\n") for lang in ("de", "en"))
    src, tgt = src[:5000], tgt[:5000]
    for sources, references in ((src, tgt), (tgt, src)):
        raised = [name for pair in zip(sources, references, strict=True) for name in flags(*pair)]
        assert {name: count for name in NAMES if (count := raised.count(name)) >= 0.002 * len(src)} == {}
    assert sum("untranslated" in flags(line, line) for line in src[:500]) > 450
