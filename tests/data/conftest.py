"""Corpora in a folder of their own, and one tokenizer of each kind."""

from pathlib import Path

import pytest
from toy_text import KINDS, sentences, train

from nmt.data.corpus import Corpus, Filters, open_corpus
from nmt.data.sources import SourceRules
from nmt.data.tokenizer import Tokenizer
from nmt.errors import DataError


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def load(folder, tmp_path):
    def load(*names: str, filters: Filters | None = None, **changes) -> Corpus:
        rules = SourceRules(**({"folder": folder, "hub": {}, "src_lang": "de", "tgt_lang": "en"} | changes))
        return open_corpus(names, rules, filters=filters, cache_dir=tmp_path / "cache")

    return load


@pytest.fixture
def fault_of(load):
    def fault_of(*names: str, **options) -> str:
        with pytest.raises(DataError) as caught:
            load(*names, **options)
        return str(caught.value)

    return fault_of


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, Tokenizer]:
    return {kind: train(sentences(1), kind=kind, vocab_size=420) for kind in KINDS}
