"""The laws of spans that survive: nothing is lost by masking, whatever the text, and a symbol is one id."""

import itertools
import json
import re
from collections import Counter
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from toy_pairs import write
from toy_text import WORDS, anything, sentences

from nmt.data import corpus, encode
from nmt.data.encode import encoded
from nmt.data.placeholders import (
    SYMBOLS,
    Masked,
    PlaceholderKind,
    differences,
    find_spans,
    mask,
    mask_pair,
    portions,
    unmask,
)
from nmt.data.sampled import SampledSide
from nmt.data.tokenizer import SYMBOL_IDS, TokenizerPair, TokenizerSpec, train_tokenizers
from nmt.errors import CheckpointError, DataError
from nmt.recipe import Placeholder

KINDS = get_args(PlaceholderKind)
SPANS = ("{name}", "{0}", "{{ x }}", "${x}", "%d", "%1$s", "%(n)s", "%%", "<b>", "</b>", "<br/>", "&amp;", "3.5", "17")
SPANS += ("https://a.b/c?d=e", "me@x.org", *SYMBOLS[:3], SYMBOLS[15], "\u27e6ph16\u27e7", "\u27e6ph", "\u27e7")
JOINTS = (*WORDS, " ", " ", "", "(", "),", ".", "e\u0301", "\u0338", "\u2581")
mixed = st.lists(st.sampled_from(SPANS + JOINTS), max_size=30).map("".join)
spaced = st.lists(st.sampled_from(SPANS + JOINTS), max_size=60).map(" ".join)
texts = anything | mixed | spaced


def spans_of(text: str, *kinds: PlaceholderKind) -> list[str]:
    return [text[begin:end] for begin, end in find_spans(text, kinds or KINDS)]


def train(kind: str = "unigram", *, joint: bool = True, **keys) -> TokenizerPair:
    lines = [f"{line} {SPANS[number % 16]} (5)" for number, line in enumerate(sentences(1))]
    spec = TokenizerSpec(kind=kind, vocab_size=420, joint=joint, placeholders=KINDS, **keys)
    return train_tokenizers(lines, lines if joint else [line.upper() for line in lines], spec)


@pytest.fixture(scope="module")
def pairs() -> dict[str, TokenizerPair]:
    return {kind: train(kind) for kind in ("unigram", "bpe", "char")} | {"two": train("unigram", joint=False)}


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (
            "braces",
            "Hi {name}, {0} of {n:.2f}: {{ x.y | up }} ${x} #{y} %{z} {}",
            "{name} {0} {n:.2f} {{ x.y | up }} ${x} #{y} %{z} {}",
        ),
        ("braces", "a { b and c } {d, e} }{", ""),
        ("printf", "%d%% of %s: %1$s, %(name)s, %-5.2f %lu %dpx 5%%", "%d %% %s %1$s %(name)s %-5.2f %lu %d %%"),
        ("printf", "50 % der 100 % Wolle, 5%ige und 50 %ige, 3%d", ""),
        (
            "tags",
            '<b>x</b> <br/> <a href="u v">y</a> &amp; &#65; <1>',
            '<b> </b> <br/> <a href="u v"> </a> &amp; &#65; <1>',
        ),
        ("tags", "a < b > c, <3, R&D; AT&T", ""),
        (
            "urls",
            "(https://a.b/c_(d)?e=f#g), see www.x.de. Or http://y/。z",
            "https://a.b/c_(d)?e=f#g www.x.de http://y/",
        ),
        ("urls", "http, www. and awww.x.de", ""),
        ("emails", "Ask a.b+c@d.co.uk. Or <x@y.z>", "a.b+c@d.co.uk x@y.z"),
        ("emails", "a@b @c d@ e", ""),
        (
            "numbers",
            "12,345.67 at 12:30, the 3. of 2010-2012: -5, 7%, $8, 1/2.",
            "12,345.67 12:30 3 2010 2012 -5 7 8 1/2",
        ),
        ("numbers", "mp3 B-52 3D 20-year-old 3.5x v1.2 1st x_5 5-jährig", ""),
    ],
)
def test_what_is_a_span_of_each_kind(kind, text, expected):
    assert " ".join(spans_of(text, kind)) == expected


