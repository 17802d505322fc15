import gzip
import struct
from pathlib import Path

import pytest

from nmt.data import stores
from nmt.data.stores import find_language, open_store, same_language, unpacked_blocks, xml_elements
from nmt.errors import DataError

BODY = '<tu><tuv xml:lang="en"><seg>x{}</seg></tuv><tuv xml:lang="de-DE"><seg>y</seg></tuv></tu>'
TMX = '<?xml version="1.0" encoding="{}"?>{}<tmx version="1.4"><header srclang="en"/><body>{}</body></tmx>'
XLIFF = (
    '<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file original="a" source-language="en" '
    'target-language="de" datatype="x"><body><trans-unit id="1"><source>a</source><target>b</target></trans-unit>'
    "</body></file></xliff>"
)
XLIFF_2 = (
    '<xliff version="2.0" xmlns="urn:oasis:names:tc:xliff:document:2.0" srcLang="en" trgLang="de"><file id="f">'
    '<unit id="1"><segment><source>a</source><target>b</target></segment></unit></file></xliff>'
)
PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset={}\\n"\n\nmsgid "a"\nmsgstr "при"\n'
LAUGHS = "".join(f'<!ENTITY a{step + 1} "{f"&a{step};" * 10}">' for step in range(9))
DOCTYPES = {
    "a file": '<!DOCTYPE tmx [<!ENTITY a9 SYSTEM "file:///etc/passwd">]>',
    "an address": '<!DOCTYPE tmx [<!ENTITY a9 SYSTEM "http://localhost:1/x">]>',
    "a bomb": f'<!DOCTYPE tmx [<!ENTITY a0 "lol">{LAUGHS}]>',
    "harmless": '<!DOCTYPE tmx [<!ENTITY a9 "b">]>',
    "beside a file": '<!DOCTYPE tmx SYSTEM "tmx14.dtd" [<!ENTITY a9 "b">]>',
    "of declarations": '<!DOCTYPE tmx [<!ENTITY % a9 SYSTEM "file:///etc/passwd"> %a9;]>',
}


def tmx(*, doctype: str = "", text: str = "", encoding: str = "utf-8") -> bytes:
    return TMX.format(encoding, doctype, BODY.format(text)).encode(encoding)


def texts(path: Path, **options: str) -> list[tuple[str, str]]:
    return [(str(unit.source), str(unit.target)) for unit in open_store(path, **options).units]


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def streamed(path: Path) -> list[str]:
    return ["".join(unit.itertext()) for unit in xml_elements(unpacked_blocks(path), str(path), root="tmx", tag="tu")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-7"])
@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES)
@pytest.mark.parametrize("text", ["", "&a9;"])
def test_declared_entities_are_refused_in_whatever_encoding(
    tmp_path: Path, encoding: str, doctype: str, text: str
) -> None:
    if "%" in doctype:
        text = ""
    path = put(tmp_path, "x.tmx", tmx(doctype=doctype, text=text, encoding=encoding))
    wanted = r"x\.tmx: its DOCTYPE declares the entity a\d|x\.tmx:1: broken XML \((Maximum entity ampl|.*encoding)"
    with pytest.raises(DataError, match=wanted):
        open_store(path)
    with pytest.raises(DataError, match=wanted):
        streamed(path)


def test_a_fault_in_a_block_ends_the_reading(tmp_path: Path) -> None:
    """The parser forgets some, and would take what comes then for another file."""
    broken = tmx(text="&nbsp;").partition(b"</seg>")[0]
    hidden = tmx(doctype=DOCTYPES["harmless"], text="&a9;")
    with pytest.raises(DataError, match=r"x:1: broken XML \(Entity 'nbsp' not defined\)"):
        list(xml_elements(iter([broken, hidden]), "x", root="tmx", tag="tu"))


