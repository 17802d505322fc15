"""The laws of text to ids and back."""

import hashlib
import io
import json
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceTrainer
from toy_text import KINDS, LITERALS, anything, sentences, train

from nmt.data.tokenizer import (
    BOS_ID,
    EOS_ID,
    FEW,
    PAD_ID,
    UNK_ID,
    Tokenizer,
    TokenizerPair,
    TokenizerSpec,
    train_tokenizers,
)
from nmt.errors import CheckpointError, DataError

ODD_TEXT = (
    *LITERALS,
    "",
    " ",
    "👩\u200d👩\u200d👧 ok",
    "שלום עולם",
    "e\u0301 \u00e9",
    "a\0b",
    "\ud800",
    "\ufeffx",
    "\u2585",
    "\u2047",
)


def with_odd_text(test):
    for text in ODD_TEXT:
        test = example(text)(test)
    return test


@pytest.mark.parametrize("kind", KINDS)
@given(text=anything)
@with_odd_text
@settings(max_examples=150, deadline=None, database=None)
def test_decode_of_encode_is_the_normalized_text(tokenizers, kind, text):
    tokenizer = tokenizers[kind]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == tokenizer.normalize(text)
    assert all(UNK_ID < i < tokenizer.vocab_size and i not in (PAD_ID, BOS_ID, EOS_ID) for i in ids)
    for count in (1, FEW + 1):
        assert tokenizer.encode_batch([text] * count) == [ids] * count


@pytest.mark.parametrize("normalization", ["nfc", "nfkc", "none"])
@given(text=anything)
@settings(max_examples=200, deadline=None, database=None)
def test_normalizing_twice_is_normalizing_once(tokenizers, normalization, text):
    tokenizer = Tokenizer(tokenizers["char"].model, kind="char", normalization=normalization)
    once = tokenizer.normalize(text)
    assert tokenizer.normalize(once) == once
    assert tokenizer.decode(tokenizer.encode(text)) == once


@pytest.mark.parametrize("normalization", ["nfc", "nfkc", "none"])
@given(texts=st.lists(anything | st.sampled_from([*ODD_TEXT, "a\nb", "e", "\u0301", "\u1100", "\u1161"]), max_size=6))
@settings(max_examples=200, deadline=None, database=None)
def test_many_texts_are_normalized_as_each_alone(tokenizers, normalization, texts):
    tokenizer = Tokenizer(tokenizers["char"].model, kind="char", normalization=normalization)
    assert tokenizer._normalized(texts) == [tokenizer.normalize(text) for text in texts]


@pytest.mark.parametrize(
    ("normalization", "text", "expected"),
    [
        ("nfc", " a\t b\r\nc\x85d\u2028e\u00a0f\x1fg\u3000 ", "a b c d e f g"),
        ("nfc", "e\u0301 ﬁ", "\u00e9 ﬁ"),
        ("nfkc", "e\u0301 ﬁ ①\u00a8", "\u00e9 fi 1 \u0308"),
        ("none", "e\u0301 ﬁ", "e\u0301 ﬁ"),
        ("none", "x\u2581y \0 \udfff", "x_y \ufffd \ufffd"),
        ("nfc", "zero\u200bwidth\u200d\ufeff \u202eright-to-left", "zero\u200bwidth\u200d\ufeff \u202eright-to-left"),
    ],
)
def test_normalize(tokenizers, normalization, text, expected):
    assert Tokenizer(tokenizers["char"].model, kind="char", normalization=normalization).normalize(text) == expected


@given(data=st.data())
@settings(max_examples=100, deadline=None, database=None)
def test_any_ids_decode_to_one_tidy_line(tokenizers, data):
    tokenizer = tokenizers["bpe"]
    text = tokenizer.decode(data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1))))
    assert text == " ".join(text.split())
    assert not set(text) & {"\0", "\u2581"}
    assert tokenizer.decode([4 + 0x0A, 4 + 0xFF, PAD_ID, 4 + 0x41, EOS_ID]) == "\ufffdA"


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_cannot_be_learnt_from_text_that_spells_them(kind):
    tokenizer = train(["a<s>b <0x41>x x</s>y <unk> <pad>z", "<s> </s> <unk> <pad> <0x41>"] * 20, kind=kind)
    for text in LITERALS:
        assert min(tokenizer.encode(text)) > EOS_ID
        assert tokenizer.decode(tokenizer.encode(text)) == tokenizer.normalize(text)


