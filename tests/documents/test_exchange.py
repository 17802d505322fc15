"""XLIFF and TMX: a translation is added where there is none, and every other byte stays."""

import re
from io import BytesIO

import pytest
from fakes import Fake, drop, invent, reverse, shout
from translate.storage.tmx import tmxfile
from translate.storage.xliff import xlifffile
from translate.storage.xliff2 import Xliff2File

from nmt.documents.document import Wanted
from nmt.documents.formats import FORMATS
from nmt.documents.spliced import SplicedXml, text_of, xml_of
from nmt.documents.translate import translate_document
from nmt.errors import DataError

XLIFF1 = """<?xml version='1.0' encoding="UTF-8"?>
<!-- ä --><xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
 <file source-language="en-US" original='f' datatype="plaintext"><body>
  <trans-unit id="1" >
    <source>Or &lt;i&gt;it&lt;/i&gt; <g id="1">this &amp; that</g> <ph id="2">&lt;</ph>it&apos;s<x id="3"/></source>
    <note>n</note>
  </trans-unit>
  <trans-unit id="2" approved="yes"><source>done</source><target>fertig</target></trans-unit>
  <trans-unit id="3"><source>close %s</source><target state="new" xml:lang='de'/></trans-unit>
  <group translate="no"><trans-unit id="4"><source>no</source></trans-unit></group>
  <trans-unit id="5"><source>  </source></trans-unit>
 </body></file></xliff>
"""
XLIFF1_FILLED = (
    XLIFF1.replace('datatype="plaintext">', 'datatype="plaintext" target-language="de">')
    .replace(
        '<x id="3"/></source>\n',
        '<x id="3"/></source>\n    <target state="needs-review-translation" state-qualifier="mt-suggestion">OR '
        '&lt;i&gt;IT&lt;/i&gt; <g id="1">THIS &amp; THAT</g> <ph id="2">&lt;</ph>IT\'S<x id="3"/></target>\n',
    )
    .replace(
        "<target state=\"new\" xml:lang='de'/>",
        '<target xml:lang=\'de\' state="needs-review-translation" state-qualifier="mt-suggestion">CLOSE %s</target>',
    )
)
XLIFF2 = (
    '<x:xliff version="2.0" xmlns:x="urn:oasis:names:tc:xliff:document:2.0" srcLang="en"><x:file id="f"><x:unit id="1">'
    '<x:segment state="initial"><x:source>Hello <x:pc id="1">world</x:pc></x:source></x:segment>'
    "<x:ignorable><x:source>. </x:source></x:ignorable></x:unit></x:file></x:xliff>"
)
XLIFF2_FILLED = (
    XLIFF2.replace('srcLang="en">', 'srcLang="en" trgLang="de">')
    .replace(' state="initial">', ' state="translated" subState="nmt:machine">')
    .replace("</x:source></x:segment>", '</x:source><x:target>HELLO <x:pc id="1">WORLD</x:pc></x:target></x:segment>')
)
TMX = """<?xml version="1.0"?>\r
<!DOCTYPE tmx SYSTEM "tmx14.dtd">\r
<tmx version="1.4"><header srclang="en"/><body>
  <tu tuid="a">
    <tuv xml:lang="en-US"><seg>Hello <bpt i="1">&lt;b></bpt>world<ept i="1">&lt;/b></ept>&#33;</seg></tuv>
    <tuv xml:lang="fr"><seg>Bonjour</seg></tuv>
  </tu><tu><tuv xml:lang="en-US"><seg>x</seg></tuv><tuv xml:lang="de-DE"><seg>y</seg></tuv></tu></body></tmx>"""
