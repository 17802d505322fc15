"""What a recipe may say: its sections and keys, each with its default, its range and its help, once.

`recipe_file` reads one from TOML; `tools/make_keys.py` writes `recipes/KEYS.md` from here.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from nmt.recipe_rules import conflicts


def _one_or_more(value: Any) -> Any:
    """A list as TOML has it, or a single name."""
    return (value,) if isinstance(value, str) else _as_tuple(value)


def _as_tuple(value: Any) -> Any:
    """A list as TOML has it."""
    return tuple(value) if isinstance(value, list) else value


Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_one_or_more)]
Weights = Annotated[tuple[Annotated[float, Field(gt=0.0)], ...], BeforeValidator(_as_tuple)]
Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}([-_][A-Za-z0-9]+)*$")]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Placeholder = Literal["braces", "printf", "tags", "urls", "emails", "numbers"]
Placeholders = Annotated[tuple[Placeholder, ...], BeforeValidator(_one_or_more)]


class Section(BaseModel):
    """Frozen; unknown keys and wrong types are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataSection(Section):
    """Where the text is and what of it is used."""

    src_lang: Language = Field(description="language translated from, as the file names end: `de`")
    tgt_lang: Language = Field(description="language translated into")
    folder: str = Field("", description="folder of the names below; relative to the recipe; empty: beside the recipe")
    hub: dict[str, str] = Field(
        {}, description="name -> `owner/dataset:split` on the Hugging Face hub, where the folder lacks it"
    )
    train: Names = Field(
        min_length=1, description="training text: prefixes of two line files, TSV or JSON lines files, or keys of `hub`"
    )
    valid: Names = Field(min_length=1, description="validation text, of the same forms")
    test: Names = Field((), description="test sets, scored at the end of training, each by its name")
    tsv_columns: Names = Field((), description="languages of a TSV file's columns; empty: source, target")
    errors: Literal["strict", "replace"] = Field("strict", description="invalid UTF-8: refuse it, or read it as U+FFFD")
    max_chars: int = Field(1000, ge=1, description="training pairs with a longer side are dropped (characters)")
    max_ratio: float = Field(
        9.0, ge=1.0, description="training pairs whose sides differ more in length are dropped (characters)"
    )
    drop_duplicates: bool = Field(True, description="keep one of several equal training pairs")
    weights: Weights = Field(
        (), description="relative shares of the training texts in an epoch, one each; empty: by their pairs"
    )
    temperature: float = Field(
        1.0, ge=1.0, description="share of a training text in an epoch: its pairs to the power of 1 / temperature"
    )


class TokenizerSection(Section):
    """How text becomes ids."""

    kind: Literal["unigram", "bpe", "char", "word"] = Field("unigram", description="SentencePiece model type")
    vocab_size: int = Field(8000, ge=8, description="pieces of a vocabulary, control symbols included")
    joint: bool = Field(True, description="one vocabulary for both languages, or one a side")
    byte_fallback: bool = Field(True, description="spell unknown characters as bytes, so that none is lost")
    character_coverage: float = Field(
        0.9995, gt=0.0, le=1.0, description="share of the text's characters that get a piece"
    )
    normalization: Literal["nfc", "nfkc", "none"] = Field(
        "nfc", description="Unicode normal form of text before it is split"
    )
    sampling: float = Field(
        0.0, ge=0.0, lt=1.0, description="subword sampling in training: unigram's smoothing, BPE's dropout; 0: off"
    )
    placeholders: Placeholders = Field(
        (),
        description="spans that the model sees as symbols, so that they come through unchanged: `{name}`, `%d`, `<b>` "
        "and `&amp;`, addresses, numbers",
    )
    run: str = Field(
        "",
        description="folder of a run, as seen from where you are, whose tokenizer is copied, for models that shall "
        "decode together: all keys here but `sampling` become what they are there; empty: train one",
    )