def test_a_longer_thing_is_not_cut_by_a_kind_that_is_inside_it():
    text = "https://a.b/{x}/5 <i n=5> {5} %5d me5@x.org &#55;"
    assert spans_of(text) == ["https://a.b/{x}/5", "<i n=5>", "{5}", "%5d", "me5@x.org", "&#55;"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "unit", ["a", "5", "{", "<a ", "%(", "%1", "a.", "a@", "5.", "http://", "www.", "(", "&#", "{{ ", "- "]
)
def test_time_grows_with_the_text_and_no_faster(kind, unit):
    find_spans(unit * 30_000, (kind,))  # a quadratic pattern takes minutes: the time limit of a test ends it


@given(text=texts, keep=st.sampled_from([(), (re.compile("the"),), (re.compile("ph|5"), re.compile("(?i)CAT s?"))]))
@example("\u27e6\u27e6ph0\u27e7ph0\u27e7 5 \u27e6ph5\u27e7", ())
@settings(max_examples=300, deadline=None, database=None)
def test_unmasking_undoes_masking(text, keep):
    masked = mask(text, KINDS, keep=keep)
    assert unmask(masked.text, masked.spans) == (text, (), ())
    assert len(set(masked.spans)) <= len(SYMBOLS)
    produced = re.findall("|".join(SYMBOLS), masked.text)
    assert list(dict.fromkeys(produced)) == list(SYMBOLS[: len(set(masked.spans))])
    assert [masked.spans[produced.index(symbol)] for symbol in produced] == list(masked.spans)


@given(
    words=st.lists(st.sampled_from(("cat,", "dog", "a.", *(f"{{v{number}}}" for number in range(50)))), max_size=120),
    joint=st.sampled_from([" ", "  ", ""]),
)
@settings(max_examples=200, deadline=None, database=None)
def test_portions_are_the_text_in_as_few_pieces_as_have_16_different_spans_each(words, joint):
    text = joint.join(words)
    pieces = portions(text, KINDS)
    assert "".join(piece + gap for piece, gap in pieces) == text
    assert [span for piece, _ in pieces for span in spans_of(piece)] == spans_of(text)
    for (piece, gap), (following, _) in itertools.pairwise(pieces):
        assert gap.isspace() or (joint == "" and not gap)
        assert len(set(spans_of(piece))) == 16
        assert spans_of(following)[0] not in spans_of(piece)
    assert len(set(spans_of(pieces[-1][0]))) <= 16


def test_portions_are_cut_after_a_mark_else_at_a_space():
    many = " ".join(f"{{v{number}}}" for number in range(16))
    assert portions(f"{many} and, or not {{w}} x", KINDS) == [(f"{many} and,", " "), ("or not {w} x", "")]
    assert portions(f"{many} and  so {{w}} x", KINDS) == [(f"{many} and  so", " "), ("{w} x", "")]
    assert portions(f"{many}他，说{{w}}", KINDS) == [(f"{many}他，", ""), ("说{w}", "")]
    assert portions(f"{many}{{w}}", KINDS) == [(many, ""), ("{w}", "")]
    assert portions(f"{SYMBOLS[0]} {many}", KINDS)[1] == ("{v15}", "")


@pytest.mark.parametrize("name", ["unigram", "bpe", "char", "two"])
@given(text=texts)
@example("(%d) a {x}, b <b>bold</b>")
@example("3\u0338 x{y}\u0301 " + " ".join(SYMBOLS) + " {z}")
@settings(max_examples=150, deadline=None, database=None)
def test_a_line_that_is_copied_symbol_by_symbol_comes_back_as_it_was(pairs, name, text):
    pair = pairs[name]
    masked = pair.mask_source(text)
    ids = pair.src.encode(masked.text)
    assert unmask(pair.src.decode(ids), masked.spans) == (pair.src.normalize(text), (), ())
    counts = Counter(SYMBOL_IDS[list(dict.fromkeys(masked.spans)).index(span)] for span in masked.spans)
    assert pair.allowances(ids) == counts
    for alpha in {"unigram": (0.3,), "bpe": (0.3,), "two": (0.3,)}.get(name, ()):
        (sampled,) = pair.src.sample_batch([masked.text], alpha=alpha, seed=len(text))
        assert [i for i in sampled if i in SYMBOL_IDS] == [i for i in ids if i in SYMBOL_IDS]
        assert pair.src.decode(sampled) == pair.src.decode(ids)


def test_without_chance_dropout_cuts_masked_lines_as_encoding_does(pairs):
    tokenizer = pairs["bpe"].src
    lines = [
        f"the {SYMBOLS[1]} cat({SYMBOLS[0]}), {SYMBOLS[15]}{SYMBOLS[1]}ran over {line}" for line in sentences(3, 20)
    ]
    assert tokenizer.sample_batch(lines, alpha=1e-12, seed=1) == tokenizer.encode_batch(lines)