@pytest.mark.parametrize("kind", KINDS)
def test_without_byte_fallback_the_unknown_is_one_visible_sign(kind):
    tokenizer = train(["the cat"] * 3, kind=kind, byte_fallback=False)
    ids = tokenizer.encode("the ЖЖ cat")
    assert ids.count(UNK_ID) == 1
    assert tokenizer.decode(ids) == "the \u2047 cat"


def test_tokens_and_word_starts(tokenizers):
    tokenizer = tokenizers["word"]
    ids = tokenizer.encode("the cat ж")
    assert tokenizer.tokens(ids)[:2] == ["\u2581the", "\u2581cat"]
    assert tokenizer.tokens(ids)[-2:] == ["<0xD0>", "<0xB6>"]
    assert [tokenizer.starts_word(i) for i in (ids[0], ids[-1], EOS_ID)] == [True, False, False]


@pytest.mark.parametrize("kind", KINDS)
def test_same_lines_same_bytes(kind):
    assert train(sentences(2), kind=kind, vocab_size=350).model == train(sentences(2), kind=kind, vocab_size=350).model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lines", [["Hallo Welt."], ["Hallo Welt.", "Guten Tag"], ["x"]])
def test_one_or_two_pairs_are_enough(kind, lines):
    pair = train_tokenizers(lines, ["Hi."], TokenizerSpec(kind=kind, joint=False))
    assert pair.src.vocab_size < 400
    assert pair.src.decode(pair.src.encode("anything: ж")) == "anything: ж"