TMX_FILLED = TMX.replace(
    "Bonjour</seg></tuv>",
    'Bonjour</seg></tuv>\n    <tuv xml:lang="de-DE" creationtool="nmt"><seg>HELLO <bpt i="1">&lt;b></bpt>WORLD'
    '<ept i="1">&lt;/b></ept>!</seg></tuv>',
)
FILES = [("xliff", XLIFF1, XLIFF1_FILLED), ("xliff", XLIFF2, XLIFF2_FILLED), ("tmx", TMX, TMX_FILLED)]
each_file = pytest.mark.parametrize(("form", "content", "wanted"), FILES, ids=["xliff1", "xliff2", "tmx"])


def filled(form: str, content: str | bytes, rule: object = shout, *, everything: bool = False) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    wanted = Wanted(src_lang="en", tgt_lang="de", everything=everything)
    return translate_document(Fake(rule), FORMATS[form](content, "x", wanted)).content  # type: ignore[arg-type]


@each_file
def test_what_is_missing_is_added_and_every_other_byte_stays(form: str, content: str, wanted: str) -> None:
    assert filled(form, content).decode() == wanted
    assert filled(form, wanted).decode() == wanted  # nothing is left to do


@each_file
@pytest.mark.parametrize("rule", [drop, reverse, invent])
def test_inline_elements_are_never_lost(form: str, content: str, wanted: str, rule: object) -> None:
    found = filled(form, content, rule).decode()
    SplicedXml(found.encode(), "x", root=form)
    for tag in set(re.findall(r"<(?:x:)?(?:g|x|ph|pc|bpt|ept)[ >][^>]*>", content)):
        assert found.count(tag) == 2 * content.count(tag)


def test_other_programs_read_what_was_written() -> None:
    of_1 = xlifffile(BytesIO(filled("xliff", XLIFF1)))
    assert [unit.target for unit in of_1.units][1:3] == ["fertig", "CLOSE %s"]
    of_2 = Xliff2File(BytesIO(filled("xliff", XLIFF2.replace("x:", "").replace(":x=", "="))))
    assert [unit.target for unit in of_2.units][:1] == ["HELLO WORLD"]
    found = tmxfile(BytesIO(filled("tmx", TMX)), sourcelanguage="fr", targetlanguage="de")
    assert found.units[0].target.startswith("HELLO ")


def test_the_languages_that_a_file_says_stay() -> None:
    found = filled("xliff", XLIFF1.replace("datatype=", 'target-language="de-AT" datatype=')).decode()
    assert found.count("target-language=") == found.count('target-language="de-AT"') == 1
    found = filled("xliff", XLIFF2.replace('srcLang="en"', 'srcLang="en" trgLang="de-AT"')).decode()
    assert found.count("trgLang=") == found.count('trgLang="de-AT"') == 1


def test_a_translation_of_blanks_is_none() -> None:
    blank = XLIFF1.replace("<target>fertig</target>", "<target>\n </target>")
    assert ">DONE</target>" in filled("xliff", blank).decode()


def test_a_target_stands_behind_the_segments_and_the_header_of_a_catalogue_has_none() -> None:
    unit = '<trans-unit id="1"><source>a</source><seg-source>a</seg-source></trans-unit>'
    header = '<trans-unit id="0" restype="x-gettext-domain-header"><source>Language: de</source></trans-unit>'
    content = f'<xliff version="1.2"><file source-language="en" target-language="de">{header}{unit}</file></xliff>'
    target = '<target state="needs-review-translation" state-qualifier="mt-suggestion">A</target>'
    assert filled("xliff", content).decode() == content.replace("</seg-source>", f"</seg-source>{target}")


@pytest.mark.parametrize("codec", ["utf-16", "iso-8859-1"])
def test_the_encoding_stays(codec: str) -> None:
    found = filled("xliff", XLIFF1.replace("UTF-8", codec).encode(codec))
    assert found == XLIFF1_FILLED.replace("UTF-8", codec).encode(codec)


def test_what_an_encoding_lacks_is_written_by_its_number() -> None:
    content = XLIFF1.replace("UTF-8", "iso-8859-1").encode("iso-8859-1")
    assert b">&#937; %s</target>" in filled("xliff", content, lambda text: text.replace("close", "Ω"))


