"""From lines to translations."""

import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toy_ensemble import sibling, stranger, with_recipe
from toy_run import TinyRun

import nmt
from nmt.data.batches import collate_src
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from nmt.engine.fast import FastEngine
from nmt.engine.shortlist import Shortlist
from nmt.errors import CheckpointError, RecipeError
from nmt.loading import load, load_ensemble
from nmt.run_dir import save_shortlist
from nmt.search.ensemble import Combination
from nmt.translator import Translation, Translator

TIE = 1e-5
ODD = [
    "\u2028",
    "\u0085",
    "\0",
    "\r",
    "\n",
    "\t",
    "\x0c",
    "\ufeff",
    "\ud800",
    " ",
    "Er",
    "kommt",
    "nicht",
    "?",
    "\u2581",
]
any_line = st.lists(st.sampled_from(ODD) | st.characters(), max_size=8).map("".join)


def under(translator: Translator, **search: object) -> Translator:
    """The same model under other search options."""
    return Translator(translator.model, translator.tokenizers, translator.search.model_copy(update=search))


def best_two(translator: Translator, lines: Sequence[str], read_ahead: int | None = None) -> list[list[Translation]]:
    return list(translator.translations(lines, n_best=2, read_ahead=read_ahead))


def assert_same(found: Sequence[Sequence[Translation]], wanted: Sequence[Sequence[Translation]]) -> None:
    """The same scores and the same texts, unless two hypotheses of a line tie so closely that either may be first."""
    assert [len(line) for line in found] == [len(line) for line in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        assert [one.score for one in ours] == pytest.approx([one.score for one in theirs], abs=TIE)
        tied = len(theirs) > 1 and theirs[0].score - theirs[1].score < TIE
        assert tied or ours[0].text == theirs[0].text


@settings(deadline=None, max_examples=60)
@given(st.lists(any_line, max_size=6))
def test_n_lines_in_n_lines_out_and_blank_to_blank(translator: Translator, lines: list[str]) -> None:
    found = under(translator, beam_size=1).translate(lines)
    assert len(found) == len(lines)
    for line, text in zip(lines, found, strict=True):
        assert "\n" not in text
        assert text == "" or line.split() != []


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("batch", [{"batch_size": 1}, {"batch_size": 7}, {"batch_tokens": 40}])
def test_the_size_of_batches_changes_no_translation(
    translator: Translator, tiny: TinyRun, beam_size: int, batch: dict[str, int]
) -> None:
    lines = [*tiny.sources[:40], "", " ".join(tiny.sources[:6]), "x", *tiny.sources[40:50]]
    n_best = min(2, beam_size)
    wanted = under(translator, beam_size=beam_size, batch_size=64).translations(lines, n_best=n_best)
    found = under(translator, beam_size=beam_size, **batch).translations(lines, n_best=n_best)
    assert_same(list(found), list(wanted))


def test_a_batch_has_as_many_sentences_as_both_limits_allow(
    translator: Translator, tiny: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, start = [], translator.model.start

    def spy(src: Tensor, lengths: Tensor) -> Any:
        sizes.append((len(src), src.size(1)))
        return start(src, lengths)

    monkeypatch.setattr(translator.model, "start", spy)
    lines = [*tiny.sources[:40], " ".join(tiny.sources[:6]), "x"]
    under(translator, beam_size=1, batch_size=4, batch_tokens=60).translate(lines)
    assert sum(rows for rows, _ in sizes) == len(lines)
    for rows, longest in sizes[:-1]:
        assert rows == max(1, min(4, 60 // longest))
    assert {rows for rows, _ in sizes} >= {1, 2, 4}  # the long line, and shorter ones


def test_the_length_limit_of_a_line_is_its_own_whatever_its_batch_mates(translator: Translator, tiny: TinyRun) -> None:
    short = under(translator, max_length_ratio=0.4, max_length_offset=1)
    lines = [*tiny.sources[:20], " ".join(tiny.sources[:6])]
    alone = [next(short.translations([line])) for line in lines]
    assert sum("truncated" in line[0].flags for line in alone) > len(lines) / 2
    assert_same(list(short.translations(lines)), alone)


@pytest.mark.parametrize("read_ahead", [1, 7, 1000])
def test_reading_ahead_changes_no_translation(translator: Translator, tiny: TinyRun, read_ahead: int) -> None:
    lines = tiny.sources[:30]
    assert_same(best_two(translator, lines, read_ahead), best_two(translator, lines))


def test_the_order_of_the_lines_changes_no_translation(translator: Translator, tiny: TinyRun) -> None:
    lines = tiny.sources[:40]
    order = sorted(range(len(lines)), key=lambda index: lines[index][::-1])
    in_order = best_two(translator, lines)
    assert_same(best_two(translator, [lines[i] for i in order]), [in_order[i] for i in order])


def test_no_line_is_read_before_the_lines_so_far_are_answered(translator: Translator, tiny: TinyRun) -> None:
    asked = []

    def lines() -> object:
        for line in tiny.sources[:6]:
            asked.append(line)
            yield line

    answers = translator.translations(lines(), read_ahead=2)  # type: ignore[arg-type]
    counts = []
    for _ in answers:
        counts.append(len(asked))
    assert counts == [2, 2, 4, 4, 6, 6]


def test_beam_size_1_takes_the_most_probable_token_at_every_position(translator: Translator, tiny: TinyRun) -> None:
    model, tokenizers = load(tiny.run, engine="exact").model, translator.tokenizers
    lines = tiny.sources[:10]
    for line, [found] in zip(lines, under(translator, beam_size=1).translations(lines), strict=True):
        ids = tokenizers.src.encode(line)
        state = model.start(*collate_src([ids]))
        chosen = [BOS_ID]
        while chosen[-1] != EOS_ID:
            with torch.no_grad():
                log_probs, state = model.step(torch.tensor(chosen[-1:]), state)
            log_probs[:, [PAD_ID, UNK_ID, BOS_ID]] = -torch.inf
            chosen.append(int(log_probs.argmax()))
        assert found.tokens == tuple(tokenizers.tgt.tokens(chosen[1:-1]))
        assert found.text == tokenizers.tgt.decode(chosen[1:-1])


@pytest.mark.parametrize("penalty", ["none", "average", "gnmt"])
def test_the_score_is_the_sum_of_the_token_log_probs_under_the_length_penalty(
    translator: Translator, tiny: TinyRun, penalty: str
) -> None:
    divisors: dict[str, Callable[[int], float]] = {
        "none": lambda n: 1.0,
        "average": float,
        "gnmt": lambda n: ((5 + n) / 6) ** 0.6,
    }
    translator = under(translator, length_penalty=penalty, max_src_tokens=8)
    for line in translator.translations([*tiny.sources[:10], " ".join(tiny.sources[:5])], n_best=3):
        for one in line:
            divisor = divisors[penalty](len(one.token_log_probs))
            assert one.score == pytest.approx(sum(one.token_log_probs) / divisor, abs=1e-9)


def test_a_whole_line_has_one_log_prob_a_token_and_one_for_its_end(translator: Translator, tiny: TinyRun) -> None:
    for [one] in translator.translations(tiny.sources[:20]):
        assert one.flags == ()
        assert len(one.token_log_probs) == len(one.tokens) + 1
        assert all(log_prob <= 0 for log_prob in one.token_log_probs)


def test_n_best_are_different_and_best_first_and_begin_with_the_best(translator: Translator, tiny: TinyRun) -> None:
    lines = tiny.sources[:20]
    for [best], found in zip(translator.translations(lines), translator.translations(lines, n_best=3), strict=True):
        assert found[0].score >= best.score - TIE
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        assert len({one.tokens for one in found}) == len(found) == 3


def test_a_blank_line_has_one_translation_whatever_n_best_is(translator: Translator) -> None:
    assert list(translator.translations([" \t\u2028"], n_best=3)) == [[Translation("")]]


def test_more_translations_than_beams_are_refused_with_both_numbers(translator: Translator) -> None:
    with pytest.raises(RecipeError, match=r"n_best is 4.*beam_size, 3"):
        list(translator.translations(["Er kommt."], n_best=4))


@pytest.mark.parametrize("line", ["Er kommt nicht. " * 3125, "x" * 50_000], ids=["words", "no spaces"])
def test_a_line_of_50000_characters_is_translated_in_pieces(translator: Translator, line: str) -> None:
    [[found], [mate]] = under(translator, beam_size=1).translations([line, "Er kommt."])
    assert "split" in found.flags
    assert found.text
    assert "\n" not in found.text
    assert [mate.text] == under(translator, beam_size=1).translate(["Er kommt."])


def test_ten_thousand_times_a_word_takes_bounded_time_and_space(translator: Translator) -> None:
    line, search = "a " * 10_000, translator.search
    begin = time.monotonic()
    [[found]] = under(translator, beam_size=1).translations([line])
    assert time.monotonic() - begin < 30
    assert "split" in found.flags
    ids = translator.tokenizers.src.encode(line)
    pieces = -(-len(ids) // (search.max_src_tokens // 2))  # each has more than half of the most it may have
    assert len(found.tokens) <= search.max_length_ratio * len(ids) + search.max_length_offset * pieces


def test_a_translation_that_reaches_the_length_limit_is_flagged_and_no_longer(
    translator: Translator, tiny: TinyRun
) -> None:
    short = under(translator, max_length_ratio=1e-9, max_length_offset=2)
    for [one] in short.translations(tiny.sources[:10]):
        assert len(one.tokens) <= 2
        assert one.flags[0] == "truncated"


def test_a_run_loads_by_one_call_and_translates_what_it_learned(tiny: TinyRun) -> None:
    found = nmt.load(tiny.run).translate(tiny.sources)
    right = sum(text == tgt for text, (_, tgt) in zip(found, tiny.pairs, strict=True))
    assert right > len(found) / 4


def test_search_options_of_a_call_go_over_those_of_the_recipe(tiny: TinyRun, translator: Translator) -> None:
    assert load(tiny.run).search == translator.search
    changed = {"beam_size": 2, "batch_size": 3}
    assert load(tiny.run, search=changed).search == translator.search.model_copy(update=changed)


@pytest.mark.parametrize("name", ["beam_size", "batch_size"])
def test_search_options_of_a_call_that_make_no_sense_are_refused(tiny: TinyRun, name: str) -> None:
    with pytest.raises(RecipeError, match=rf"search.{name} \(given\): found 0; allowed: whole number, at least 1"):
        load(tiny.run, search={name: 0})


@pytest.mark.parametrize("beam_size", [1, 3])
def test_the_fast_engine_is_the_default_and_gives_the_translations_of_the_model_itself(
    tiny: TinyRun, beam_size: int
) -> None:
    lines = [*tiny.sources[:60], "", " ".join(tiny.sources[:6])]
    fast, exact = (
        load(tiny.run, search={"beam_size": beam_size}),
        load(tiny.run, search={"beam_size": beam_size}, engine="exact"),
    )
    assert isinstance(fast.model, FastEngine)
    assert not isinstance(exact.model, FastEngine)
    n_best = min(2, beam_size)
    assert_same(list(fast.translations(lines, n_best=n_best)), list(exact.translations(lines, n_best=n_best)))


def test_a_run_translates_from_its_shortlist_where_that_is_wanted(tiny: TinyRun, tmp_path: Path) -> None:
    run = shutil.copytree(tiny.run, tmp_path / "run")
    only = torch.tensor([EOS_ID, 300, 301])
    size = load(run).tokenizers.src.vocab_size
    shortlist = Shortlist(table=torch.full((size, 1), -1), frequent=only)
    save_shortlist(run, shortlist.to_bytes())
    found = {token for [one] in load(run, shortlist=True).translations(tiny.sources[:9]) for token in one.tokens}
    assert found <= set(load(run).tokenizers.tgt.tokens([300, 301]))
    save_shortlist(run, b"no")
    with pytest.raises(CheckpointError, match=r"shortlist\.safetensors: not a shortlist for this model"):
        load(run, shortlist=True)


@pytest.mark.parametrize("combination", ["linear", "log_linear"])
def test_the_same_run_several_times_translates_as_it_does_alone(
    translator: Translator, tiny: TinyRun, combination: Combination
) -> None:
    lines = [*tiny.sources[:30], "", " ".join(tiny.sources[:20])]
    together = load_ensemble([tiny.run] * 3, combination=combination)
    assert_same(best_two(together, lines), best_two(translator, lines))


@pytest.mark.parametrize("combination", ["linear", "log_linear"])
def test_the_log_probs_of_an_ensemble_are_those_that_its_runs_agree_on(
    tiny: TinyRun, tmp_path: Path, combination: Combination
) -> None:
    runs = [tiny.run, sibling(tiny.run, tmp_path / "sibling")]
    models = [load(run, engine="exact").model for run in runs]
    tokenizers = load(tiny.run).tokenizers
    lines = tiny.sources[:10]
    together = load_ensemble(runs, combination=combination)
    differ = 0
    for line, [found] in zip(lines, together.translations(lines), strict=True):
        states = [model.start(*collate_src([tokenizers.src.encode(line)])) for model in models]
        ids = [BOS_ID, *tokenizers.tgt._processor.piece_to_id(list(found.tokens)), EOS_ID]
        for position, log_prob in enumerate(found.token_log_probs):
            with torch.no_grad():
                steps = [model.step(torch.tensor([ids[position]]), s) for model, s in zip(models, states, strict=True)]
            states = [state for _, state in steps]
            probs = torch.stack([log_probs[0].double().exp() for log_probs, _ in steps])
            product = probs.prod(dim=0).sqrt()
            agreed = probs.mean(dim=0) if combination == "linear" else product / product.sum()
            assert log_prob == pytest.approx(float(agreed[ids[position + 1]].log()), abs=1e-4)
            differ += not torch.allclose(probs[0], probs[1], atol=0.01)
    assert differ > 10  # or nothing has been averaged


def test_an_ensemble_searches_as_the_recipe_of_its_first_run_says(tiny: TinyRun, tmp_path: Path) -> None:
    greedy = with_recipe(tiny.run, tmp_path / "greedy", search={"beam_size": 1, "max_length_offset": 7})
    assert load_ensemble([greedy, tiny.run]).search == load(greedy).search
    assert load_ensemble([tiny.run, greedy]).search == load(tiny.run).search
    assert load_ensemble([greedy, tiny.run], search={"beam_size": 4}).search.beam_size == 4


def test_runs_of_different_tokenizers_are_refused_by_name_with_what_to_do(tiny: TinyRun, tmp_path: Path) -> None:
    other = stranger(tiny.run, tmp_path / "other")
    words = f"{tiny.run} and {other} cannot decode together: their source tokenizers and target tokenizers differ; "
    with pytest.raises(CheckpointError, match=re.escape(words) + ".*same .tokenizer. section"):
        load_ensemble([tiny.run, tiny.run, other])


def test_runs_of_different_languages_are_refused_though_they_share_a_joint_tokenizer(
    tiny: TinyRun, tmp_path: Path
) -> None:
    back = with_recipe(tiny.run, tmp_path / "back", data={"src_lang": "en", "tgt_lang": "de"})
    with pytest.raises(CheckpointError, match="their source languages and target languages differ"):
        load_ensemble([tiny.run, back])


@pytest.mark.parametrize("runs", ["runs/quickstart", []])
def test_what_is_no_list_of_runs_is_a_type_error(runs: str | list[str]) -> None:
    with pytest.raises(TypeError, match="takes a list of run folders"):
        load_ensemble(runs)
