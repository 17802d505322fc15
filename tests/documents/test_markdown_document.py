import re
import time
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from toy_document import GERMAN_TO_ENGLISH, outside_markup, same, shouted

from nmt.documents.markdown import read_markdown
from nmt.errors import DataError

ROOT = Path(__file__).parents[2]
SNIPPETS = [
    "# ",
    "> ",
    "- ",
    "1. ",
    "    ",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "*",
    "**",
    "_",
    "`",
    "```\n",
    "[",
    "]",
    "(u)",
    "[r]",
    "\n\n[r]: /url\n\n",
    "![",
    "~~",
    "Hund ",
    "läuft",
    " mit",
    "| ",
    "\n|---|---|\n",
    "\\",
    "\\|",
    "  \n",
    "&amp;",
    "<b>",
    "</b>",
    "<div>\n",
    "===",
    "\n---\n",
    "\t",
    "\0",
    "\x85",
    "<x1>",
    "https://a.org/b_c",
    "<http://a.org>",
    "[^1]",
    "[ ] ",
    "7",
]
some_markdown = st.lists(st.sampled_from(SNIPPETS), max_size=30).map("".join)


def structure(text: str) -> list[tuple[str, str]]:
    """All but the words: what each token is, and where it leads."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        found.append((token.type, token.content if token.type in ("fence", "code_block", "html_block") else ""))
        for one in token.children or []:
            if one.type not in ("text", "softbreak"):
                inside = one.content if one.type in ("code_inline", "html_inline") else ""
                found.append((one.type, str(one.attrs.get("href", one.attrs.get("src", inside)))))
    return found


@given(some_markdown | st.text())
def test_the_same_texts_give_the_same_bytes(text: str) -> None:
    content = text.encode("utf-8", "replace")
    assert same(read_markdown(content, "a.md", GERMAN_TO_ENGLISH)) == content


@given(some_markdown)
def test_other_words_leave_the_structure(text: str) -> None:
    content = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    changed = outside_markup(
        read_markdown(content.encode(), "a.md", GERMAN_TO_ENGLISH), lambda words: re.sub("[a-zäü]", "o", words)
    )
    assert structure(changed.decode()) == structure(content)


HARD_WORDS = st.lists(
    st.sampled_from(["a", "*", "_b_", "[r]", "- ", "1. ", "# ", "<b>", "&amp;", "`", "|", "\\", " ", "==="])
)


@given(HARD_WORDS.map("".join).filter(lambda words: any(map(str.isalpha, words))))
def test_a_translation_makes_no_markup_of_its_own(words: str) -> None:
    source = "# Hund\n\nEin\nHund\n\n- Hund\n\n| Hund | x |\n|---|---|\n\n[r]: /url\n"
    after = outside_markup(
        read_markdown(source.encode(), "a.md", GERMAN_TO_ENGLISH), lambda text: words.strip() or text
    ).decode()
    assert structure(after) == structure(source)


def readmes() -> list[str]:
    own = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "recipes/README.md", "tools/README.md")]
    names = ("hypothesis", "pytest", "markdown-it-py", "numpy", "sentencepiece", "datasets", "pydantic")
    return [*own, *(str(metadata.metadata(name).get_payload()) for name in names)]


def test_real_files_come_back_byte_by_byte_and_keep_their_structure() -> None:
    for text in readmes():
        document = read_markdown(text.encode(), "README.md", GERMAN_TO_ENGLISH)
        assert len(document.texts) > 10
        assert same(document).decode() == text
    own = readmes()[0]
    after = outside_markup(
        read_markdown(own.encode(), "README.md", GERMAN_TO_ENGLISH), lambda words: re.sub("[a-z]", "o", words)
    )
    assert structure(after.decode()) == structure(own)


SAMPLE = """\
---
title: Hund
---
# Ein *Hund* #

