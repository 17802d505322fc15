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
    if values["train.agreement"] != 0 and _are_sizes(values, "train.sampled_softmax"):
        faults.append("train.agreement compares whole distributions: it needs train.sampled_softmax = 0")
    faults += _mixing_conflicts(values)
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


def _are_sizes(values: Mapping[str, Any], *names: str) -> bool:
    """Can a rule count with them? Where not, that is a fault of its own, told elsewhere."""
    return all(type(values[name]) is int and values[name] >= 1 for name in names)


def memory_dim(model: Mapping[str, Any]) -> int:
    """The size of the encoder's outputs: the two directions of the last layer are joined."""
    both = model["encoder"] == "recurrent" and (
        model["bidirectional"] == "all" or (model["bidirectional"] == "first" and model["encoder_layers"] == 1)
    )
    return int(model["encoder_dim"]) * (2 if both else 1)
