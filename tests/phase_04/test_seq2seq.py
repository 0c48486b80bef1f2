"""Sequence to sequence: all gradients, beam search against trying everything, strings reversed."""

import datetime
import itertools

import numpy as np
import pytest

from phase_00.softmax import log_softmax
from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_04.seq2seq import (
    LETTERS,
    Seq2Seq,
    accuracy,
    beam_search,
    dates,
    loss_and_gradients,
    reversals,
    train,
)
from shared.word_tokenizer import WordTokenizer

SOURCES = [np.array([1, 2, 2, 3]), np.array([3]), np.array([2, 1])]
TARGETS = [np.array([3, 1]), np.array([1, 1, 2]), np.array([], int)]


def small(cell="LSTM", dtype=np.float64):
    model, r = Seq2Seq(cell, 4, 3, 5, np.random.default_rng(0), dtype), np.random.default_rng(1)
    for array in model.params.values():
        array[...] = r.normal(size=array.shape)
    return model


def log_probability(model, source, target):
    """ln p of one target and its end mark, without a batch."""
    before = np.concatenate([[0], target]).astype(int)
    z = model.forward(source[None], np.ones((1, len(source)), bool), before[None])[0]
    after = [*target, 0]
    return float(sum(log_softmax(z)[t, i] for t, i in enumerate(after)))


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_gradients_of_all_parameters_with_unequal_lengths(cell):
    model = small(cell)
    _, grads = loss_and_gradients(model, SOURCES, TARGETS)
    errors = check_gradients(
        lambda: loss_and_gradients(model, SOURCES, TARGETS)[0], model.params, grads
    )
    assert max(errors.values()) < TOLERANCE


def test_the_loss_of_a_batch_is_that_of_its_pairs_alone():
    model = small()
    loss, _ = loss_and_gradients(model, SOURCES, TARGETS)
    pairs = zip(SOURCES, TARGETS, strict=True)
    surprise = [-log_probability(model, source, target) for source, target in pairs]
    assert loss == pytest.approx(sum(surprise) / sum(len(target) + 1 for target in TARGETS))


def test_a_beam_wide_enough_finds_the_best_of_all():
    model = small()
    everything = [
        (list(target), log_probability(model, SOURCES[0], target))
        for length in range(4)
        for target in itertools.product((1, 2, 3), repeat=length)
    ]
    best = max(everything, key=lambda pair: pair[1])
    ids, score = beam_search(model, SOURCES[0], k=100, most=4)[0]
    assert ids == best[0]
    assert score == pytest.approx(best[1])


def test_scores_of_a_beam_are_those_of_its_targets():
    model = small()
    found = beam_search(model, SOURCES[0], k=5, most=6)
    ended = [(ids, score) for ids, score in found if len(ids) < 6]
    assert ended and found[: len(ended)] == sorted(ended, key=lambda pair: -pair[1])
    for ids, score in ended:
        assert score == pytest.approx(log_probability(model, SOURCES[0], np.array(ids, int)))


def test_a_target_that_ended_stands_before_one_that_was_cut_off():
    model = small()
    model.params["out.b"][0] = -2  # the end is unlikely, so beginnings look better than targets
    found = beam_search(model, SOURCES[0], k=4, most=2)
    cut_off = [len(ids) == 2 for ids, _ in found]
    assert any(cut_off) and not all(cut_off)
    assert cut_off == sorted(cut_off)


def test_greedy_takes_the_likeliest_id_at_each_step():
    model = small()
    ids, _ = beam_search(model, SOURCES[0], k=1, most=5)[0]
    before = [0]
    for _ in range(5):
        z = model.forward(SOURCES[0][None], np.ones((1, 4), bool), np.array([before]))
        before.append(int(z[0, -1].argmax()))
        if before[-1] == 0:
            break
    assert [i for i in before[1:] if i != 0] == ids


def test_tasks():
    rng = np.random.default_rng(0)
    pairs = reversals(100, rng)
    assert all(target == source[::-1] for source, target in pairs)
    assert {len(source) for source, _ in pairs} == set(range(1, 9))
    for source, target in dates(50, rng):
        day, month, year = source.split()
        assert target.startswith(year)
        assert int(target[-2:]) == int(day)
        assert month.isalpha()


@pytest.mark.slow
def test_strings_of_eight_are_reversed_by_greedy_and_by_beam():
    tokenizer, rng = WordTokenizer(list(LETTERS)), np.random.default_rng(1)
    model = Seq2Seq("RNN", tokenizer.vocab_size, 12, 52, rng)
    assert model.parameters < 10_000
    train(model, tokenizer, reversals, 4000, rng, 0.003)
    new = reversals(200, np.random.default_rng(2), 8, 8)
    greedy, greedy_log_p = accuracy(model, tokenizer, new, k=1)
    beam, beam_log_p = accuracy(model, tokenizer, new, k=4)
    assert greedy >= 0.95
    assert beam >= greedy
    assert beam_log_p >= greedy_log_p


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Seq2Seq("CNN", 4, 3, 5, None), "cell: expected one of"),
        (lambda: accuracy(small(), WordTokenizer(["a"]), []), "pairs: expected at least one"),
        (lambda: beam_search(small(), np.array([], int)), "source: .* got none"),
        (lambda: beam_search(small(), np.array([4])), "source: .* got 4 to 4"),
        (lambda: beam_search(small(), np.array([1]), k=0), "k: expected a whole number"),
        (lambda: loss_and_gradients(small(), [np.array([], int)], [np.array([1])]), "at least one"),
        (lambda: loss_and_gradients(small(), [], []), "at least one"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_dates_mean_the_same_on_both_sides():
    for source, target in dates(100, np.random.default_rng(0)):
        assert datetime.datetime.strptime(source, "%d %B %Y").date().isoformat() == target


def test_accuracy_counts_whole_targets(monkeypatch):
    answers = iter([([1, 2], -1.0), ([2, 2], -2.0)])
    asked = []

    def search(model, source, k):
        asked.append(k)
        return [next(answers)]

    monkeypatch.setattr("phase_04.seq2seq.beam_search", search)
    pairs = [("ab", "ab"), ("ba", "ba")]
    assert accuracy(None, WordTokenizer(["a", "b"]), pairs, k=3) == (0.5, -1.5)
    assert asked == [3, 3]