Ein Hund ist **sehr
  groß** und [läuft](http://a.org/b_c "Hund") zum `Haus
am` See, [ref] und ![ein Mann](m.png) und <b>so</b> hart\x20\x20
weiter \\* &amp; https://a.org/y_z.

> - Punkt eins
>   geht weiter
>
> 1. [Hund][ref]

| Kopf | mit \\| Strich |
|---|:-:|
| `x` | Zelle |

- [ ] Aufgabe[^1]

Unter
strichen
========

```
Code
```

    auch Code

<div>Hund</div>

[ref]: http://x 'Hund'
"""


def test_blocks_are_texts_and_inline_markup_is_tags() -> None:
    document = read_markdown(SAMPLE.encode(), "a.md", GERMAN_TO_ENGLISH)
    assert document.texts == [
        "Ein <x1>Hund</x1>",
        "Ein Hund ist <x1>sehr groß</x1> und <x2>läuft</x2> zum <x3/> See, <x4>ref</x4> und <x5/> und <x6/>so<x7/>"
        " hart<x8/>weiter * & <x9/>.",
        "ein Mann",
        "Punkt eins geht weiter",
        "Hund",
        "Kopf",
        "mit | Strich",
        "Zelle",
        "Aufgabe",
        "Unter strichen",
    ]


def test_what_is_no_text_stays_and_paragraphs_are_wrapped_as_wide_as_they_were() -> None:
    after = shouted(read_markdown(SAMPLE.encode(), "a.md", GERMAN_TO_ENGLISH)).decode()
    assert structure(after) == structure(SAMPLE)
    assert 'EIN HUND IST **SEHR GROSS** UND\n[LÄUFT](http://a.org/b_c "Hund") ZUM' in after
    assert "[REF][ref]" in after
    assert "![EIN MANN](m.png)" in after
    assert "HART  \nWEITER * &" in after
    assert "> - PUNKT EINS GEHT WEITER\n>\n> 1. [HUND][ref]" in after
    assert "| KOPF | MIT \\| STRICH |\n|---|:-:|\n| `x` | ZELLE |\n\n- [ ] AUFGABE[^1]\n" in after
    assert after.startswith("---\ntitle: Hund\n---\n# EIN *HUND* #\n")
    assert after.endswith(SAMPLE[SAMPLE.index("```\nCode") :])


def test_line_ends_and_the_byte_order_mark_stay() -> None:
    content = b"\xef\xbb\xbf> Ein Hund und ein Mann und eine Frau und\r\n> gehen\r\n\r\n# Titel\r\n"
    assert shouted(read_markdown(content, "a.md", GERMAN_TO_ENGLISH)) == content.upper()


@pytest.mark.parametrize(
    ("source", "words", "expected"),
    [
        ("Hund", "- a", "\\- a"),
        ("Hund", "1. a", "1\\. a"),
        ("Hund", "2 * 3 = b", "2 * 3 = b"),
        ("Hund", "*a*", "\\*a\\*"),
        ("Hund", "snake_case", "snake_case"),
        ("Hund\nMann", "a # b", "a # b"),
        ("| Hund |\n|---|", "a | b", "| a \\| b |\n|---|"),
        ("# Hund", "a #", "# a \\#"),
    ],
)
def test_words_are_escaped_only_where_they_would_be_markup(source: str, words: str, expected: str) -> None:
    assert (
        outside_markup(read_markdown(source.encode(), "a.md", GERMAN_TO_ENGLISH), lambda _: words).decode() == expected
    )


def test_blanks_go_out_of_emphasis() -> None:
    document = read_markdown(b"Ein **Hund** da", "a.md", GERMAN_TO_ENGLISH)
    after = outside_markup(document, lambda text: {"Hund": " dog "}.get(text, text))
    assert " ".join(after.decode().split()) == "Ein **dog** da"


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(DataError, match=r"a.md:2:1: byte 0xFF is not UTF-8"):
        read_markdown(b"# a\n\xff", "a.md", GERMAN_TO_ENGLISH)


@pytest.mark.parametrize(
    "text", ["*" * 20_000, "[" * 5_000, "`a" * 20_000, "> " * 1_000 + "a", "|a" * 5_000 + "\n" + "|-" * 5_000]
)
def test_damaged_text_takes_no_longer_than_its_size(text: str) -> None:
    begin = time.process_time()
    assert same(read_markdown(text.encode(), "a.md", GERMAN_TO_ENGLISH)).decode() == text
    assert time.process_time() - begin < 3


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("Ein Hund.[^1]\n\n[^1]: Eine Note\n[^2]: Noch eine\n", 3),
        ("> [!NOTE]\n> Ein Hund\n", 1),
        (":::tip\nEin Hund\n:::\n", 1),
        ("{% include hund.md %}\nEin Hund\n", 1),
        ("Wort\n: Erklärung\n", 2),
    ],
)
def test_lines_that_others_than_commonmark_know_stay_lines(text: str, texts: int) -> None:
    document = read_markdown(text.encode(), "a.md", GERMAN_TO_ENGLISH)
    assert len(document.texts) == texts
    lines = shouted(document).decode().split("\n")
    assert len(lines) == len(text.split("\n"))
    for line, before in zip(lines, text.split("\n"), strict=True):
        if before.startswith(("{%", ":::", "> [!")):
            assert line == before


@pytest.mark.parametrize(
    "label",
    [
        '[a]: http://x.y "The Title"',
        "[ein Hund]: <m.png>",
        "[a\\]b]: /u",
        "[a]: http://x.y\n[b]: http://z 'Mann'",
        '[a]: http://x.y\n    "The Title"',
    ],
)
@pytest.mark.parametrize("before", ["[^1]: Eine Note\n[^2]: Noch eine\n", "Ein Hund\n", "- Ein Hund\n"])
def test_where_a_label_leads_stays_though_no_blank_line_stands_before_it(before: str, label: str) -> None:
    document = read_markdown(f"{before}{label}\n".encode(), "a.md", GERMAN_TO_ENGLISH)
    assert len(document.texts) == before.count("\n")
    assert shouted(document).decode() == f"{before.upper()}{label}\n"


def test_a_label_that_leads_nowhere_is_a_text_on_a_line_of_its_own() -> None:
    source = "Ein Hund\n[Hinweis]: ein Mann geht\n"
    assert shouted(read_markdown(source.encode(), "a.md", GERMAN_TO_ENGLISH)).decode() == source.upper()


@pytest.mark.parametrize("image", ["![Hund]", "![Hund][]"])
def test_what_an_image_shows_stays_where_it_is_its_label(image: str) -> None:
    source = f"Mann {image} da\n\n[Hund]: m.png\n"
    document = read_markdown(source.encode(), "a.md", GERMAN_TO_ENGLISH)
    after = outside_markup(document, lambda text: text.replace("Mann", "Frau").replace("Hund", "Katze"))
    assert after.decode() == source.replace("Mann", "Frau")


def test_what_an_image_shows_makes_no_markup() -> None:
    document = read_markdown(b"Mann ![Hund](m.png)", "a.md", GERMAN_TO_ENGLISH)
    after = outside_markup(document, lambda text: {"Hund": "a ] *b*"}.get(text, text))
    assert after == b"Mann ![a \\] \\*b\\*](m.png)"
