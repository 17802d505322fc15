"""What a user asks of a translation beyond the best: each option, alone and whatever the batch."""

import random
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_run import TinyRun, nmt, write_recipe

from nmt.data.glossary import Glossary, missed
from nmt.data.placeholders import differences, find_spans
from nmt.decoding import Searcher
from nmt.errors import DataError, RecipeError
from nmt.loading import load
from nmt.passages import Found, PassageMaker, Request, join
from nmt.recipe import SearchSection
from nmt.run_dir import SCORES
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty
from nmt.translate_file import requests
from nmt.translator import Translation, Translator

OPTIONS: dict[str, dict[str, object]] = {
    "min_length": {"min_length": 12},
    "max_length": {"max_length_ratio": 0.5, "max_length_offset": 1},
    "block_ngrams": {"block_ngrams": 2},
    "repetition_penalty": {"repetition_penalty": 1.5},
    "coverage_penalty": {"coverage_penalty": 0.5},
    "diverse": {"beam_size": 4, "diverse_groups": 2},
    "sample": {"sample": True},
    "nucleus": {"sample": True, "temperature": 1.3, "top_k": 20, "top_p": 0.9},
    "mbr": {"mbr_samples": 4},
    "greedy": {"beam_size": 1, "block_ngrams": 1},
}
PENALTY = LengthPenalty("average")
GLOSSARY = Glossary([("kommt", "the zebra"), ("nicht", "never ever")])


def under(translator: Translator, **search: object) -> Translator:
    return translator.under(translator.search.model_copy(update=search))


def demanding(translator: Translator, *, glossary: Glossary = GLOSSARY, keep: Sequence[str] = ()) -> Translator:
    """The same with terms, or words that are to be kept."""
    return Translator(
        translator.model,
        translator.tokenizers,
        translator.search,
        scorer=translator.scorer,
        glossary=glossary,
        keep=[re.compile(pattern) for pattern in keep],
    )


def texts(translations: Sequence[Sequence[Translation]]) -> list[str]:
    return [one.text for [one, *_] in translations]


@pytest.mark.parametrize("name", OPTIONS)
def test_no_option_makes_a_translation_depend_on_its_batch_mates_or_its_order(
    translator: Translator, tiny: TinyRun, name: str
) -> None:
    lines = [*tiny.sources[:24], "", " ".join(tiny.sources[:6])]
    given = list(requests(lines))
    wanted = texts(list(under(translator, **OPTIONS[name]).translations(given)))
    shuffled = random.Random(7).sample(given, len(given))
    for batch_size, order in ((1, given), (5, given), (64, shuffled)):
        found = texts(list(under(translator, **OPTIONS[name], batch_size=batch_size).translations(order)))
        assert found == [wanted[request.number] for request in order]


def test_a_glossary_makes_no_line_depend_on_its_batch_mates(translator: Translator, tiny: TinyRun) -> None:
    lines = tiny.sources[:24]
    together = texts(list(demanding(translator).translations(lines)))
    assert together == [text for line in lines for text in texts(list(demanding(translator).translations([line])))]


def test_the_tokens_are_within_the_limits(translator: Translator, tiny: TinyRun) -> None:
    lines = tiny.sources[:24]
    free = [len(one.tokens) for [one] in translator.translations(lines)]
    shortest, longest = min(free) + 2, max(free) - 2
    for [one] in under(translator, min_length=shortest).translations(lines):
        assert len(one.tokens) >= shortest
    for [one] in under(translator, max_length_ratio=1e-9, max_length_offset=longest).translations(lines):
        assert len(one.tokens) <= longest


@pytest.mark.parametrize("size", [1, 2])
def test_a_blocked_ngram_stands_once(translator: Translator, tiny: TinyRun, size: int) -> None:
    lines = [f"{line} {line}" for line in tiny.sources[:24]]

    def repeated(search: Translator) -> int:
        found = (one.tokens for [one] in search.translations(lines))
        ngrams = ([tokens[i : i + size] for i in range(len(tokens) - size + 1)] for tokens in found)
        return sum(len(set(each)) < len(each) for each in ngrams)

    assert repeated(translator) > 0
    assert repeated(under(translator, block_ngrams=size)) == 0


