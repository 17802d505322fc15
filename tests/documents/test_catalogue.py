"""gettext's catalogues: only what is untranslated changes, and gettext takes what is written.

NMT_PO names a folder of real catalogues to try as well: `pip download --no-deps django`, unzipped, as CI has it.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fakes import Fake, drop, shout

from nmt.data.stores import open_store
from nmt.documents.catalogue import DIFFERS, read_po
from nmt.documents.document import Wanted
from nmt.documents.messages import PoLines
from nmt.documents.translate import translate_document
from nmt.errors import DataError
from nmt.translator import Translation

HEADER = r"""# Someone's catalogue.
msgid ""
msgstr ""
"Project-Id-Version: x\n"
"Language: de\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

"""
PO = (
    HEADER
    + r"""#. for the user
#: a.c:1
#, c-format
msgid "open %s"
msgstr ""

# said by hand
msgctxt "menu"
msgid   "_File"
msgstr "_Datei"

#, fuzzy
#| msgid "old"
msgid "kept"
msgstr "gelassen"

#| msgid "before"
msgctxt "menu"
msgid "_Save all"
msgstr ""
#: b.c:2
msgid ""
"\n"
"two\n"
"lines\n"
msgstr ""

#, c-format
msgid "one file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""

#~ msgid "gone"
#~ msgstr ""
"""
)
FILLED = (
    PO.replace('#, c-format\nmsgid "open %s"\nmsgstr ""', '#, fuzzy, c-format\nmsgid "open %s"\nmsgstr "OPEN %s"')
    .replace('#| msgid "before"', '#, fuzzy\n#| msgid "before"')
    .replace('msgid "_Save all"\nmsgstr ""', 'msgid "_Save all"\nmsgstr "_SAVE ALL"')
    .replace('#: b.c:2\n', '#: b.c:2\n#, fuzzy\n')
    .replace('"lines\\n"\nmsgstr ""\n', '"lines\\n"\nmsgstr ""\n"\\n"\n"TWO\\n"\n"LINES\\n"\n')
    .replace('#, c-format\nmsgid "one', '#, fuzzy, c-format\nmsgid "one')
    .replace('msgstr[0] ""\nmsgstr[1] ""', 'msgstr[0] "ONE FILE"\nmsgstr[1] "%d FILES"')
)  # fmt: skip


def filled(content: str | bytes, rule: Fake | None = None, *, tgt_lang: str = "de", everything: bool = False) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    wanted = Wanted(src_lang="en", tgt_lang=tgt_lang, everything=everything)
    return translate_document(rule or Fake(shout), read_po(content, "x.po", wanted)).content


def checked(content: bytes, folder: Path) -> None:
    """gettext's own check, where it is installed."""
    if shutil.which("msgfmt"):
        (folder / "checked.po").write_bytes(content)
        command = ["msgfmt", "--check", "--output-file=/dev/null", str(folder / "checked.po")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_untranslated_is_filled_and_every_other_byte_stays(tmp_path: Path) -> None:
    assert filled(PO).decode() == FILLED
    checked(filled(PO), tmp_path)


@pytest.mark.parametrize("change", [str, lambda text: text.replace("\n", "\r\n"), lambda text: f"\ufeff{text}"])
def test_line_ends_and_byte_order_marks_stay(change) -> None:  # type: ignore[no-untyped-def]
    assert filled(change(PO)) == change(FILLED).encode()
    assert filled(change(FILLED)) == change(FILLED).encode()


def test_lost_placeholders_come_back_by_pieces() -> None:
    assert filled(PO, Fake(drop)).decode() == FILLED


def test_all_translates_anew_but_the_obsolete() -> None:
    found = filled(PO, everything=True).decode()
    assert 'msgid   "_File"\nmsgstr "_FILE"' in found
    assert '"kept"\nmsgstr "KEPT"' in found
    assert found.endswith('#~ msgid "gone"\n#~ msgstr ""\n')
    assert "# said by hand\n#, fuzzy\nmsgctxt" in found
    assert found.count("fuzzy") == 6


def test_a_message_whose_placeholders_differ_says_so() -> None:
    document = read_po(PO.encode(), "x.po", Wanted(src_lang="en", tgt_lang="de"))
    found = document.filled([Translation(text.replace("%s", "")) for text in document.texts]).decode()
    assert f'{DIFFERS}\n#. for the user\n#: a.c:1\n#, fuzzy, c-format\nmsgid "open %s"\nmsgstr "open "' in found
    assert found.count(DIFFERS) == 1
    again = read_po(found.encode(), "x.po", Wanted(src_lang="en", tgt_lang="de", everything=True))
    anew = again.filled([Translation(text.replace("%s", "")) for text in again.texts]).decode()
    assert anew.count(DIFFERS) == 1


def test_comments_that_stand_alone_are_of_no_message() -> None:
    content = f'{HEADER}# alone\n#, fuzzy\n\n#: a.c:1\nmsgid "%d"\nmsgstr ""\n'
    document = read_po(content.encode(), "x.po", Wanted(src_lang="en", tgt_lang="de"))
    found = document.filled([Translation("x")]).decode()
    assert found == content.replace("#: a", f"{DIFFERS}\n#: a").replace(
        'msgid "%d"\nmsgstr ""', '#, fuzzy\nmsgid "%d"\nmsgstr "x"'
    )


@pytest.mark.parametrize("said", ["# by hand", "#"])
def test_what_differs_is_told_behind_what_translators_said(said: str) -> None:
    content = f'{HEADER}{said}\n#: a.c:1\nmsgid "%d day"\nmsgid_plural "days"\nmsgstr[0] ""\nmsgstr[1] ""\n'
    document = read_po(content.encode(), "x.po", Wanted(src_lang="en", tgt_lang="de"))
    found = document.filled([Translation("Tag"), Translation("Tage")]).decode()  # one of the two differs
    assert f'\n{said}\n{DIFFERS}\n#: a.c:1\n#, fuzzy\nmsgid "%d day"' in found


ARABIC = "nplurals=3; plural=n==0 ? 0 : n==1 ? 1 : 2;"
RUSSIAN = "nplurals=3; plural=n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2;"


@pytest.mark.parametrize(
    ("language", "rule", "singular", "forms"),
    [
        ("de", "nplurals=2; plural=(n != 1);", "one file", ["ONE FILE", "%d FILES"]),
        ("ja", "nplurals=1; plural=0;", "one file", ["%d FILES"]),
        ("ja", "nplurals=1; plural=0;", "%d file", ["%d FILES"]),
        ("ar", ARABIC, "one file", ["%d FILES", "ONE FILE", "%d FILES"]),
        ("ru", RUSSIAN, "one file", ["%d FILES", "%d FILES", "%d FILES"]),  # or 21 would be "one file"
        ("ru", RUSSIAN, "%d file", ["%d FILE", "%d FILES", "%d FILES"]),
        ("ru", "nplurals=INTEGER; plural=EXPRESSION;", "%d file", ["%d FILE", "%d FILES", "%d FILES"]),
        ("fr", "nplurals=2; plural=(n > 1);", "one file", ["%d FILES", "%d FILES"]),  # or 0 would be "one file"
        ("xx", "", "one file", ["ONE FILE", "%d FILES"]),
    ],
)
def test_plural_forms(language: str, rule: str, singular: str, forms: list[str]) -> None:
    content = HEADER.replace("Language: de", f"Language: {language}").replace(
        '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n', f'"Plural-Forms: {rule}\\n"\n' if rule else ""
    )
    content += f'msgid "{singular}"\nmsgid_plural "%d files"\nmsgstr[0] ""\nmsgstr[1] ""\n'
    found = filled(content, tgt_lang=language).decode()
    assert re.findall(r'msgstr\[\d\] "(.*)"', found) == forms
    assert "nplurals=INTEGER" not in found


def test_a_form_that_is_there_stays() -> None:
    found = filled(HEADER + 'msgid "%d day"\nmsgid_plural "%d days"\nmsgstr[0] "%d Tag"\nmsgstr[1] ""\n').decode()
    assert found.endswith('msgstr[0] "%d Tag"\nmsgstr[1] "%d DAYS"\n')
    anew = filled(found, everything=True).decode()
    assert anew.endswith('msgstr[0] "%d DAY"\nmsgstr[1] "%d DAYS"\n')


def test_a_message_of_blanks_is_none_to_translate() -> None:
    content = HEADER + 'msgid " \\n"\nmsgstr ""\n\n'
    assert filled(content + 'msgid "a"\nmsgstr ""\n').decode() == content + '#, fuzzy\nmsgid "a"\nmsgstr "A"\n'


def test_a_template_gets_its_header_filled_and_nothing_else_in_it_changed() -> None:
    header = HEADER.replace("Language: de", "Language: ").replace("UTF-8", "CHARSET")
    found = filled(header + 'msgid "a"\nmsgstr ""\n').decode()
    assert found == HEADER + '#, fuzzy\nmsgid "a"\nmsgstr "A"\n'
    assert filled(header) == header.encode()


PLURAL = 'msgid "a"\nmsgid_plural "b"\nmsgstr[0] ""\nmsgstr[1] ""\n'


def test_a_rule_for_plural_forms_is_told_only_where_one_is_wanted_and_none_is_there() -> None:
    without = HEADER.replace('"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n', "")
    assert "Plural-Forms" not in filled(without + 'msgid "a"\nmsgstr ""\n').decode()
    assert '\n"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n' in filled(without + PLURAL).decode()
    own = HEADER.replace("plural=(n != 1)", "plural=n>1")
    assert filled(own + PLURAL).decode().startswith(own)


def test_a_header_that_ends_within_a_line_stays() -> None:
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8"\n\n'
    assert filled(header + 'msgid "a"\nmsgstr ""\n').decode() == header + '#, fuzzy\nmsgid "a"\nmsgstr "A"\n'


def test_what_marks_letters_is_seen_from_all_messages_of_the_catalogue() -> None:
    told = HEADER + 'msgid "the _id"\nmsgstr ""\n'
    assert 'msgstr "THE _ID"' in filled(told).decode()
    rule = Fake(lambda text: {"the id": "Kennung"}.get(text, text))
    assert 'msgstr "Kennung"' not in filled(told, rule).decode()
    assert 'msgstr "_Kennung"' in filled(told + '\nmsgid "_File"\nmsgstr "_Datei"\n', rule).decode()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (HEADER + 'msgid "a\nmsgstr ""\n', r"x\.po:9: 'msgid \"a' is no line of a PO file"),
        (HEADER + 'msgid "a"b"\nmsgstr ""\n', r"x\.po:9: 'msgid \"a\"b\"' is no line"),
        (HEADER + PLURAL.replace("[1]", "[2]"), r"x\.po:12: msgstr\[2\] does not stand in its order"),
        (HEADER + PLURAL.replace("[0]", "[1]", 1), r"x\.po:11: msgstr\[1\] does not stand in its order"),
        (HEADER + "what\n", r"x\.po:9: 'what' is no line"),
        (HEADER + 'msgid "a"\n', r"x\.po: the last msgid has no msgstr"),
        (HEADER + 'msgstr "a"\n', r"x\.po:9: a msgstr, but no msgid"),
        (HEADER.replace("UTF-8", "utf-16") + 'msgid "a"\nmsgstr ""\n', "charset=utf-16, which no PO file can be in"),
        (HEADER.replace("UTF-8", "ascii") + 'msgid "ä"\nmsgstr ""\n', r"x\.po:9: byte 0xC3 is not ascii"),
        (HEADER.encode("utf-16"), r"x\.po: looks like UTF-16, but UTF-8 is wanted; convert it with `iconv -f UTF-16"),
        (HEADER.replace("nplurals=2", "nplurals=9"), "nplurals=9, but languages have 1 to 6"),
        (HEADER.replace("(n != 1)", "__import__"), "Plural-Forms cannot be read: plural=__import__"),
        (HEADER.replace("Language: de", "Language: fr"), 'its header says "Language: fr"'),
    ],
)
def test_faults_say_where(content: str | bytes, told: str) -> None:
    with pytest.raises(DataError, match=told):
        filled(content)


