import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_document import GERMAN_TO_ENGLISH, outside_markup, same, shouted

from nmt.documents.document import Wanted
from nmt.documents.html import read_html
from nmt.errors import DataError

SNIPPETS = [
    "<p>",
    "</p>",
    "<b>",
    "</b>",
    "<i class='x'>",
    "</i>",
    "<br>",
    "<br/>",
    "<a href='u?a=1&b=2' title=\"Ein Hund\">",
    "</a>",
    "<code>",
    "</code>",
    "<pre>",
    "</pre>",
    "<script>",
    "</script>",
    "<!-- x > -->",
    "<!--",
    "<!DOCTYPE html>",
    "<img alt='Hund'>",
    "<span translate=no>",
    "</span>",
    "<div class='notranslate b'>",
    "</div>",
    "&amp;",
    "&nbsp;",
    "&lt;x1&gt;",
    "<x1>",
    "<",
    ">",
    '"',
    "'",
    "Ein Hund ",
    " läuft.",
    "\r\n",
    "\t",
    "\0",
    "\x85",
    "7",
    "https://a.org/b_c.",
    "<?php x ?>",
    "</",
    "<meta name=description content='Hund'>",
    "<textarea>",
    "</textarea>",
    "<input type=Button value='Hund'>",
]
some_html = st.lists(st.sampled_from(SNIPPETS), max_size=30).map("".join)
_MARKUP = re.compile(r"<[^<>]*>")


@given(some_html | st.text())
def test_the_same_texts_give_the_same_bytes(page: str) -> None:
    content = page.encode("utf-8", "replace")
    assert same(read_html(content, "a.html", GERMAN_TO_ENGLISH)) == content


@given(st.lists(st.sampled_from(["<p>", "<b>", "</b>", "<br>", "Hund ", "a &amp; b", "&lt;b&gt;", " <!-- c -->"])))
def test_other_words_leave_all_markup(parts: list[str]) -> None:
    page = "".join(parts)
    after = outside_markup(
        read_html(page.encode(), "a.html", GERMAN_TO_ENGLISH), lambda text: re.sub(r"\w", "ü", text)
    ).decode()
    assert _MARKUP.findall(after) == _MARKUP.findall(page)


def test_blocks_are_texts_and_inline_elements_are_tags() -> None:
    document = read_html(
        b"<h1>Ein <em>Hund</em></h1><ul><li>a<br>b <li><a href=x>c &amp; d</a></ul>", "a.html", GERMAN_TO_ENGLISH
    )
    assert document.texts == ["Ein <x1>Hund</x1>", "a", "b", "c & d"]
    assert shouted(document) == b"<h1>EIN <em>HUND</em></h1><ul><li>A<br>B <li><a href=x>C &amp; D</a></ul>"


@pytest.mark.parametrize(
    "kept",
    [
        "<script>var hund = '<p>Hund</p>';</script>",
        "<style>p > b { color: red }</style>",
        "<pre>Ein Hund <b>x</b></pre>",
        "<textarea>&lt;iframe src=x>Hund&lt;/iframe></textarea>",
        "<textarea><b>Hund</b></textarea>",
        "<textarea translate=no>Hund</textarea>",
        "<input value='Hund'>",
        "<input type='hidden' value='Hund'>",
        "<input type='submit' name='do' value='Hund'>",
        "<option value='Hund'>7</option>",
        "<!-- Hund > Mann --><!DOCTYPE html>",
        "<!-- Hund --!>",
        "<p><code>der <b>Hund</b> da</code></p>",
        '<div translate="no">Hund<div>Hund</div>Hund</div>',
        '<p class="a notranslate">Hund <b>Hund</b></p>',
        "<svg><text>Hund</text></svg>",
        "<SCRIPT>'<p>Hund</p>'</Script>",
        *(f"<p><{name}>hund()</{name}></p>" for name in ("code", "kbd", "samp", "var", "tt")),
        "<p>2024 &mdash; <b>7</b></p>",
        "<a href='hund' data-title='Hund' title=Hund></a>",
    ],
)
def test_what_is_no_text_is_not_touched(kept: str) -> None:
    document = read_html(f"{kept}<p>Mann</p>".encode(), "a.html", GERMAN_TO_ENGLISH)
    assert document.texts == ["Mann"]
    assert shouted(document).decode() == f"{kept}<p>MANN</p>"


@pytest.mark.parametrize(
    ("field", "texts"),
    [
        ("<textarea name='q'>\nEin Hund &amp; ein Mann\r\n\n- da</textarea>", ["Ein Hund & ein Mann", "- da"]),
        ("<input type='button' name='do' value='Hund'>", ["Hund"]),
        ('<p>Da <input type="SUBMIT" value="Hund &quot;Rex&quot;"></p>', ['Hund "Rex"', "Da"]),
        ("<input value='Ein Hund' type=reset placeholder='Mann'/>", ["Ein Hund", "Mann"]),
    ],
)
def test_what_a_form_shows_is_text(field: str, texts: list[str]) -> None:
    document = read_html(field.encode(), "a.html", GERMAN_TO_ENGLISH)
    assert sorted(document.texts) == sorted(texts)
    after = shouted(document).decode()
    again = read_html(after.encode(), "a.html", GERMAN_TO_ENGLISH)
    assert sorted(again.texts) == sorted(text.upper() for text in texts)
    assert after.lower() == field.lower()


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ("<p><code>Hund<p>Mann</p></code>", ["Hund", "Mann"]),  # its end was forgotten
        ("<p><a href=y>Hund <a id='x'/>Mann</a> da", ["<x1>Hund <x2/>Mann</x1> da"]),
    ],
)
def test_what_ends_where(page: str, texts: list[str]) -> None:
    assert list(read_html(page.encode(), "a.html", GERMAN_TO_ENGLISH).texts) == texts