def test_what_is_drawn_hangs_on_seed_and_line_number_alone(translator: Translator) -> None:
    drawn = under(translator, sample=True, temperature=2.0)
    line = "Er kommt heute nicht."
    numbered = [Request(line, number) for number in (3, 0, 3, 1)]
    found = texts(list(drawn.translations(numbered)))
    assert found[0] == found[2]
    assert len({found[0], found[1], found[3]}) == 3
    other_seed = under(translator, sample=True, temperature=2.0, seed=2)
    assert texts(list(other_seed.translations(numbered)))[0] != found[0]


def test_n_samples_are_n_draws_and_their_log_probs_are_the_models(translator: Translator, tiny: TinyRun) -> None:
    drawn = under(translator, sample=True, temperature=1.5)
    for line in list(drawn.translations(tiny.sources[:8], n_best=6)):
        assert len(line) == 6
        assert all(max(one.token_log_probs) <= 1e-3 for one in line)


def test_of_samples_the_one_with_the_least_risk_is_one_of_them(translator: Translator, tiny: TinyRun) -> None:
    search = {"temperature": 1.5}
    chosen = list(under(translator, mbr_samples=5, **search).translations(tiny.sources[:12]))
    drawn = list(under(translator, sample=True, **search).translations(tiny.sources[:12], n_best=5))
    assert all(one.text in [other.text for other in five] for [one], five in zip(chosen, drawn, strict=True))
    assert texts(chosen) != texts(drawn)
    with pytest.raises(RecipeError, match=r"mbr_samples chooses one"):
        next(under(translator, mbr_samples=5).translations(["Er kommt."], n_best=2))


def test_the_diverse_are_more_different(translator: Translator, tiny: TinyRun) -> None:
    def different_beginnings(search: Translator) -> int:
        found = search.translations(tiny.sources[:16], n_best=4)
        return sum(len({one.tokens[:1] for one in line}) for line in found)

    plain = different_beginnings(under(translator, beam_size=4))
    assert different_beginnings(under(translator, beam_size=4, diverse_groups=4, diverse_strength=3.0)) > plain


def test_a_coverage_penalty_only_reorders_what_the_beam_holds(translator: Translator, tiny: TinyRun) -> None:
    lines = tiny.sources[:24]
    every = [{one.text for one in line} for line in translator.translations(lines, n_best=3)]
    found = list(under(translator, coverage_penalty=20.0).translations(lines))
    assert all(one.text in held for [one], held in zip(found, every, strict=True))
    assert texts(found) != texts(list(translator.translations(lines)))


def test_a_translation_begins_with_its_prefix(translator: Translator) -> None:
    given = [Request("Er kommt heute nicht.", 0, "Tomorrow she"), Request("Er kommt.", 1), Request("Er kommt.", 2, " ")]
    [begun], [free], [blank] = translator.translations(given)
    assert begun.text.startswith("Tomorrow she")
    assert [free.text] == [blank.text] == translator.translate(["Er kommt."])


def test_terms_of_a_glossary_are_met(translator: Translator, tiny: TinyRun) -> None:
    lines = [line for line in tiny.sources if GLOSSARY.find(line)]
    assert len(lines) > 5
    for line, [one] in zip(lines, demanding(translator).translations(lines), strict=True):
        assert missed(GLOSSARY.find(line), one.text) == [], one.text
        assert "glossary" not in one.flags


def test_a_term_that_no_room_is_left_for_is_flagged(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Searcher, "_limit", lambda *_: 2)
    [[one]] = demanding(translator).translations(["Er kommt nicht."])
    assert {"glossary", "truncated"} <= set(one.flags)


def test_what_is_kept_is_copied(translator: Translator) -> None:
    [[one]] = demanding(translator, keep=[r"X-\d+", "blau"]).translations(["Der X-17 kommt blau."])
    assert "X-17" in one.text
    assert "blau" in one.text
    assert "placeholders" not in one.flags