@pytest.mark.parametrize("byte_fallback", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_least_vocab_size_is_named_and_works(kind, byte_fallback):
    with pytest.raises(DataError, match=r"tokenizer\.vocab_size is 3, but .* tokenizer\.vocab_size to \d+ ") as caught:
        train(sentences(1), kind=kind, byte_fallback=byte_fallback, vocab_size=3)
    assert str(caught.value).endswith("or more, or lower tokenizer.character_coverage (0.9995)")
    least = int(str(caught.value).split("set tokenizer.vocab_size to ")[1].split()[0])
    assert train(sentences(1), kind=kind, byte_fallback=byte_fallback, vocab_size=least).vocab_size == least
    with pytest.raises(DataError, match=f"vocab_size to {least} or more"):
        train(sentences(1), kind=kind, byte_fallback=byte_fallback, vocab_size=least - 1)


def test_a_side_without_text_is_a_fault():
    with pytest.raises(DataError, match="target text: no text to train a tokenizer on"):
        train_tokenizers(["text"], ["", " \t"], TokenizerSpec(joint=False))


@pytest.mark.parametrize("kind", KINDS)
def test_training_takes_long_lines_long_words_and_reserved_characters(kind):
    tokenizer = train(
        ["word " * 3000 + "end", "längstes" * 3000, "\u2585 only\u2585here"], kind=kind, character_coverage=1.0
    )
    assert not any(token.startswith("<") for token in tokenizer.tokens(tokenizer.encode("word end")))
    assert len(tokenizer.encode("here")) <= 5  # learnt from a line that SentencePiece alone would skip


def test_of_many_lines_few_are_used_evenly():
    lines = (f"w{number}" for number in range(1000))
    pair = train_tokenizers(lines, ["x"], TokenizerSpec(kind="word", byte_fallback=False, joint=False), max_lines=10)
    used = sorted(int(token[2:]) for token in pair.src.tokens(range(4, pair.src.vocab_size)))
    assert used == list(range(0, 1000, 128))


def test_joint_is_one_tokenizer_and_separate_are_two():
    lines = ["alpha beta"], ["gamma delta"]
    joint = train_tokenizers(*lines, TokenizerSpec(kind="word", byte_fallback=False))
    assert joint.src is joint.tgt
    assert UNK_ID not in joint.tgt.encode("alpha delta")
    two = train_tokenizers(*lines, TokenizerSpec(kind="word", byte_fallback=False, joint=False))
    assert two.tgt.encode("alpha") == [UNK_ID]
    assert two.src.encode("delta") == [UNK_ID]


@pytest.fixture
def saved(tmp_path):
    spec = TokenizerSpec(kind="bpe", vocab_size=300, joint=False, normalization="nfkc")
    train_tokenizers(sentences(1, 30), sentences(2, 30), spec).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize("joint", [True, False])
def test_a_loaded_pair_is_the_saved_one(tmp_path, joint):
    spec = TokenizerSpec(kind="bpe", joint=joint, normalization="nfkc")
    pair = train_tokenizers(sentences(1, 30), ["Ein Haus."], spec)
    pair.save(tmp_path)
    names = ["joint.model"] if joint else ["src.model", "tgt.model"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "tokenizer.json"]
    loaded = TokenizerPair.load(tmp_path)
    assert (loaded.src is loaded.tgt) == loaded.joint == joint
    for before, after in ((pair.src, loaded.src), (pair.tgt, loaded.tgt)):
        assert after.encode("the ﬁne Haus ж") == before.encode("the ﬁne Haus ж")
        assert (after.kind, after.normalization, after.model) == (before.kind, before.normalization, before.model)


@pytest.mark.parametrize("name", ["src.model", "tgt.model", "tokenizer.json"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name}: cannot be read"):
        TokenizerPair.load(saved)


def test_each_flipped_bit_and_each_cut_of_a_model_is_found(saved):
    path = saved / "src.model"
    model = path.read_bytes()
    places = random.Random(1).sample(range(len(model)), 40)
    flipped = [model[:at] + bytes([model[at] ^ 1]) + model[at + 1 :] for at in places]
    for damaged in [*flipped, b"", *(model[:at] for at in places[:5])]:
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"src\.model: damaged"):
            TokenizerPair.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "format 3 is newer than 2, the newest known; update nmt"),
        ({"version": None}, "damaged: version is None"),
        ({"kind": "../bpe"}, "damaged: kind is '../bpe', not one of"),
        ({"normalization": []}, r"damaged: normalization is \[\]"),
        ({"joint": "no"}, "damaged: joint is 'no'"),
    ],
)
def test_metadata_of_a_newer_version_or_damaged_is_refused(saved, change, message):
    path = saved / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: " + message):
        TokenizerPair.load(saved)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_metadata_that_is_no_json_object_is_refused(saved, content):
    (saved / "tokenizer.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: damaged, no JSON object"):
        TokenizerPair.load(saved)


def test_models_that_the_metadata_does_not_describe_are_refused(saved):
    path = saved / "tokenizer.json"
    meta = json.loads(path.read_text())
    for models in (None, {}, {"src.model": 5}):
        path.write_text(json.dumps(meta | {"models": models}))
        with pytest.raises(CheckpointError, match=r"src\.model: damaged: its SHA-256 is not the one"):
            TokenizerPair.load(saved)
    meta["models"]["tgt.model"]["vocab_size"] += 1
    path.write_text(json.dumps(meta))
    with pytest.raises(CheckpointError, match=r"tgt\.model: 300 pieces, but tokenizer\.json says 301"):
        TokenizerPair.load(saved)


def foreign_model():
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(1)),
        model_writer=model,
        vocab_size=60,
        minloglevel=2,
        unk_id=0,
        bos_id=1,
        eos_id=2,
    )
    return model.getvalue()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (foreign_model, "ids 0 to 3 are .'<unk>', '<s>', '</s>', .*; use a model that nmt trained"),
        (lambda: b"junk", "not a SentencePiece model"),
        (lambda: b"", "not a SentencePiece model"),
    ],
)
def test_a_model_that_nmt_did_not_train_is_refused(saved, model, message):
    content = model()
    (saved / "src.model").write_bytes(content)
    meta = json.loads((saved / "tokenizer.json").read_text())
    meta["models"]["src.model"] = {"vocab_size": 60, "sha256": hashlib.sha256(content).hexdigest()}
    (saved / "tokenizer.json").write_text(json.dumps(meta))
    with pytest.raises(CheckpointError, match=r"src\.model: " + message):
        TokenizerPair.load(saved)