def test_what_a_reader_reads_in_attributes_is_text() -> None:
    page = (
        "<meta name=\"description\" content='Ein Hund'><meta name=x content='no'>"
        "<meta property='og:title' content='Zwei'>"
        "<p>Hier <img src=a.png alt=\"der &quot;Hund&quot;\"> <input placeholder='Name' value=v"
        " aria-label='it&#39;s'></p>"
    )
    document = read_html(page.encode(), "a.html", GERMAN_TO_ENGLISH)
    assert sorted(document.texts) == sorted(["Ein Hund", "Zwei", "Hier", 'der "Hund"', "Name", "it's"])
    assert shouted(document).decode() == (
        "<meta name=\"description\" content='EIN HUND'><meta name=x content='no'>"
        "<meta property='og:title' content='ZWEI'>"
        "<p>HIER <img src=a.png alt=\"DER &quot;HUND&quot;\"> <input placeholder='NAME' value=v"
        " aria-label='IT&#39;S'></p>"
    )


@pytest.mark.parametrize("name", ["alt", "title", "placeholder", "aria-label"])
def test_each_attribute_that_is_read(name: str) -> None:
    document = read_html(f'<p {name}="Hund" x="y">7</p>'.encode(), "a.html", GERMAN_TO_ENGLISH)
    assert shouted(document).decode() == f'<p {name}="HUND" x="y">7</p>'


@pytest.mark.parametrize(
    "named",
    [
        "name=description",
        "property='og:title'",
        'property="OG:description"',
        'name="twitter:title"',
        "name=twitter:description",
    ],
)
def test_each_thing_that_is_told_of_a_page(named: str) -> None:
    document = read_html(f"<meta content='Hund' {named}>".encode(), "a.html", GERMAN_TO_ENGLISH)
    assert shouted(document).decode() == f"<meta content='HUND' {named}>"


def test_signs_are_written_as_entities_and_blanks_that_hold_stay() -> None:
    document = read_html(b"<p>a &lt; b&nbsp;&amp; caf&eacute;</p>", "a.html", GERMAN_TO_ENGLISH)
    assert document.texts == ["a < b\xa0& café"]
    assert shouted(document).decode() == "<p>A &lt; B&#160;&amp; CAFÉ</p>"  # XML knows no &nbsp;


@pytest.mark.parametrize(
    ("name", "head", "texts"),
    [("a.xhtml", "", ["Hund"]), ("a.html", "\n<?xml version='1.0'?>", ["Hund"]), ("a.html", "", [])],
)
def test_a_script_may_be_empty_in_xml(name: str, head: str, texts: list[str]) -> None:
    page = f"{head}<script src='x'/><p>Hund</p>"
    document = read_html(page.encode(), name, GERMAN_TO_ENGLISH)
    assert document.texts == texts
    assert same(document).decode() == page


def test_the_byte_order_mark_and_line_ends_stay() -> None:
    content = b"\xef\xbb\xbf<p>Ein\r\nHund</p>\r\n"
    document = read_html(content, "a.html", GERMAN_TO_ENGLISH)
    assert document.texts == ["Ein Hund"]
    assert shouted(document) == b"\xef\xbb\xbf<p>EIN HUND</p>\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b'<meta http-equiv=Content-Type content="text/html; charset=ISO-8859-1">',
        b"<?xml version='1.0' encoding='ISO-8859-1'?>",
    ],
)
def test_another_charset_is_refused_by_name_but_for_plain_ascii(head: bytes) -> None:
    page = head + b"<p>Stra\xdfe"
    with pytest.raises(DataError, match=r"a.html:1:\d+: byte 0xDF is not UTF-8 here; the page says it is iso-8859-1"):
        read_html(page, "a.html", GERMAN_TO_ENGLISH)
    plain = read_html(page.replace(b"\xdf", b"ss"), "a.html", GERMAN_TO_ENGLISH)
    assert outside_markup(plain, lambda text: text.replace("ss", "ß")).endswith(b"<p>Stra&#223;e")


@pytest.mark.parametrize(
    "page",
    [
        b"<a " * 100_000,
        b"<a x='" * 100_000,
        b"<!--" * 100_000,
        b"<code>" * 50_000 + b"x",
        b"<code><p>" * 50_000,
        b"<b>" * 30_000 + b"x" + b"</b>" * 30_000,
        b"<" * 200_000 + b">",
        b"&" * 200_000,
    ],
)
def test_a_damaged_page_takes_no_longer_than_its_size(page: bytes) -> None:
    begin = time.process_time()
    assert same(read_html(page, "a.html", GERMAN_TO_ENGLISH)) == page
    assert time.process_time() - begin < 2


def test_a_page_says_its_new_language_with_a_hyphen() -> None:
    document = read_html(b'<html lang="de">Hund', "a.html", Wanted(src_lang="de", tgt_lang="pt_BR"))
    assert shouted(document) == b'<html lang="pt-BR">HUND'


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ('<html lang="de">', '<html lang="en">'),
        ("<html class=x lang=de-AT xml:lang='de'>", "<html class=x lang=en xml:lang='en'>"),
        ('<html lang="en-GB">', '<html lang="en-GB">'),
        ("<html>", "<html>"),
        ('<p lang="fr">', '<p lang="fr">'),
    ],
)
def test_a_page_says_its_new_language_once_it_is_translated(tag: str, told: str) -> None:
    document = read_html(f"{tag}Hund".encode(), "a.html", GERMAN_TO_ENGLISH)
    assert shouted(document).decode() == f"{told}HUND"
    assert same(document).decode() == f"{tag}Hund"