def test_a_long_line_is_translated_sentence_by_sentence_with_its_spacing(translator: Translator, tiny: TinyRun) -> None:
    short = under(translator, max_src_tokens=24)
    sentences = [line for line in tiny.sources if len(translator.tokenizers.src.encode(line)) < 24][:6]
    gaps = [" ", "  ", "\t", " ", "   "]
    line = "".join(sentence + gap for sentence, gap in zip(sentences, [*gaps, ""], strict=True))
    alone = translator.translate(sentences)
    [[found]] = short.translations([line])
    assert found.text == "".join(text + gap for text, gap in zip(alone, [*gaps, ""], strict=True))
    assert found.flags[0] == "split"


def test_no_piece_has_more_tokens_than_the_limit_and_none_is_lost(translator: Translator) -> None:
    tokenizers = translator.tokenizers
    maker = PassageMaker(tokenizers, 16, Glossary(()))
    line = "Er kommt heute nicht. " * 6 + "ohne " * 40 + "x" * 90 + "."
    [passages] = maker.passages([Request(line)])
    jobs = [job for passage in passages for job in passage.jobs]
    assert max(len(job.ids) for job in jobs) <= 16
    whole = "".join(tokenizers.src.decode([i for job in passage.jobs for i in job.ids]) for passage in passages)
    assert whole.replace(" ", "") == line.replace(" ", "")


def test_the_score_is_that_of_the_search(translator: Translator, tiny: TinyRun) -> None:
    penalty = LengthPenalty(translator.search.length_penalty, translator.search.length_alpha)
    for [one] in translator.translations(tiny.sources[:8]):
        hypothesis = Hypothesis.scored(
            list(range(len(one.tokens))), list(one.token_log_probs), truncated=False, penalty=penalty
        )
        assert one.score == pytest.approx(hypothesis.score)


def test_an_alignment_names_words_of_both_lines(translator: Translator, tiny: TinyRun) -> None:
    lines = [*tiny.sources[:8], " ".join(tiny.sources[:12]), ""]
    short = under(translator, max_src_tokens=40)
    for line, [one] in zip(lines, short.translations(lines, alignments=True), strict=True):
        targets = [tgt for _, tgt in one.alignment]
        assert targets == list(range(len(one.text.split())))
        assert all(0 <= src < len(line.split()) for src, _ in one.alignment)
    assert all(one.alignment == () for [one] in short.translations(lines[:3]))


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"diverse_groups": 2}, "diverse_groups = 2 does not divide search.beam_size = 3"),
        ({"sample": True, "coverage_penalty": 1.0}, "coverage_penalty chooses in a beam"),
        ({"mbr_samples": 8, "beam_size": 4, "diverse_groups": 2}, "diverse_groups cuts up a beam"),
        ({"top_p": 1.5}, "search.top_p (given): found 1.5"),
        ({"beam": 3}, "did you mean search.beam_size?"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tiny: TinyRun, search: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(words)):
        load(tiny.run, search=search)


@pytest.mark.parametrize("option", ["--temperature", "--top-k", "--top-p", "--seed"])
def test_how_to_draw_is_said_only_where_something_is_drawn(tiny: TinyRun, option: str) -> None:
    result = nmt("translate", tiny.run, option, "1", stdin=b"Er kommt.\n")
    assert result.code == 2
    assert f"{option} goes with --sample or --mbr-samples" in result.err
    assert nmt("translate", tiny.run, option, "1", "--sample", stdin=b"Er kommt.\n").code == 0


def test_there_is_one_prefix_a_line() -> None:
    assert [one.prefix for one in requests(["a", "b"], ["x", ""])] == ["x", ""]
    with pytest.raises(DataError, match="only 1 prefixes, but more lines"):
        list(requests(["a", "b"], ["x"]))
    with pytest.raises(DataError, match="only 1 lines, but more prefixes"):
        list(requests(["a"], ["x", "y"]))


def test_every_search_option_of_a_recipe_is_one_of_the_command_too() -> None:
    from nmt.cli.options import SEARCH_KEYS  # noqa: PLC0415

    assert sorted(SEARCH_KEYS) == sorted(SearchSection.model_fields)


