"""The rules between keys of a recipe: what each allows by itself, but not together."""

from collections.abc import Mapping
from typing import Any


def conflicts(values: Mapping[str, Any]) -> list[str]:
    """The rules between keys that `values` (by `section.key`, each sound in itself or not) break: a sentence each."""
    faults = []
    if values["model.tie"] == "all" and values["tokenizer.joint"] is False:
        faults.append('model.tie = "all" shares one embedding: it needs tokenizer.joint = true (or tie = "tgt")')
    if values["tokenizer.sampling"] != 0 and values["tokenizer.kind"] in ("char", "word"):
        faults.append(f'tokenizer.sampling needs kind "unigram" or "bpe", not "{values["tokenizer.kind"]}"')
    if values["tokenizer.placeholders"] and values["tokenizer.kind"] == "word":
        faults.append('tokenizer.placeholders are parts of words: they need a kind other than "word"')
    faults += _mixing_conflicts(values)
    faults += _search_conflicts({key.removeprefix("search."): value for key, value in values.items()}, values)
    faults += _language_model_conflicts(values)
    return faults + _model_conflicts({key.removeprefix("model."): value for key, value in values.items()})


def _mixing_conflicts(values: Mapping[str, Any]) -> list[str]:
    weights, names, temperature = (values[f"data.{name}"] for name in ("weights", "train", "temperature"))
    if not isinstance(weights, list | tuple) or not weights or not all(map(_is_number, weights)):
        return []
    faults = []
    count = 1 if isinstance(names, str) else len(names) if isinstance(names, list | tuple) else len(weights)
    if len(weights) != count:
        faults.append(f"data.weights has {len(weights)} numbers for {count} texts of data.train: it needs one each")
    if _is_number(temperature) and temperature > 1:
        faults.append("data.weights and data.temperature both set the shares of the training texts: use one of them")
    return faults


def _language_model_conflicts(values: Mapping[str, Any]) -> list[str]:
    if values["model.architecture"] != "language_model":
        return []
    faults = []
    src, tgt = values["data.src_lang"], values["data.tgt_lang"]
    if isinstance(src, str) and isinstance(tgt, str) and src != tgt:
        faults.append(
            'model.architecture = "language_model" learns one language: it needs data.src_lang = data.tgt_lang, which '
            f'are "{src}" and "{tgt}"'
        )
    if values["tokenizer.joint"] is False and not values["tokenizer.run"]:
        faults.append('model.architecture = "language_model" has one vocabulary: it needs tokenizer.joint = true')
    return faults


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value > 0


def _model_conflicts(model: Mapping[str, Any]) -> list[str]:
    faults: list[str] = []
    if model["architecture"] != "encoder_decoder":
        return faults
    sizes = _are_sizes(model, "decoder_dim", "encoder_dim")
    if model["attention"] == "dot" and sizes and model["decoder_dim"] != (size := memory_dim(model)):
        faults.append(
            'model.attention = "dot" multiplies decoder states with encoder outputs: it needs '
            f'decoder_dim = {size} (or attention = "general")'
        )
    sizes = _are_sizes(model, "decoder_dim", "attention_heads")
    if model["attention"] == "multihead" and sizes and model["decoder_dim"] % model["attention_heads"] != 0:
        faults.append('model.attention = "multihead" needs a decoder_dim that attention_heads divides')
    sizes = _are_sizes(model, "kernel_size")
    if model["encoder"] == "convolutional" and sizes and model["kernel_size"] % 2 == 0:
        faults.append("model.kernel_size must be odd, so that a position looks equally far to both sides")
    if model["encoder"] == "convolutional" and model["reverse_source"] is True:
        faults.append('model.reverse_source is about the order of reading: it needs encoder = "recurrent"')
    return faults


def _search_conflicts(search: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    faults = []
    draws = search["sample"] is True or _is_number(search["mbr_samples"])
    covers = _is_number(search["coverage_penalty"])
    sizes = _are_sizes(search, "beam_size", "diverse_groups")
    if sizes and search["beam_size"] % search["diverse_groups"] != 0:
        faults.append(
            f"search.diverse_groups = {search['diverse_groups']} does not divide search.beam_size = "
            f"{search['beam_size']}: every group has equally many hypotheses"
        )
    if draws and sizes and search["diverse_groups"] > 1:
        faults.append("search.diverse_groups cuts up a beam: it needs search.sample = false and no search.mbr_samples")
    if draws and covers:
        faults.append("search.coverage_penalty chooses in a beam: it needs search.sample = false and no mbr_samples")
    if covers and values["model.attention"] == "none":
        faults.append('search.coverage_penalty reads attention: it needs model.attention other than "none"')
    return faults


def _are_sizes(values: Mapping[str, Any], *names: str) -> bool:
    """Can a rule count with them? Where not, that is a fault of its own, told elsewhere."""
    return all(type(values[name]) is int and values[name] >= 1 for name in names)


def memory_dim(model: Mapping[str, Any]) -> int:
    """The size of the encoder's outputs: the two directions of the last layer are joined."""
    both = model["encoder"] == "recurrent" and (
        model["bidirectional"] == "all" or (model["bidirectional"] == "first" and model["encoder_layers"] == 1)
    )
    return int(model["encoder_dim"]) * (2 if both else 1)