def test_a_charset_stays_and_must_have_what_a_translation_needs() -> None:
    content = (HEADER.replace("UTF-8", "ISO-8859-1") + 'msgid "ä b"\nmsgstr ""\n').encode("latin-1")
    assert filled(content).endswith('msgstr "Ä B"\n'.encode("latin-1"))
    with pytest.raises(DataError, match="charset=ISO-8859-1, which lacks 'Ω'"):
        filled(content, Fake(lambda _: "Ω"))


def in_toolkit(path: Path) -> list[tuple[list[str], str, list[str]]]:
    units = [unit for unit in open_store(path).units if not unit.isobsolete() and not unit.isheader()]
    strings = [[list(map(str, getattr(text, "strings", [text]))) for text in (one.source, one.target)] for one in units]
    return [(src, one.getcontext(), tgt) for one, (src, tgt) in zip(units, strings, strict=True)]


def test_messages_are_those_that_the_toolkit_reads(tmp_path: Path) -> None:
    (tmp_path / "x.po").write_text(FILLED, encoding="utf-8")
    assert_same_messages(tmp_path / "x.po")


def assert_same_messages(path: Path) -> None:
    found = [message for message in PoLines(path.read_bytes(), str(path)).messages if not message.is_header]
    sources = [[text for key in ("msgid", "msgid_plural") if (text := one.text(key))] for one in found]
    contexts = [one.text("msgctxt") for one in found]
    strings = [[each.text for each in one.strings] for one in found]
    assert list(zip(sources, contexts, strings, strict=True)) == in_toolkit(path)


@pytest.mark.skipif("NMT_PO" not in os.environ, reason="NMT_PO names no folder of real catalogues")
def test_real_catalogues(tmp_path: Path) -> None:
    """Each is read as the toolkit reads it, stays as it is where nothing is open, and passes msgfmt when filled."""
    tried = 0
    for path in sorted(Path(os.environ["NMT_PO"]).rglob("*.po")):
        content = path.read_bytes()
        try:
            language = PoLines(content, str(path)).header.get("language")
        except DataError:  # Django's own tests have a broken one
            continue
        if not language:
            continue
        assert_same_messages(path)
        document = read_po(content, str(path), Wanted(src_lang="en", tgt_lang=language))
        assert document.texts or document.filled([]) == content
        checked(filled(content, tgt_lang=language, everything=True), tmp_path)
        tried += 1
    assert tried