def test_the_command_reports_what_is_flagged_with_line_numbers(tiny: TinyRun, tmp_path: Path) -> None:
    terms = tmp_path / "terms.tsv"
    terms.write_text("# source\ttarget\nkommt\tthe zebra\n", encoding="utf-8")
    source = b"Er kommt.\nIch bin hier.\n"
    result = nmt("translate", tiny.run, "--glossary", terms, stdin=source)
    assert result.code == 0
    assert "zebra" in result.lines[0]
    cut = nmt("translate", tiny.run, "--max-length-ratio", 0.01, "--max-length-offset", 1, stdin=source)
    assert "warning: translations that reached the length limit and were cut off: 2 (lines 1, 2)" in cut.err


def test_a_demand_that_no_draw_can_meet_is_refused(tiny: TinyRun) -> None:
    with pytest.raises(RecipeError, match="not for drawing at random"):
        load(tiny.run, search={"sample": True}, glossary=GLOSSARY)
    with pytest.raises(RecipeError, match="a shortlist may lack the words"):
        load(tiny.run, shortlist=True, keep=[re.compile("x")])


@pytest.mark.parametrize("demand", [{"glossary": GLOSSARY}, {"keep": [re.compile("x")]}])
def test_groups_are_refused_where_something_is_demanded_of_the_search(tiny: TinyRun, demand: dict[str, Any]) -> None:
    groups = {"beam_size": 4, "diverse_groups": 2}
    with pytest.raises(RecipeError, match="not for one cut into groups"):
        load(tiny.run, search=groups, **demand)
    assert load(tiny.run, search=groups).search.diverse_groups == 2
    assert load(tiny.run, search={"diverse_groups": 1}, **demand).search.beam_size == 3


def test_a_prefix_that_goes_on_with_a_term_is_kept(translator: Translator) -> None:
    glossary = Glossary([("kommt", "walk")])
    [[one]] = demanding(translator, glossary=glossary).translations([Request("Er kommt.", 0, "walkers")])
    assert one.text.startswith("walkers")


def test_a_term_may_stand_twice_where_ngrams_may_not(translator: Translator) -> None:
    blocked = under(demanding(translator), block_ngrams=1)
    [[one]] = blocked.translations(["Er kommt nicht und kommt."])
    assert one.text.count("the zebra") == 2


def test_scores_of_another_system_do_not_become_the_runs_own(tiny: TinyRun, tmp_path: Path) -> None:
    run = shutil.copytree(tiny.run, tmp_path / "run")
    before = (run / SCORES).read_bytes()
    for options, words in (
        (["--sample"], "with drawn"),
        (["--shortlist"], "with shortlist"),
        (["--keep", "x"], "keep"),
    ):
        result = nmt("evaluate", run, *options)
        assert (result.code, words in result.err) == (2, True), result.err
    assert (run / SCORES).read_bytes() == before
    assert nmt("evaluate", run, "--shortlist", "-o", tmp_path / "short").code == 0
    assert "another folder" in nmt("evaluate", run, "--keep", "x", "-o", tmp_path / "short").err


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    """A model with placeholders that has learned next to nothing."""
    folder = tmp_path_factory.mktemp("placed")
    pairs = [(f"Er sagt {{name}} und {n}.", f"He says {{name}} and {n}.") for n in range(60)]
    changed = {"data.test": "[]", "tokenizer.vocab_size": "330", "train.max_steps": "4", "train.warmup_steps": "1"}
    options = [f"--set={key}={value}" for key, value in changed.items()]
    recipe = write_recipe(folder, pairs, pairs[:4])
    kinds = '--set=tokenizer.placeholders=["braces","numbers","tags"]'
    assert nmt("train", recipe, "--run-dir", folder / "run", kinds, *options).code == 0
    return load(folder / "run")