def test_all_translates_anew() -> None:
    found = filled("xliff", XLIFF1, everything=True).decode()
    assert '<trans-unit id="2" approved="no"><source>done</source><target state="needs-review' in found
    assert ">DONE</target>" in found
    found = filled("tmx", TMX, everything=True).decode()
    assert '<tuv xml:lang="de-DE" creationtool="nmt"><seg>X</seg></tuv>' in found


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        ("<![CDATA[1 < 2 & 3]]>", "1 < 2 & 3"),
        ("it&#x27;s &#38; more", "it's & more"),
        ('<g id="1">&lt;g id="1"></g>', '<g id="1"><g id="1"></g>'),
        ('<ph id="1" equiv="a>b">{0}</ph>', '<ph id="1" equiv="a>b">{0}</ph>'),
    ],
)
def test_escapes_are_for_xml_alone(inner: str, text: str) -> None:
    assert text_of(inner) == text
    assert text_of(xml_of(text, inner)) == text


def test_a_translation_that_is_no_xml_is_not_written() -> None:
    assert xml_of("</g>x<g id='1'>", "<g id='1'>x</g>") == "<g id='1'>x</g>"
    assert xml_of("x", "<g id='1'>x</g>") == "<g id='1'>x</g>"
    assert xml_of("x\0 <b> & ]]>", "y") == "x &lt;b&gt; &amp; ]]&gt;"


@pytest.mark.parametrize(
    ("form", "content", "told"),
    [
        ("tmx", '<!DOCTYPE tmx [<!ENTITY a SYSTEM "file:///etc/passwd">]><tmx>&a;</tmx>', "declares the entity a"),
        ("tmx", '<!DOCTYPE tmx [<!ENTITY % a "b">]><tmx/>', "declares the entity a"),
        ("tmx", TMX.replace("Hello", "&nbsp;"), r"x:5: the entity &nbsp; is none of XML's own"),
        ("xliff", XLIFF1.replace("Or ", "&nbsp;"), r"x:5: broken XML \(undefined entity\)"),
        ("xliff", XLIFF1[:-40], r"x:\d+: broken XML"),
        ("xliff", TMX, "the outermost element is <tmx>, but <xliff> is wanted"),
        ("xliff", XLIFF1.replace("en-US", "fr"), "x:3: says that its source language is fr"),
        ("xliff", XLIFF2_FILLED.replace('trgLang="de"', 'trgLang="fr"'), "x:1: says that its target language is fr"),
        ("tmx", TMX.replace("en-US", "pl"), "no text in en; there is pl, fr, de-DE"),
        ("tmx", "<tmx>" + "<a>" * 300 + "</a>" * 300 + "</tmx>", "more than 200 elements within each other"),
        ("tmx", XLIFF1.replace("UTF-8", "no-such"), "not in the encoding no-such"),
    ],
)
def test_what_is_unsafe_or_broken_is_refused(form: str, content: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        filled(form, content)


def test_of_several_regions_in_a_tmx_each_unit_has_the_first_that_it_has_and_none_is_passed_over() -> None:
    unit, text = "<tu>{}</tu>", '<tuv xml:lang="{}"><seg>{}</seg></tuv>'
    rows = [
        ("en-GB a", "fr x"),
        ("en-US b", "fr x"),
        ("en-US c", "en-GB d"),
        ("en-US e", "de-AT y"),
        ("en-GB f", "de-DE z"),
    ]
    units = [unit.format("".join(text.format(*each.split()) for each in row)) for row in rows]
    found = filled("tmx", f'<tmx version="1.4"><header/><body>{"".join(units)}</body></tmx>').decode()
    assert re.findall(r'<tuv xml:lang="([\w-]+)" creationtool="nmt"><seg>(.*?)</seg>', found) == [
        ("de-AT", "A"), ("de-AT", "B"), ("de-AT", "D")
    ]  # fmt: skip
