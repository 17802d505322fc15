from pathlib import Path

import pytest

from nmt.corpora.forms import LINE_FORMS, Entry, FormRules
from nmt.corpora.forms_po import PO_FORMS
from nmt.corpora.forms_xml import XML_FORMS
from nmt.errors import DataError

FORMS = LINE_FORMS | PO_FORMS | XML_FORMS
RULES = FormRules(src_lang="de", tgt_lang="en")
BACK = FormRules(src_lang="en", tgt_lang="de")
HEADER = 'msgid ""\nmsgstr "Language: de\\nPlural-Forms: {};\\n"\n\n'
PLURAL = 'msgid "one file"\nmsgid_plural "%d files"\n'


def entries(folder: Path, name: str, content: str | bytes, rules: FormRules = BACK) -> list[Entry]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    form = "lines" if name.endswith(rules.src_lang) else Path(name).suffix[1:].replace("xlf", "xliff")
    return list(FORMS[form].read(path, rules))


def pairs(found: list[Entry]) -> list[tuple[str, str]]:
    return [(entry.src, entry.tgt) for entry in found if not entry.fault]


def faults(found: list[Entry]) -> list[tuple[str, str]]:
    return [(entry.where.rpartition("/")[2], entry.fault) for entry in found if entry.fault]


def tmx(*units: dict[str, str]) -> str:
    body = "".join(
        "<tu>" + "".join(f'<tuv xml:lang="{lang}"><seg>{text}</seg></tuv>\n' for lang, text in unit.items()) + "</tu>"
        for unit in units
    )
    return f'<tmx version="1.4"><header/><body>{body}</body></tmx>'


def xliff(units: str, *, languages: str = 'source-language="en" target-language="de"') -> str:
    return (
        '<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">'
        f'<file original="a" datatype="x" {languages}><body>{units}</body></file></xliff>'
    )


def unit(source: str, target: str, *, about: str = "", of_target: str = "") -> str:
    return f'<trans-unit id="1" {about}><source>{source}</source><target {of_target}>{target}</target></trans-unit>\n'


def test_either_side_of_a_po_may_be_the_source(tmp_path: Path) -> None:
    content = HEADER.format("") + 'msgid "file"\nmsgstr "Datei"\n'
    assert pairs(entries(tmp_path, "x.po", content, BACK)) == [("file", "Datei")]
    assert pairs(entries(tmp_path, "x.po", content, RULES)) == [("Datei", "file")]
    assert pairs(entries(tmp_path, "x.po", content.replace("de", "de_AT"), RULES)) == [("Datei", "file")]
    with pytest.raises(DataError, match=r"x\.po: says that it goes from \(not said\) to de, but en and fr are wanted"):
        entries(tmp_path, "x.po", content, FormRules(src_lang="en", tgt_lang="fr"))


@pytest.mark.parametrize("header", ["", 'msgid ""\nmsgstr "Language: \\n"\n\n', 'msgid ""\nmsgstr "garbage"\n\n'])
def test_a_po_that_names_no_language_goes_from_msgid_to_msgstr(tmp_path: Path, header: str) -> None:
    assert pairs(entries(tmp_path, "x.po", header + 'msgid "a"\nmsgstr "b"\n', RULES)) == [("a", "b")]


def test_what_is_unfinished_is_left_out_with_its_line(tmp_path: Path) -> None:
    content = 'msgid "a"\nmsgstr "b"\n\n#, fuzzy\nmsgid "c"\nmsgstr "d"\n\nmsgid "e"\nmsgstr ""\n\n'
    content += '#~ msgid "f"\n#~ msgstr "g"\n'
    found = entries(tmp_path, "x.po", content)
    assert pairs(found) == [("a", "b")]
    assert faults(found) == [("x.po:4", "fuzzy"), ("x.po:8", "untranslated"), ("x.po:11", "obsolete")]
    kept = entries(tmp_path, "x.po", content, FormRules(src_lang="en", tgt_lang="de", fuzzy=True))
    assert pairs(kept) == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize(
    ("rule", "forms", "singular"),
    [
        ("nplurals=2; plural=(n != 1)", 2, 0),
        ("nplurals=2; plural=(n > 1)", 2, 0),
        ("nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 ? 1 : 2)", 3, 0),
        ("nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 ? 3 : n%100>=11 ? 4 : 5)", 6, 1),
        ("nplurals=1; plural=0", 1, None),
        ("nplurals=2", 2, 0),
        ("nplurals=2; plural=n+", 2, 0),
        ("nplurals=2; plural=n%0", 2, 0),
        ("nplurals=2; plural=__import__('os')", 2, 0),
        (f"nplurals=2; plural={'(' * 900}n{')' * 900}", 2, 0),
    ],
)
def test_the_form_for_one_pairs_with_the_singular(tmp_path: Path, rule: str, forms: int, singular: int | None) -> None:
    targets = "".join(f'msgstr[{form}] "form {form}"\n' for form in range(forms))
    found = entries(tmp_path, "x.po", HEADER.format(rule) + PLURAL + targets)
    wanted = [("one file" if form == singular else "%d files", f"form {form}") for form in range(forms)]
    assert pairs(found) == wanted
    assert [entry.form for entry in found] == list(range(forms))