@pytest.mark.parametrize("beam_size", [1, 3])
def test_no_symbol_of_a_placeholder_is_ever_shown(placed: Translator, beam_size: int) -> None:
    lines = ["Er sagt {name} und 7.", "{a} {b} {c} {d} {e}", "Er sagt 1 2 3 4 5 6 7.", "7", "Er sagt <b>ja</b>."]
    prefixes = ["He says {name}", "", "0 ph 1 and 20", "p", "h 0"]
    for translator in (under(placed, beam_size=beam_size), under(placed, sample=True)):
        for request, [one] in zip(
            requests(lines, prefixes), translator.translations(requests(lines, prefixes)), strict=True
        ):
            assert "\u27e6" not in one.text
            kinds = placed.tokenizers.placeholders
            kept = differences(request.text, one.text, kinds) == ((), ())
            assert kept or {"placeholders", "truncated"} & set(one.flags)  # a prefix may have numbers of its own


@pytest.mark.parametrize("search", [{"beam_size": 1}, {"beam_size": 3}, {"sample": True}])
def test_placeholders_survive_the_length_limit(placed: Translator, search: dict[str, Any]) -> None:
    lines = [
        "Er sagt {name} und <b>{x}</b>.",
        "Er sagt {a} {b} {c} {d} {e} {a}.",
        "Er sagt nichts.",
        "Er sagt 1 2 3 4.",
    ]
    short = under(placed, max_length_ratio=0.01, max_length_offset=1, **search)
    for line, [one] in zip(lines, short.translations(lines), strict=True):
        assert differences(line, one.text, placed.tokenizers.placeholders) == ((), ())
        assert len(one.tokens) <= 1 + 2 * len(find_spans(line, placed.tokenizers.placeholders))
        assert "placeholders" not in one.flags


def test_more_placeholders_than_there_are_symbols_survive_too(placed: Translator) -> None:
    many = "Er sagt " + " und ".join(f"{{v{number}}}" for number in range(40)) + "."
    short = under(placed, beam_size=1, max_length_ratio=0.01, max_length_offset=1)
    [[one]] = short.translations([many])
    assert differences(many, one.text, placed.tokenizers.placeholders) == ((), ())
    assert "split" in one.flags


MANY = [f"{{v{number}}}" for number in range(18)]


@pytest.mark.parametrize(
    "line",
    [
        " ".join(["Er", *MANY, "sagt", *MANY]),
        " ".join([*MANY, "er sagt ja"]),
        "er " + "/".join(MANY) + " sagt ja",
        "er sagt\u3002" + "\uff0c".join(MANY) + " ja",
        " ".join(["er sagt <a \u27e6ph0\u27e7> und", *MANY, "ja"]),
    ],
)
def test_portions_of_a_line_are_joined_and_aligned_word_by_word(placed: Translator, line: str) -> None:
    """A translation that is a copy is aligned as one."""
    tokenizers = placed.tokenizers
    [passages] = PassageMaker(tokenizers, 200, Glossary(())).passages([Request(line)])
    assert len(passages) > 1
    found = [
        [
            Found(
                Hypothesis.scored(list(job.ids), [0.0] * (len(job.ids) + 1), truncated=False, penalty=PENALTY),
                torch.eye(len(job.ids) + 1),
            )
            for job in passage.jobs
        ]
        for passage in passages
    ]
    joined = join(tokenizers, passages, found)
    assert (joined.text, joined.whole) == (line, True)
    assert set(joined.alignment) == {(word, word) for word in range(len(line.split()))}


def test_a_line_with_a_prefix_begins_with_it_however_many_spans_it_has(placed: Translator) -> None:
    [[one]] = under(placed, beam_size=1).translations([Request(" ".join([*MANY, "er sagt"]), prefix="He says")])
    assert one.text.startswith("He says")


def test_a_line_of_spans_alone_is_copied(placed: Translator) -> None:
    lines = ["{name}", "{a} - {b}!", "<b>7</b>"]
    assert placed.translate(lines) == lines


def test_a_term_that_holds_a_span_is_met_or_flagged(placed: Translator) -> None:
    wanted = demanding(placed, glossary=Glossary([("Bruder 5", "sibling 5"), ("sagt", "tells")]))
    [[one]] = wanted.translations(["Mein Bruder 5 sagt ja."])
    assert ("sibling 5" in one.text and "tells" in one.text) or "glossary" in one.flags