class ModelSection(Section):
    """The network."""

    architecture: Literal["encoder_decoder", "read_along", "language_model"] = Field(
        "encoder_decoder",
        description="read all, then write; or one network that writes while it reads; or a language model: no source, "
        "and perplexity where others have BLEU (keys of encoder and attention have no effect in these two)",
    )
    wait: int = Field(3, ge=0, description="read_along: source tokens read without writing")
    cell: Literal["rnn", "gru", "lstm", "lnlstm"] = Field(
        "lstm", description="recurrence: simple (tanh), GRU, LSTM, layer-normalised LSTM (slower: not fused)"
    )
    embed_dim: int = Field(256, ge=1, description="size of the embeddings and of the readout")
    encoder: Literal["recurrent", "convolutional"] = Field("recurrent", description="kind of encoder")
    encoder_dim: int = Field(256, ge=1, description="hidden size of the encoder, each direction")
    encoder_layers: int = Field(1, ge=1, description="depth of the encoder")
    kernel_size: int = Field(3, ge=1, description="convolutional: positions that a layer looks at, an odd number")
    bidirectional: Literal["none", "first", "all"] = Field(
        "all",
        description="layers of the recurrent encoder that read in both directions; no effect on the convolutional one",
    )
    reverse_source: bool = Field(False, description="recurrent encoder reads the source from its end")
    decoder_dim: int = Field(512, ge=1, description="hidden size of the decoder")
    decoder_layers: int = Field(1, ge=1, description="depth of the decoder")
    residual: bool = Field(
        False,
        description="add its input to the output of every recurrent layer but the first; the second of an encoder with "
        'bidirectional = "first" has another size than its input and goes without',
    )
    attention: Literal["none", "dot", "general", "mlp", "local", "multihead"] = Field(
        "general", description="how the decoder looks back at the source; none: by the sentence vector alone"
    )
    attention_heads: int = Field(4, ge=1, description="multihead: heads, which divide `decoder_dim`")
    attention_window: int = Field(10, ge=1, description="local: positions seen on either side of the aligned one")
    input_feeding: bool = Field(False, description="the last readout enters the next step (slower: not fused)")
    feed_vector: bool = Field(True, description="without attention: the sentence vector enters every step")
    tie: Literal["none", "tgt", "all"] = Field(
        "all", description="share embeddings: output with target, or with both sides"
    )
    dropout: Share = Field(0.2, description="on embeddings, between layers, on decoder outputs and on readouts")
    dropout_kind: Literal["locked", "plain"] = Field("locked", description="one mask a sentence, or one a position")
    word_dropout: Share = Field(0.0, description="share of words whose embedding is 0 in training")
    state_dropout: Share = Field(0.0, description="on the recurrent state, one mask a sentence (slower: not fused)")

    @property
    def translates(self) -> bool:
        """False of a language model: no source, no BLEU, perplexity in their place."""
        return self.architecture != "language_model"


class TrainSection(Section):
    """How the network learns."""

    seed: int = Field(1, ge=0, le=2**31, description="of everything random")
    max_steps: int = Field(10_000, ge=1, description="optimizer steps in all")
    max_minutes: float = Field(
        0.0, ge=0.0, description="wall time in all: sets `max_steps` by the speed of the first steps; 0: off"
    )
    batch_tokens: int = Field(
        1000, ge=1, description="most target tokens of an optimizer step, padding counted, of all processes together"
    )
    accumulate: int = Field(
        1,
        ge=1,
        description="pieces that a process takes its share of a batch in, to save memory; on its own it takes "
        "twice as many whenever memory runs out",
    )
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = Field(
        "fp32", description="of matrix products: tf32 and fp16 are for GPUs"
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="update rule")
    learning_rate: float = Field(2e-3, gt=0.0, description="at its highest")
    beta2: Share = Field(0.98, description="Adam's second-moment decay (the first is 0.9); SGD's momentum is 0.9")
    weight_decay: float = Field(0.0, ge=0.0, description="decoupled with adamw, L2 otherwise")
    warmup_steps: int = Field(200, ge=0, description="steps of linear rise to `learning_rate`")
    schedule: Literal["constant", "linear", "cosine", "inverse_sqrt", "plateau"] = Field(
        "linear", description="how the learning rate falls after warm-up"
    )
    decay_start: Share = Field(
        0.5, description="share of `max_steps` after which linear and cosine fall, to 0 at the end"
    )
    plateau_factor: float = Field(
        0.5, gt=0.0, lt=1.0, description="plateau: factor at validations without a better BLEU"
    )
    plateau_patience: int = Field(2, ge=1, description="plateau: how many such validations in a row")
    clip_norm: float = Field(1.0, ge=0.0, description="largest gradient norm; 0: no clipping")
    label_smoothing: Share = Field(0.1, description="share of the target mass spread over the vocabulary")
    sampled_softmax: int = Field(
        0,
        ge=0,
        description="train on the batch's own tokens and so many others of the vocabulary: `loss` and `ppl` are then "
        "estimates; 0: on all of it",
    )
    sampled_share: Share = Field(0.75, description="share of `max_steps` with sampled_softmax, all of it after")
    ema_decay: Share = Field(0.0, description="validate and keep an exponential moving average of the weights; 0: off")
    validate_every: int = Field(500, ge=1, description="steps between validations")
    validate_beam_size: int = Field(1, ge=1, description="beam size in validation")
    patience: int = Field(0, ge=0, description="stop after so many validations without a better BLEU; 0: never")
    save_every: int = Field(500, ge=1, description="steps between savings of the training state")
    keep_last: int = Field(2, ge=1, description="newest savings of the training state that are kept")
    keep_best: int = Field(
        0, ge=0, description="and so many of those with the best validation BLEU, of savings made right after one"
    )
    log_every: int = Field(50, ge=1, description="steps between lines of metrics.jsonl")
    samples: int = Field(3, ge=0, description="sample translations shown at each validation")
    tensorboard: bool = Field(False, description="write TensorBoard event files into the run folder")
    threads: int = Field(0, ge=0, description="CPU threads; 0: one a core")


