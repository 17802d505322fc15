"""The laws of a glossary: faults by line, the longest term first, what is missed is told as often as it is."""

import gzip
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.glossary import Glossary, Term, missed
from nmt.errors import DataError

GLOSSARY = Glossary(
    [
        ("Bank", "bank"),
        ("Bank", "bench"),
        ("Bank von England", "Bank of England"),
        ("England", "England"),
        ("IT", "information technology"),
        ("it", "es"),
        ("C++", "C plus plus"),
        ("银行", "bank"),
        ("Größe", "size"),
        ("a b", "x"),
        ("b c d", "y"),
    ]
)


def found(line: str) -> list[str]:
    return [term.source for term in GLOSSARY.find(line)]


def test_a_file_of_terms(tmp_path):
    path = tmp_path / "terms.tsv"
    path.write_bytes("\ufeff# de\ten\n\n Haus \thouse\r\nHaus\thome\nHaus\thouse\n  # more\nNew  York\tNY".encode())
    assert Glossary.from_file(path).terms == [Term("Haus", ("house", "home")), Term("New York", ("NY",))]
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert Glossary.from_file(path).terms == [Term("Haus", ("house", "home")), Term("New York", ("NY",))]
    path.write_bytes(b"")
    assert Glossary.from_file(path).find("Haus") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\n\nHaus house\n", r"terms\.tsv:3: 1 columns, not 2; write the source term, one tab, the target term"),
        (b"a\tb\tc\n", r"terms\.tsv:1: 3 columns, not 2"),
        (b"a\tb\n\thouse\n", r"terms\.tsv:2: the source term is blank"),
        (b"#x\nHaus\t \n", r"terms\.tsv:2: the target term is blank; fill it in or take the line out"),
        # the whole message: its --errors replace is none of the glossary's
        (b"a\tb\nH\xe4user\thouses\n", r"terms\.tsv:2:2: byte 0xE4 is not UTF-8 here; .* if that is what it is\)$"),
        ("Haus\thouse\n".encode("utf-16"), r"terms\.tsv: looks like UTF-16, but UTF-8 is wanted"),
        (b"PK\x03\x04", r"terms\.tsv: this is a zip archive, not text"),
        (None, r"terms\.tsv: there is no such file"),
    ],
)
def test_a_fault_is_told_with_its_line(content, message, tmp_path):
    path = tmp_path / "terms.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        Glossary.from_file(path)


def test_longer_terms_go_first_and_none_overlaps():
    assert found("Die Bank von England, die Bank in England") == ["Bank von England", "Bank", "England"]
    assert found("a b c d a b") == ["b c d", "a b"]


def test_terms_are_whole_words_of_any_script():
    assert found("Banken, Sandbank, Bank-Angestellte und (Bank)_Bank") == ["Bank", "Bank"]
    assert found("C++, C++11 und C+") == ["C++", "C++"]
    assert found("他去银行取钱") == ["银行"]


def test_the_case_of_the_glossary_goes_before_any_other():
    assert found("IT it It BANK") == ["IT", "it", "IT", "Bank"]


def test_text_is_looked_at_in_its_normal_form():
    assert found("Gro\u0308ße\u00a0Bank\tvon  England") == ["Größe", "Bank von England"]


def test_missed_terms_are_told_as_often_as_they_are_missed():
    bank, england = GLOSSARY.terms[0], GLOSSARY.terms[2]
    assert bank.target == "bank"
    assert missed([bank, england], "A bank in England.") == []
    assert missed([bank, bank], "The bench at the bank.") == []
    assert missed([bank, bank], "Bank.") == [bank]
    assert missed([england, bank], "bankers of Englander") == [england, bank]
    # a longer term holds no shorter one
    both = Glossary([("NY", "New York"), ("York", "York")]).terms
    assert missed(both, "New York") == [both[1]]
    assert missed(both, "York, New York") == []


@given(st.text(alphabet="abc d+", max_size=30), st.text(alphabet="abc d+", max_size=30))
@settings(max_examples=200, deadline=None, database=None)
def test_what_is_found_stands_there_and_what_is_missed_was_found(line, translation):
    terms, no_cut = GLOSSARY.find(line), r"(?!(?<=\w)(?=\w))"
    for term in terms:
        pattern = f"{no_cut}{re.escape(term.source)}{no_cut}"
        assert re.search(pattern, " ".join(line.split()), re.IGNORECASE)
    assert Counter(missed(terms, translation)) <= Counter(terms)
    assert missed(terms, " ; ".join(term.target for term in terms)) == []


def test_a_long_line_and_a_large_glossary_take_bounded_time():
    many = Glossary((f"term {number}", "x") for number in range(20_000))
    assert len(many.find("term 7 and " * 2_000)) == 2_000
