"""The lexical shortlist of a run: learned from its training text at the end of its training, or afterwards."""

from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from nmt.data.corpus import Corpus
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, TokenizerPair
from nmt.engine.fast import is_plain
from nmt.engine.shortlist import FREQUENT, PER_PIECE, Ids, Shortlist
from nmt.engine.shortlist import build_shortlist as learn
from nmt.errors import RecipeError
from nmt.run_dir import SHORTLIST, load_model, save_shortlist, sole_writer
from nmt.train.prepare import open_train

MAX_PAIRS = 200_000  # of a larger text, as many evenly spread over it: more would name the same candidates


def learn_shortlist(
    train: Corpus, tokenizers: TokenizerPair, *, per_piece: int = PER_PIECE, frequent: int = FREQUENT
) -> Shortlist:
    """From the training text, each line in its most probable pieces, as search reads it.

    The symbols of placeholders are always among the frequent ones: only the search knows which of them it may take.
    """
    pairs = train.pairs.select(range(0, len(train.pairs), max(1, -(-len(train.pairs) // MAX_PAIRS))))
    src, tgt = (list(map(_as_array, side)) for side in tokenizers.encode_pairs(pairs["src"], pairs["tgt"]))
    found = learn(
        src,
        tgt,
        src_vocab_size=tokenizers.src.vocab_size,
        tgt_vocab_size=tokenizers.tgt.vocab_size,
        eos_id=EOS_ID,
        never=(PAD_ID, UNK_ID, BOS_ID),
        per_piece=per_piece,
        frequent=frequent,
        copies=tokenizers.joint,
    )
    always = sorted({*found.frequent.tolist(), *tokenizers.symbol_ids})
    return Shortlist(found.table, torch.tensor(always))


def build_shortlist(run: Path, console: Console) -> Path:
    """Give a trained run a shortlist, anew where it has one; gives back its file.

    Raises CheckpointError where the run is missing or damaged, or is being trained, DataError where its training text
    is, and RecipeError where its model has no use for one.
    """
    saved = load_model(run)
    if not is_plain(saved.model):
        raise RecipeError(
            f"{run}: its model has no shortlist: that is for encoder-decoders with cell lstm, gru or rnn, without "
            'input feeding and attention "multihead"; translate without one'
        )
    with sole_writer(run):
        train = open_train(saved.recipe.data, console)
        with console.status("learning the shortlist"):
            save_shortlist(run, learn_shortlist(train, saved.tokenizers).to_bytes())
    return run / SHORTLIST


def _as_array(ids: list[int]) -> Ids:
    return np.array(ids, dtype=np.int64)
