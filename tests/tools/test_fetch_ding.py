"""Ding's dictionary: which entries are paired, and what is left of each."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_archive import FakeArchive
from fetch_ding import line_pairs, main


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ("der Aal {m} [zool.] | die Aale {pl} :: the eel | the eels", ["der Aal = the eel", "die Aale = the eels"]),
        ("Aal blau; blauer Aal :: eel au bleu; steamed eel", ["Aal blau = eel au bleu"]),
        ("ein Satz (mit ;) hier {m} <Satze> :: a sentence [Br.] (that is; so)", ["ein Satz hier = a sentence"]),
        ("Institut für Normung /DIN/ :: institute of norms /DIN/", ["Institut für Normung = institute of norms"]),
        ("Wie geht’s (dir)? :: How are you?", ["Wie geht’s? = How are you?"]),
        ("zurück schlagen {vi} :: to hit back", ["zurück schlagen = to hit back"]),
    ],
)
def test_entries_pair_by_place_and_lose_their_marks(line: str, pairs: list[str]) -> None:
    assert [f"{german} = {english}" for _, german, english in line_pairs(line, Counter())] == pairs


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("# Version :: devel", "no entry"),
        ("ohne Englisch", "no entry"),
        ("ein Aal | zwei Aale :: an eel", "entries do not pair up"),
        ("Aalfang {m} :: eel fishing", "a single word"),
        ("noch erleben {vt} :: to experience", "a single word"),
        ("jdm. etwas geben :: to give something to him", "a pattern, or one of several forms"),
        ("gut erdulden :: to endure sth. well", "a pattern, or one of several forms"),
        ("er/sie hat gefroren :: they have been cold", "a pattern, or one of several forms"),
        ("Wenn alles gut geht, … :: If all goes well, …", "left open"),
    ],
)
def test_what_is_no_phrase_is_left_out_by_its_reason(line: str, reason: str) -> None:
    dropped: Counter[str] = Counter()
    assert list(line_pairs(line, dropped)) == []
    assert dropped == {reason: 1}


def test_forms_of_a_verb_are_left_out_but_not_its_phrases() -> None:
    german = "hin gehen {vi} | geht hin | da hin gehen | in aller Ruhe | Er geht hin."
    line = f"{german} :: to go there | goes there | to go to it | with all due calm | He goes there."
    dropped: Counter[str] = Counter()
    found = [english for _, _, english in line_pairs(line, dropped)]
    assert found == ["to go there", "to go to it", "with all due calm", "He goes there."]
    assert dropped == {"a form of the verb before it": 1}


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not on this machine")
def test_the_dictionary_is_read_from_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeArchive(tmp_path / "fake", monkeypatch)
    fake.add_package(
        "trans-de-en",
        {
            "./usr/share/trans/de-en": "# x :: y\nKeine Bange! :: No worries!\nauf Probe :: on trial\n",
            "./usr/share/doc/trans-de-en/copyright": "Format: x\nLicense: GPL-2+\n",
        },
    )
    out = tmp_path / "ding.jsonl"
    result = CliRunner().invoke(main, ["de", str(out), "--work", str(tmp_path / "work")])
    assert result.exit_code == 0, result.output
    assert [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] == [
        {"translation": {"de": "Keine Bange!", "en": "No worries!"}, "source": "ding", "part": "sentence"},
        {"translation": {"de": "auf Probe", "en": "on trial"}, "source": "ding", "part": "phrase"},
    ]
    assert "taken: trans-de-en 1:2-3" in result.output
    assert "licence: GPL-2+" in result.output


def test_another_language_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["fr", str(tmp_path / "out")])
    assert (result.exit_code, "German and English only; LANG is de" in result.output) == (1, True)