@given(src=texts, tgt=texts)
@example("5 and {x} and 6 5", "{x} 5 y 7")
@example(" ".join(SYMBOLS[:9]) + " {a} {b}", " ".join(SYMBOLS[7:]) + " {b} {a}")
@settings(max_examples=300, deadline=None, database=None)
def test_a_pair_is_masked_where_both_sides_agree(src, tgt):
    masked = mask_pair(src, tgt, KINDS)
    both = Counter(spans_of(src)) & Counter(spans_of(tgt))
    used = [Counter(re.findall("|".join(SYMBOLS), side)) for side in masked]
    spelled = any(re.search("|".join(SYMBOLS), side) for side in (src, tgt))
    if not spelled:
        assert used[0] == used[1]
        assert used[0].total() == sum(count for _, count in list(both.items())[:16]) or len(both) > 16
    # whatever the symbols stand for, it is the same on both sides
    spans = dict.fromkeys(span for span in re.findall("|".join(SYMBOLS), masked[0]))
    assert list(spans) == list(SYMBOLS[: len(spans)])
    assert len(set(used[0]) | set(used[1])) <= len(SYMBOLS)


def test_symbols_of_a_pair_stand_for_the_same_and_the_rest_stays_text():
    a, b = SYMBOLS[:2]
    assert mask_pair("5 and {x} and 6 5", "{x} 5 y 7", KINDS) == (f"{a} and {b} and 6 5", f"{b} {a} y 7")
    assert mask_pair(f"{b} 5", f"5 {b}", KINDS) == (f"{a} {b}", f"{b} {a}")
    assert mask_pair("5 6", "7", KINDS) == ("5 6", "7")
    many = " ".join(f"{{v{number}}}" for number in range(20))
    src, tgt = mask_pair(many, many, KINDS)
    assert src == tgt == " ".join(SYMBOLS) + " {v16} {v17} {v18} {v19}"


def test_a_translation_has_its_spans_back_and_what_went_wrong_is_told():
    masked = mask("Hi {x}, {x} and <b>", KINDS)
    a, b, c = SYMBOLS[:3]
    assert masked == Masked(f"Hi {a}, {a} and {b}", ("{x}", "{x}", "<b>"))
    assert unmask(f"{b} und {a}", masked.spans) == ("<b> und {x}", ("{x}",), ())
    assert unmask(f"{a}{a}{a} {b}", masked.spans) == ("{x}{x}{x} <b>", (), ("{x}",))
    assert unmask(f"{a} {c} {a} {b}", masked.spans) == ("{x} {x} <b>", (), (c,))
    assert differences("%d of {x}", "{x} von {x}", ("printf", "braces")) == (("%d",), ("{x}",))
    assert differences("Ann 5", "ann 5", (), keep=[re.compile("Ann")]) == (("Ann",), ())


def test_spans_to_keep_go_before_all_kinds():
    keep = [re.compile("New York 5"), re.compile("York|x", re.IGNORECASE)]
    assert mask("New York 5 5 X", ["numbers"], keep=keep).spans == ("New York 5", "5", "X")
    assert mask("a b", [], keep=[re.compile("")]) == ("a b", ())


def test_symbols_are_learnt_as_symbols_and_spans_that_both_sides_have_are_not_learnt(pairs):
    for pair in pairs.values():
        assert pair.symbol_ids == SYMBOL_IDS
        for side in (pair.src, pair.tgt):
            assert side.tokens(SYMBOL_IDS) == list(SYMBOLS)
            tokens = side.tokens(range(max(SYMBOL_IDS) + 1, side.vocab_size))
            assert not any("ph" in token or "amp" in token for token in tokens)


def test_pairs_are_encoded_as_they_are_masked(pairs):
    pair = pairs["two"]
    src, tgt = ["the {x} cat 5", "a  dog"], ["CAT {x} 6", "DOG"]
    masked = [f"the {SYMBOLS[0]} cat 5", f"CAT {SYMBOLS[0]} 6"]
    assert [list(side) for side in pair.mask_pairs(src, tgt)] == [[masked[0], "a dog"], [masked[1], "DOG"]]
    ids = pair.encode_pairs(src, tgt)
    assert [ids[0][0], ids[1][0]] == [pair.src.encode(masked[0]), pair.tgt.encode(masked[1])]