def test_a_plural_form_without_a_text_is_left_out_alone(tmp_path: Path) -> None:
    found = entries(tmp_path, "x.po", PLURAL + 'msgstr[0] "eine"\nmsgstr[1] ""\n')
    assert [(entry.fault, entry.form) for entry in found] == [("", 0), ("untranslated", 1)]


def test_context_and_places_of_a_po_are_kept(tmp_path: Path) -> None:
    content = '#: a.c:1 b.c:2\nmsgctxt "menu"\nmsgid "a"\nmsgstr "b"\n'
    assert entries(tmp_path, "x.po", content)[0].fields == {"context": "menu", "location": "a.c:1 b.c:2"}


def test_two_languages_are_taken_from_a_tmx_of_many(tmp_path: Path) -> None:
    content = tmx({"en-US": "a", "fr": "x", "DE": "b"}, {"en": "c", "fr": "d"}, {"de_at": "e", "en": "f", "pt-BR": ""})
    found = entries(tmp_path, "x.tmx", content, RULES)
    assert pairs(found) == [("b", "a"), ("e", "f")]
    assert faults(found) == [("x.tmx:4", "no text in de")]
    with pytest.raises(DataError, match=r"no text in it; there is en-US, fr, DE, en, de_at, pt-BR: name two of these"):
        entries(tmp_path, "x.tmx", content, FormRules(src_lang="it", tgt_lang="en"))


def test_of_several_regions_the_one_asked_for_or_else_the_first_of_the_file_is_taken_and_told(tmp_path: Path) -> None:
    content = tmx(
        {"en": "a", "de-AT": "1"},
        {"en": "b", "de-DE": "2", "de_at": "3", "de-419": "4"},
        {"en": "c", "de-DE": "5", "de-CH": "6"},
        {"en": "d", "de-CH": "7", "de-DE": "8", "de": "9"},
        {"en": "e", "de-CH": "10", "de-DE": "11"},
    )
    found = entries(tmp_path, "x.tmx", content)
    assert pairs(found) == [("a", "1"), ("b", "3"), ("c", "5"), ("d", "9"), ("e", "11")]
    assert [entry.chosen for entry in found] == [
        (),
        ("de-AT for de, beside de-DE, de-419",),
        ("de-DE for de, beside de-CH",),
        (),
        ("de-DE for de, beside de-CH",),
    ]
    named = entries(tmp_path, "x.tmx", content, FormRules(src_lang="en", tgt_lang="de-ch"))
    assert pairs(named) == [("c", "6"), ("d", "7"), ("e", "10")]
    assert not any(entry.chosen for entry in named)


OTHER_THAN_REGIONS = [("zh-CN", "zh-TW"), ("zh-Hans", "zh-Hant"), ("sr_RS", "sr_Latn_RS"), ("pt-BR", "pt-x-a")]


@pytest.mark.parametrize("tags", OTHER_THAN_REGIONS)
def test_variants_that_differ_in_more_than_the_region_must_be_named(tmp_path: Path, tags: tuple[str, str]) -> None:
    content = tmx({"en": "a", tags[0]: "b", tags[1]: "c"})
    lang = tags[0][:2]
    with pytest.raises(DataError, match=rf"x\.tmx:1: {lang} could be any of {', '.join(tags)}; name the one that is"):
        entries(tmp_path, "x.tmx", content, FormRules(src_lang="en", tgt_lang=lang))
    assert pairs(entries(tmp_path, "x.tmx", content, FormRules(src_lang="en", tgt_lang=tags[1]))) == [("a", "c")]


def test_languages_that_are_never_in_one_unit_are_no_fault_of_their_names(tmp_path: Path) -> None:
    found = entries(tmp_path, "x.tmx", tmx({"en-US": "a", "en-GB": "b"}, {"de-DE": "c"}))
    assert [fault for _, fault in faults(found)] == ["no text in de", "no text in en"]


def test_two_texts_in_one_language_are_no_pair(tmp_path: Path) -> None:
    content = tmx({"en": "a", "de": "b"}).replace("</tu>", '<tuv xml:lang="de"><seg>c</seg></tuv></tu>')
    assert faults(entries(tmp_path, "x.tmx", content)) == [("x.tmx:1", "several texts in de")]
    other_letters = content.replace('"de"', '"DE"', 1)
    assert faults(entries(tmp_path, "x.tmx", other_letters)) == [("x.tmx:1", "several texts in de")]