BATCHING = ("batch_size", "batch_tokens")  # of [search]: how fast it is, not what it finds


class SearchSection(Section):
    """How translations are found."""

    beam_size: int = Field(5, ge=1, description="hypotheses kept a step; 1: greedy search")
    length_penalty: Literal["none", "average", "gnmt"] = Field(
        "average", description="divisor of a hypothesis' log-probability"
    )
    length_alpha: float = Field(0.6, ge=0.0, le=10.0, description="exponent of the gnmt penalty")
    coverage_penalty: float = Field(
        0.0, ge=0.0, description="weight by which finished hypotheses lose that leave source tokens unattended; 0: off"
    )
    min_length: int = Field(0, ge=0, le=10_000, description="shortest translation, in tokens")
    max_length_ratio: float = Field(
        2.0, gt=0.0, le=100.0, description="longest translation: this times the source's tokens ..."
    )
    max_length_offset: int = Field(10, ge=0, le=10_000, description="... plus this")
    block_ngrams: int = Field(0, ge=0, description="no n-gram of so many tokens twice in a translation; 0: off")
    repetition_penalty: float = Field(
        1.0, ge=1.0, description="log-probabilities of tokens that the translation has already times this; 1: off"
    )
    diverse_groups: int = Field(
        1, ge=1, description="groups that the beam is cut into, each unlike those before it; a divisor of `beam_size`"
    )
    diverse_strength: float = Field(
        0.5, ge=0.0, description="what a token costs in a group for each time that an earlier group takes it"
    )
    sample: bool = Field(False, description="draw at random in place of searching for the best")
    temperature: float = Field(1.0, gt=0.0, description="sample: under 1 more probable tokens, over 1 more surprising")
    top_k: int = Field(0, ge=0, description="sample: from so many of the best tokens; 0: from all")
    top_p: float = Field(1.0, gt=0.0, le=1.0, description="sample: from the best tokens that hold this probability")
    seed: int = Field(1, ge=0, le=2**31, description="sample: with a line's number, decides what is drawn for it")
    mbr_samples: int = Field(
        0, ge=0, description="draw so many translations and take the one most like the others, by chrF; 0: off"
    )
    max_src_tokens: int = Field(200, ge=8, description="longer lines are translated sentence by sentence")
    batch_size: int = Field(64, ge=1, description="most sentences decoded together")
    batch_tokens: int = Field(
        4096, ge=1, description="most source tokens decoded together, padding counted; of longer sentences fewer"
    )

    @property
    def draws(self) -> bool:
        """Are translations drawn at random?"""
        return self.sample or self.mbr_samples > 0

    def plain(self, beam_size: int) -> "SearchSection":
        """A search for the best alone, within the same limits."""
        kept = (
            "length_penalty",
            "length_alpha",
            "max_length_ratio",
            "max_length_offset",
            "max_src_tokens",
            *BATCHING,
        )
        return SearchSection(beam_size=beam_size, **{key: getattr(self, key) for key in kept})


class Recipe(Section):
    """A whole recipe. Only `recipe_file`, `run_dir.py`, `cli.py` and the files of `train/` that set one up see it."""

    name: str = Field("", description="default run folder `runs/NAME`; empty: the file's name")
    data: DataSection
    tokenizer: TokenizerSection = TokenizerSection()
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()
    search: SearchSection = SearchSection()

    @model_validator(mode="after")
    def _check_whole(self) -> "Recipe":
        values = {f"{name}.{key}": value for name in sections() for key, value in getattr(self, name)}
        if faults := conflicts(values):
            raise ValueError("; ".join(faults))
        return self


def sections() -> dict[str, type[Section]]:
    """The sections of a recipe by name, in order."""
    found = {name: field.annotation for name, field in Recipe.model_fields.items()}
    return {name: kind for name, kind in found.items() if isinstance(kind, type) and issubclass(kind, Section)}
