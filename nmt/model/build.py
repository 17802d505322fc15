"""How a recipe's section becomes a model."""

from collections.abc import Callable
from typing import Any

from torch import nn

from nmt.model.attention import ATTENTIONS, Attention
from nmt.model.convolution import ConvolutionalEncoder
from nmt.model.decoder import Decoder
from nmt.model.embedding import Embedder
from nmt.model.encoder import RecurrentEncoder
from nmt.model.language_model import LanguageModel
from nmt.model.layers import Reader, Stack
from nmt.model.read_along import ReadAlong
from nmt.model.seq2seq import Seq2Seq
from nmt.recipe import ModelSection

AnyModel = Seq2Seq | ReadAlong | LanguageModel
Build = Callable[[ModelSection, nn.Embedding, nn.Embedding, nn.Linear], AnyModel]


def build_model(section: ModelSection, *, src_vocab_size: int, tgt_vocab_size: int) -> AnyModel:
    """A freshly initialised model, drawn from torch's global random generator.

    `tie` shares the output's weights with the target's embeddings (Press & Wolf 2017; Inan et al. 2017), or also with
    the source's (Press & Wolf's three-way tying).
    """
    src_embedding = _embedding(src_vocab_size, section.embed_dim, tied=section.tie == "all")
    tgt_embedding = src_embedding
    if section.tie != "all":
        tgt_embedding = _embedding(tgt_vocab_size, section.embed_dim, tied=section.tie != "none")
    output = nn.Linear(section.embed_dim, tgt_vocab_size)
    nn.init.zeros_(output.bias)
    if section.tie == "none":
        nn.init.normal_(output.weight, std=section.embed_dim**-0.5)
    else:
        output.weight = tgt_embedding.weight
    return ARCHITECTURES[section.architecture](section, src_embedding, tgt_embedding, output)


def _encoder_decoder(
    section: ModelSection, src_embedding: nn.Embedding, tgt_embedding: nn.Embedding, output: nn.Linear
) -> Seq2Seq:
    encoder = ENCODERS[section.encoder](section, src_embedding)
    attention = _attention(section, encoder.output_dim)
    fed = (section.embed_dim if section.input_feeding else 0) + attention.vector_dim
    stack = _stack(section, section.embed_dim + fed)
    decoder = Decoder(
        embedder=_embedder(section, tgt_embedding),
        vector_dim=encoder.output_dim,
        stack=stack,
        attention=attention,
        input_feeding=section.input_feeding,
        dropout=section.dropout,
        dropout_kind=section.dropout_kind,
    )
    return Seq2Seq(encoder=encoder, decoder=decoder, output=output)


def _read_along(
    section: ModelSection, src_embedding: nn.Embedding, tgt_embedding: nn.Embedding, output: nn.Linear
) -> ReadAlong:
    return ReadAlong(
        src_embedder=_embedder(section, src_embedding),
        tgt_embedder=_embedder(section, tgt_embedding),
        stack=_stack(section, 2 * section.embed_dim),
        output=output,
        wait=section.wait,
        dropout=section.dropout,
        dropout_kind=section.dropout_kind,
    )


def _language_model(
    section: ModelSection, src_embedding: nn.Embedding, tgt_embedding: nn.Embedding, output: nn.Linear
) -> LanguageModel:
    return LanguageModel(
        embedder=_embedder(section, tgt_embedding),
        stack=_stack(section, section.embed_dim),
        output=output,
        dropout=section.dropout,
        dropout_kind=section.dropout_kind,
    )


ARCHITECTURES: dict[str, Build] = {
    "encoder_decoder": _encoder_decoder,
    "read_along": _read_along,
    "language_model": _language_model,
}


def _recurrent(section: ModelSection, embedding: nn.Embedding) -> RecurrentEncoder:
    embedder = _embedder(section, embedding)
    layers: list[Reader] = []
    for number in range(section.encoder_layers):
        layer = Reader(
            section.cell,
            layers[-1].output_dim if layers else embedder.dim,
            section.encoder_dim,
            bidirectional=section.bidirectional == "all" or (section.bidirectional == "first" and number == 0),
            state_dropout=section.state_dropout,
        )
        layers.append(layer)
    return RecurrentEncoder(
        embedder=embedder,
        layers=layers,
        residual=section.residual,
        reverse_source=section.reverse_source,
        dropout=section.dropout,
        dropout_kind=section.dropout_kind,
    )


def _convolutional(section: ModelSection, embedding: nn.Embedding) -> ConvolutionalEncoder:
    return ConvolutionalEncoder(
        embedder=_embedder(section, embedding),
        hidden_dim=section.encoder_dim,
        layers=section.encoder_layers,
        kernel_size=section.kernel_size,
        dropout=section.dropout,
        dropout_kind=section.dropout_kind,
    )


ENCODERS: dict[str, Callable[[ModelSection, nn.Embedding], RecurrentEncoder | ConvolutionalEncoder]] = {
    "recurrent": _recurrent,
    "convolutional": _convolutional,
}


def _attention(section: ModelSection, memory_dim: int) -> Attention:
    own: dict[str, dict[str, Any]] = {
        "none": {"feed_vector": section.feed_vector},
        "local": {"window": section.attention_window},
        "multihead": {"heads": section.attention_heads},
    }
    kind = ATTENTIONS[section.attention]
    return kind(memory_dim=memory_dim, query_dim=section.decoder_dim, **own.get(section.attention, {}))


def _stack(section: ModelSection, input_dim: int) -> Stack:
    return Stack(
        section.cell,
        input_dim=input_dim,
        hidden_dim=section.decoder_dim,
        layers=section.decoder_layers,
        residual=section.residual,
        dropout=section.dropout,
        dropout_kind=section.dropout_kind,
        state_dropout=section.state_dropout,
    )


def _embedder(section: ModelSection, embedding: nn.Embedding) -> Embedder:
    return Embedder(
        embedding, dropout=section.dropout, dropout_kind=section.dropout_kind, word_dropout=section.word_dropout
    )


def _embedding(vocab_size: int, embed_dim: int, *, tied: bool) -> nn.Embedding:
    """Small enough that tied logits begin near 0, whatever the size; `tied` to the output layer."""
    embedding = nn.Embedding(vocab_size, embed_dim, sparse=tied)
    nn.init.normal_(embedding.weight, std=embed_dim**-0.5)
    return embedding
