"""The laws of random cuts."""

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor
from toy_text import anything, sentences, train

from nmt.data.tokenizer import EOS_ID, Tokenizer
from nmt.errors import DataError


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_sampling_repeats_for_a_seed_whatever_came_before_in_any_thread(tokenizers, kind):
    tokenizer, lines = tokenizers[kind], sentences(3)
    first = tokenizer.sample_batch(lines, alpha=0.2, seed=7)
    fresh = Tokenizer(tokenizer.model, kind=kind, normalization="nfc")
    fresh.sample_batch(sentences(4), alpha=0.2, seed=8)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(fresh.sample_batch(lines, alpha=0.2, seed=7)))
    thread.start()
    thread.join()
    assert seen == [first]
    assert tokenizer.sample_batch(lines, alpha=0.2, seed=9) != first
    assert tokenizer.sample_batch(lines, alpha=0.5, seed=7) != first


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_sampling_repeats_in_another_process(tokenizers, kind, tmp_path):
    (tmp_path / "model").write_bytes(tokenizers[kind].model)
    program = (
        "import sys, pathlib; from nmt.data.tokenizer import Tokenizer;"
        f"t = Tokenizer(pathlib.Path(sys.argv[1]).read_bytes(), kind={kind!r}, normalization='nfc');"
        f"print(t.sample_batch({sentences(5, 20)!r}, alpha=0.2, seed=7))"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "model"], cwd=root, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == str(tokenizers[kind].sample_batch(sentences(5, 20), alpha=0.2, seed=7))


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@given(text=anything, seed=st.integers(0, 2**31))
@settings(max_examples=100, deadline=None, database=None)
def test_decode_of_a_sample_is_the_normalized_text(tokenizers, kind, text, seed):
    tokenizer = tokenizers[kind]
    (ids,) = tokenizer.sample_batch([text], alpha=0.3, seed=seed)
    assert tokenizer.decode(ids) == tokenizer.normalize(text)
    assert all(i > EOS_ID for i in ids)


@pytest.mark.parametrize("text", ["streets", "again ж", "the house"])
@pytest.mark.parametrize(("kind", "alpha"), [("unigram", 0.1), ("unigram", 0.6), ("bpe", 0.1), ("bpe", 0.5)])
def test_samples_are_spread_as_those_of_sentencepiece(tokenizers, kind, alpha, text):
    tokenizer, draws = tokenizers[kind], 4000
    native = SentencePieceProcessor(model_proto=tokenizer.model)
    theirs = Counter(tuple(native.encode(text, enable_sampling=True, nbest_size=-1, alpha=alpha)) for _ in range(draws))
    ours = Counter(map(tuple, tokenizer.sample_batch([text] * draws, alpha=alpha, seed=1)))
    assert len(ours) > 1
    # the difference of two shares has a standard deviation of at most 0.0112
    assert max(abs(ours[ids] - theirs[ids]) for ids in ours | theirs) < 0.06 * draws


@pytest.mark.parametrize("byte_fallback", [True, False])
def test_bpe_dropout_of_next_to_nothing_is_plain_encoding(byte_fallback):
    tokenizer = train(sentences(1), kind="bpe", vocab_size=420, byte_fallback=byte_fallback)
    lines = [*sentences(6), "the ЖЖQ cat", "ж ж", "a" * 300]
    assert tokenizer.sample_batch(lines, alpha=1e-12, seed=1) == tokenizer.encode_batch(lines)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan")])
def test_alpha_outside_0_to_1_is_a_fault(tokenizers, alpha):
    with pytest.raises(DataError, match=r"^tokenizer\.sampling is .*; use a number between 0 and 1"):
        tokenizers["bpe"].sample_batch(["text"], alpha=alpha, seed=1)


@pytest.mark.parametrize("kind", ["char", "word"])
def test_sampling_of_a_kind_that_cuts_one_way_is_a_fault(tokenizers, kind):
    with pytest.raises(DataError, match=rf'^tokenizer\.sampling: a "{kind}" .* set tokenizer\.kind to "unigram"'):
        tokenizers[kind].sample_batch(["text"], alpha=0.1, seed=1)