def test_the_text_of_a_tmx_keeps_what_codes_hold_and_not_its_comments(tmp_path: Path) -> None:
    content = tmx({"en": "a <ph>%s</ph><!-- no --> <hi>b</hi>&#233;<![CDATA[<]]>", "de": "x"})
    assert pairs(entries(tmp_path, "x.tmx", content)) == [("a %s bé<", "x")]


def test_old_tmx_names_languages_without_a_namespace(tmp_path: Path) -> None:
    content = tmx({"en": "a", "de": "b"}).replace("xml:lang", "lang")
    assert pairs(entries(tmp_path, "x.tmx", content)) == [("a", "b")]


def test_unfinished_units_of_an_xliff_are_left_out(tmp_path: Path) -> None:
    units = [
        unit("a", "b"),
        unit("c", "d", of_target='state="needs-review-translation"'),
        unit("e", "f", about='approved="no"'),
        unit("g", "h", about='approved="no"', of_target='state="translated"'),
        unit("i", ""),
        unit("j", "k", about='translate="no"'),
        unit("l", "m", about='restype="x-gettext-domain-header"'),
        unit("n", "o", about='approved="yes"', of_target='state="final"'),
    ]
    found = entries(tmp_path, "x.xlf", xliff("".join(units)))
    assert pairs(found) == [("a", "b"), ("g", "h"), ("n", "o")]
    assert [fault for _, fault in faults(found)] == ["fuzzy", "fuzzy", "untranslated", "not to be translated"]
    kept = entries(tmp_path, "x.xlf", xliff("".join(units)), FormRules(src_lang="en", tgt_lang="de", fuzzy=True))
    assert pairs(kept) == [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h"), ("n", "o")]


def test_either_side_of_an_xliff_may_be_the_source(tmp_path: Path) -> None:
    assert pairs(entries(tmp_path, "x.xlf", xliff(unit("a", "b")), RULES)) == [("b", "a")]
    unnamed = xliff(unit("a", "b"), languages='source-language="en"')
    assert pairs(entries(tmp_path, "x.xlf", unnamed, BACK)) == [("a", "b")]
    with pytest.raises(DataError, match="says that it goes from en to de, but fr and de are wanted"):
        entries(tmp_path, "x.xlf", xliff(unit("a", "b")), FormRules(src_lang="fr", tgt_lang="de"))


def test_an_xliff_of_both_directions_is_refused(tmp_path: Path) -> None:
    there = xliff(unit("a", "b"))
    both = there.replace(
        "</xliff>", there.partition(">")[2].replace('"en"', '"x"').replace('"de"', '"en"').replace('"x"', '"de"')
    )
    with pytest.raises(DataError, match="a <file> in it goes from en, and another into it; make them two files"):
        entries(tmp_path, "x.xlf", both)


def test_json_of_either_shape_is_read(tmp_path: Path) -> None:
    content = '{"translation": {"de": "a", "en": "b\\n"}, "x": 1}\n{"en": "c", "de": "d"}\n'
    content += '{"de": "e"}\n[]\n{"translation": 3}\n'
    found = entries(tmp_path, "x.json", content, RULES)
    assert pairs(found) == [("a", "b\n"), ("d", "c")]
    assert found[0].fields == {"x": 1}
    assert [fault for _, fault in faults(found)] == ["no text in en", "no text in de", "no text in de"]


def test_broken_json_is_told_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.json:2: not JSON"):
        entries(tmp_path, "x.json", '{"de": "a", "en": "b"}\n{"de"\n')
    with pytest.raises(DataError, match=r"x\.json:1: a JSON array of all records, but JSON lines are wanted"):
        entries(tmp_path, "x.json", '[{"de": "a", "en": "b"}]\n')
    half = '{"de": "a\\ud800", "en": "b"}\n'
    with pytest.raises(DataError, match=r"x\.json:1: half of a surrogate pair"):
        entries(tmp_path, "x.json", half, RULES)
    replaced = entries(tmp_path, "x.json", half, FormRules(src_lang="de", tgt_lang="en", errors="replace"))
    assert pairs(replaced) == [("a\ufffd", "b")]


def test_json_that_is_nested_too_deep_is_told_or_read(tmp_path: Path) -> None:
    """At some depth the parser gives what no longer can be written."""
    said = set()
    for depth in range(880, 1000):
        try:
            entries(tmp_path, "x.json", '{"de": "a", "en": "b", "x": ' + "[" * depth + "]" * depth + "}\n")
        except DataError as fault:
            said.add(str(fault).partition("x.json:1: ")[2][:8])
    assert said <= {"nested t", "not JSON"}


def test_a_tsv_of_other_columns_is_counted_or_named(tmp_path: Path) -> None:
    content = "a\tb\nc\td\te\n"
    assert faults(entries(tmp_path, "x.tsv", content)) == [("x.tsv:2", "3 tab-separated columns, but 2 are wanted")]
    named = FormRules(src_lang="de", tgt_lang="en", tsv_columns=("note", "en", "de"))
    assert pairs(entries(tmp_path, "x.tsv", content, named)) == [("e", "d")]