def test_without_placeholders_nothing_changes(tokenizers):
    pair = TokenizerPair(tokenizers["bpe"], tokenizers["bpe"], joint=True)
    text = f"  {SYMBOLS[0]}  {{x}}"
    assert pair.mask_source(text, keep=[re.compile("x")]) == (text, ())
    assert pair.mask_pairs([text], [text]) == ([text], [text])
    assert (pair.symbol_ids, pair.allowances([4, 5])) == ((), {})


@pytest.mark.parametrize("joint", [True, False])
def test_a_saved_pair_knows_its_kinds(joint, pairs, tmp_path):
    pair = pairs["unigram" if joint else "two"]
    pair.save(tmp_path)
    assert TokenizerPair.load(tmp_path).placeholders == KINDS
    meta = json.loads((tmp_path / "tokenizer.json").read_text())
    for wrong in (["smileys"], "tags", 5, [["tags"]]):
        (tmp_path / "tokenizer.json").write_text(json.dumps(meta | {"placeholders": wrong}))
        with pytest.raises(CheckpointError, match=r"tokenizer\.json: placeholders are .* not some of"):
            TokenizerPair.load(tmp_path)


def test_a_pair_without_symbols_cannot_claim_kinds(tokenizers, tmp_path):
    TokenizerPair(tokenizers["bpe"], tokenizers["bpe"], joint=True).save(tmp_path)
    meta = json.loads((tmp_path / "tokenizer.json").read_text())
    assert "placeholders" not in meta
    (tmp_path / "tokenizer.json").write_text(json.dumps(meta | {"placeholders": ["tags"]}))
    with pytest.raises(CheckpointError, match=r"ids 0 to 19 are .*use a model that nmt trained"):
        TokenizerPair.load(tmp_path)


def test_words_have_no_room_for_symbols():
    with pytest.raises(DataError, match=r'tokenizer\.placeholders: a "word" tokenizer .* set tokenizer\.kind to'):
        train("word")


def test_one_side_alone_is_masked_too():
    pair = train_tokenizers([], ["a {xyz} b"] * 9, TokenizerSpec(kind="char", vocab_size=300, placeholders=KINDS))
    assert not set("{xyz}") & set(pair.tgt.tokens(range(pair.tgt.vocab_size)))


def test_a_recipe_names_the_same_kinds():
    assert get_args(Placeholder) == KINDS


@pytest.fixture
def text(load, folder, monkeypatch):
    monkeypatch.setattr(corpus, "_BATCH_PAIRS", 10)
    write(
        folder,
        {
            "t.de": "".join(f"das {{x{number}}} ist {number} <b>\n" for number in range(60)),
            "t.en": "".join(f"<b> {{x{number}}} is {number + 1}\n" for number in range(60)),
        },
    )
    return load("t")


def test_training_sees_masked_pairs_in_one_process_or_many_and_cached_by_their_kinds(
    text, pairs, tmp_path, monkeypatch
):
    pair = pairs["two"]
    expected = [list(map(list, side)) for side in pair.encode_pairs(text.pairs["src"], text.pairs["tgt"])]
    assert SYMBOL_IDS[0] in expected[0][7]
    assert [[row.tolist() for row in table] for table in encoded(text, pair, threads=1)] == expected
    for file in (tmp_path / "cache").glob("*.ids"):
        file.unlink()
    monkeypatch.setattr(encode, "PAIRS_ALONE", 30)
    assert [[row.tolist() for row in table] for table in encoded(text, pair, threads=2)] == expected
    assert len(list((tmp_path / "cache").glob("*.ids"))) == 1
    fewer = type(pair.src)(pair.src.model, kind="unigram", normalization="nfc", placeholders=("tags",))
    encoded(text, TokenizerPair(fewer, pair.tgt, joint=False), threads=1)
    assert len(list((tmp_path / "cache").glob("*.ids"))) == 2


def test_sampled_sides_are_masked_as_pairs(text, pairs):
    pair = pairs["two"]
    for side in ("src", "tgt"):
        sampled = SampledSide(
            text.pairs, pair, lambda window, windows: range(60), side=side, alpha=0.3, seed=1, epoch=1
        ).window(0, 1)
        tokenizer, lines = (pair.src, text.pairs["src"]) if side == "src" else (pair.tgt, text.pairs["tgt"])
        masked = pair.mask_pairs(text.pairs["src"], text.pairs["tgt"])[side == "tgt"]
        assert [tokenizer.decode(sampled[row]) for row in range(60)] == list(masked)
        assert list(masked) != list(lines)