def test_an_entity_in_an_xliff_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, "x.xlf", f"{DOCTYPES['a file'].replace('tmx', 'xliff')}{XLIFF}".encode())
    with pytest.raises(DataError, match="declares the entity a9, which may stand for anything"):
        open_store(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_a_doctype_that_names_a_file_is_let_through_and_fetches_nothing(tmp_path: Path, encoding: str) -> None:
    put(tmp_path, "tmx14.dtd", b'<!ENTITY nbsp "\xc3\xa4">')
    for system in ("tmx14.dtd", str(tmp_path / "tmx14.dtd"), "http://localhost:1/tmx14.dtd"):
        path = put(tmp_path, "x.tmx", tmx(doctype=f'<!DOCTYPE tmx SYSTEM "{system}">', encoding=encoding))
        assert texts(path) == [("x", "y")]
        assert streamed(path) == ["xy"]


@pytest.mark.parametrize("doctype", ["", '<!DOCTYPE tmx SYSTEM "tmx14.dtd">'])
def test_an_unknown_entity_is_a_fault_and_not_a_gap(tmp_path: Path, doctype: str) -> None:
    path = put(tmp_path, "x.tmx", tmx(doctype=doctype, text="&nbsp;"))
    for read in (texts, streamed):
        with pytest.raises(DataError, match=r"x\.tmx:1: (the entity &nbsp; is none of XML's own|.*'nbsp' not defined)"):
            read(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.tmx", tmx()[:-30], r"x\.tmx:1: broken XML \(.*fetch the file again if it is cut off"),
        ("x.tmx", b"", r"x\.tmx:1: broken XML"),
        ("x.tmx", b'msgid "a"', r"x\.tmx:1: broken XML"),
        ("x.tmx", XLIFF.encode(), r"x\.tmx: the outermost element is <xliff>, but <tmx> is wanted; is its suffix"),
        ("x.xlf", tmx(), r"x\.xlf: the outermost element is <tmx>, but <xliff> is wanted"),
        ("x.xlf", b"<xliff version='1.2'/>", r"x\.xlf: no <file> in it"),
        ("x.po", tmx(), r"x\.po:1: not a sound \.po file \(Syntax error on line 1"),
        ("x.po", b'msgid "a"\nmsgstr "b\n', r"x\.po:2: not a sound \.po file \(end-of-line within string"),
        ("x.po", b'msgid "a"\nmsgstr "b"\n\nmsgid "c"\n', r"x\.po: 2 msgid, but only 1 have a msgstr; is the file cut"),
        ("x.po", b'msgid "a"\nmsgid_plural "b"\nmsgstr[x] "c"\n', r"x\.po: not a sound \.po file"),
        ("x.mo", b"", r"x\.mo: not a sound \.mo file"),
        ("x.mo", b"\xde\x12\x04\x95" + b"\xff" * 24, r"x\.mo: not a sound \.mo file"),
        ("x.txt", b"", r"x\.txt: the suffix says no form that is known; name a file with \.po, \.pot, \.mo, \.xlf"),
    ],
)
def test_what_is_damaged_or_of_another_form_is_said(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_store(put(tmp_path, name, content))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.po: there is no such file"):
        open_store(tmp_path / "x.po")


@pytest.mark.parametrize("charset", ["koi8-r", "utf-8", "UTF-8", "windows-1251"])
def test_a_po_is_read_and_written_in_the_charset_of_its_header(tmp_path: Path, charset: str) -> None:
    content = PO.format(charset).encode(charset)
    store = open_store(put(tmp_path, "x.po", content))
    assert store.units[1].target == "при"
    assert bytes(store) == content


@pytest.mark.parametrize("charset", ["utf-16", "hex", "nonsense", "utf-7x"])
def test_a_charset_that_cannot_be_is_refused(tmp_path: Path, charset: str) -> None:
    with pytest.raises(DataError, match=rf"x\.po: its header says charset={charset}, which no PO file can be in"):
        open_store(put(tmp_path, "x.po", PO.format(charset).encode()))


@pytest.mark.parametrize("header", [PO.format("utf-8"), PO.format("CHARSET"), PO[PO.index('msgid "a"') :]])
def test_bytes_that_the_header_does_not_allow_for_are_told_by_their_line(tmp_path: Path, header: str) -> None:
    content = header.encode("koi8-r")
    line = content[: content.index("при".encode("koi8-r"))].count(b"\n") + 1
    with pytest.raises(DataError, match=rf"x\.po:{line}: byte 0xD0 is not utf-8 here.*write the true charset"):
        open_store(put(tmp_path, "x.po", content))


def test_a_header_without_a_charset_is_kept_as_it_is(tmp_path: Path) -> None:
    content = 'msgid ""\nmsgstr "no: such\\nthing at all"\n\nmsgid "a"\nmsgstr "ä"\n'.encode()
    store = open_store(put(tmp_path, "x.po", content))
    assert (store.units[0].target, store.units[1].target) == ("no: such\nthing at all", "ä")


def test_a_byte_order_mark_before_a_po_is_no_part_of_it(tmp_path: Path) -> None:
    assert texts(put(tmp_path, "x.po", b"\xef\xbb\xbf" + PO.format("UTF-8").encode()))[1] == ("a", "при")


def test_two_messages_may_be_the_same(tmp_path: Path) -> None:
    assert texts(put(tmp_path, "x.po", b'msgid "a"\nmsgstr "b"\n\nmsgid "a"\nmsgstr "c"\n')) == [("a", "b"), ("a", "c")]


@pytest.mark.parametrize("content", [XLIFF, XLIFF_2], ids=["1.2", "2.0"])
def test_both_versions_of_xliff_are_read(tmp_path: Path, content: str) -> None:
    for name in ("x.xlf", "X.XLIFF"):
        assert texts(put(tmp_path, name, content.encode())) == [("a", "b")]


def test_a_suffix_given_goes_over_the_files_own(tmp_path: Path) -> None:
    assert texts(put(tmp_path, "x.xml", tmx()), suffix=".tmx") == [("x", "y")]


def test_gzip_is_unpacked_and_a_bomb_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert texts(put(tmp_path, "x.tmx.gz", gzip.compress(tmx()))) == [("x", "y")]
    assert streamed(put(tmp_path, "y.tmx", gzip.compress(tmx()))) == ["xy"]
    with pytest.raises(DataError, match=r"x\.tmx\.gz: the gzip data breaks off"):
        open_store(put(tmp_path, "x.tmx.gz", gzip.compress(tmx())[:-12]))
    monkeypatch.setattr("nmt.data.lines.BOMB_FREE_BYTES", 1 << 16)
    with pytest.raises(DataError, match=r"x\.tmx\.gz: gzip data that grows over 200-fold"):
        open_store(put(tmp_path, "x.tmx.gz", gzip.compress(b" " * (1 << 20))))


def test_a_file_too_large_to_be_held_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "MAX_STORE_BYTES", 1 << 20)
    with pytest.raises(DataError, match=r"x\.po: more than 1 MiB, and all of it would have to be held; split it"):
        open_store(put(tmp_path, "x.po", b"#\n" * (1 << 20)))


def test_a_mo_whose_messages_overlap_is_refused(tmp_path: Path) -> None:
    """A thousand messages, each of which is the same kilobyte."""
    head = struct.pack("<7I", 0x950412DE, 0, 1000, 28, 28 + 8000, 0, 0)
    content = head + struct.pack("<2I", 1000, 28 + 16000) * 2000 + b"a" * 1000
    with pytest.raises(DataError, match=r"x\.mo: its messages are longer than the file; make it again with msgfmt"):
        open_store(put(tmp_path, "x.mo", content))


def test_the_languages_of_a_tmx_are_found_by_their_tags(tmp_path: Path) -> None:
    path = put(tmp_path, "x.tmx", tmx())
    assert texts(path, src_lang="de", tgt_lang="EN") == [("y", "x")]
    with pytest.raises(DataError, match=r"x\.tmx: no text in fr; there is en, de-DE: name two of these"):
        open_store(path, src_lang="fr", tgt_lang="en")


def test_elements_are_freed_as_they_go(tmp_path: Path) -> None:
    units = BODY.format("") * 50 + "<note>z</note>" * 50
    path = put(tmp_path, "x.tmx", TMX.format("utf-8", "", units).encode())
    parents = {
        id(unit.getparent()): unit.getparent()
        for unit in xml_elements(unpacked_blocks(path), "x", root="tmx", tag="tu")
    }
    (body,) = parents.values()
    assert len(body) <= 1


@pytest.mark.parametrize(
    ("wanted", "tag", "same"),
    [("de", "DE", True), ("de", "de_AT", True), ("pt-BR", "pt_br", True), ("de-DE", "de", False), ("d", "de", False)],
)
def test_a_language_is_its_variants_too(wanted: str, tag: str, same: bool) -> None:
    assert same_language(wanted, tag) is same


@pytest.mark.parametrize(
    ("wanted", "tags", "meant"),
    [
        ("de", ["en", "de-AT"], "de-AT"),
        ("de", ["de-AT", "DE"], "DE"),
        ("de", ["en", "de-DE", "de_at", "de-419"], "de-DE"),
        ("de-AT", ["de-DE", "de_at"], "de_at"),
        ("zh", ["zh-Hans", "zh"], "zh"),
        ("zh", ["en", "zh-TW"], "zh-TW"),
    ],
)
def test_of_several_regions_the_one_written_just_so_or_else_the_first_is_meant(
    wanted: str, tags: list[str], meant: str
) -> None:
    assert find_language(wanted, tags, "x") == meant


@pytest.mark.parametrize("tags", [("zh-Hans", "zh-Hant"), ("zh-CN", "zh-TW"), ("sr_RS", "sr_Latn_RS")])
def test_variants_that_differ_in_script_are_asked_for_and_the_advice_can_be_followed(
    tmp_path: Path, tags: tuple[str, str]
) -> None:
    lang = tags[0][:2]
    said = rf"x: {lang} could be any of {', '.join(tags)}; name the one that is meant or, .* put {lang} in its place"
    with pytest.raises(DataError, match=said):
        find_language(lang, list(tags), "x")
    assert find_language(tags[1], list(tags), "x") == tags[1]
    assert find_language(lang, [lang, tags[1]], "x") == lang


def test_a_tmx_of_several_regions_opens_with_the_first(tmp_path: Path) -> None:
    content = tmx().replace(b"</tu>", b'<tuv xml:lang="de-AT"><seg>z</seg></tuv></tu>')
    assert texts(put(tmp_path, "x.tmx", content), src_lang="en", tgt_lang="de") == [("x", "y")]
