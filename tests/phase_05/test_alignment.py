"""Looking back at the source: all gradients, beams of several answers, what one state cannot."""

from functools import partial

import numpy as np
import pytest

from phase_00.softmax import log_softmax
from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_04.seq2seq import (
    LETTERS,
    Seq2Seq,
    accuracy,
    beam_search,
    loss_and_gradients,
    reversals,
    train,
)
from phase_05.alignment import AligningSeq2Seq, alignment
from shared.word_tokenizer import WordTokenizer

SOURCES = [np.array([1, 2, 2, 3]), np.array([3]), np.array([2, 1])]
TARGETS = [np.array([3, 1]), np.array([1, 1, 2]), np.array([], int)]
REAL = np.array([[True] * 4, [True, False, False, False], [True, True, False, False]])


def small(cell="LSTM", dtype=np.float64, kind=AligningSeq2Seq):
    model, r = kind(cell, 4, 3, 5, 4, np.random.default_rng(0), dtype), np.random.default_rng(1)
    for array in model.params.values():
        array[...] = r.normal(size=array.shape)
    return model


def worst(model, sources=SOURCES, targets=TARGETS):
    """The relative error of each parameter's gradient."""
    _, grads = loss_and_gradients(model, sources, targets)
    return check_gradients(
        lambda: loss_and_gradients(model, sources, targets)[0], model.params, grads
    )


def log_probability(model, source, target):
    """ln p of one target and its end mark, without a batch and without a beam."""
    before = np.concatenate([[0], target]).astype(int)
    z = model.forward(source[None], np.ones((1, len(source)), bool), before[None])[0]
    after = [*target, 0]
    return float(sum(log_softmax(z)[t, i] for t, i in enumerate(after)))


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_gradients_of_all_parameters_with_unequal_lengths(cell):
    errors = worst(small(cell))
    assert {"look.W_q", "look.W_k", "look.w"} < set(errors)
    assert max(errors.values()) < TOLERANCE


def test_gradients_of_one_pair_of_one_id():
    assert max(worst(small(), [np.array([2])], [np.array([], int)]).values()) < TOLERANCE


class Forgetful(AligningSeq2Seq):
    """The same model, whose backward pass forgets one way that blame takes."""

    forgets = ""

    def backward(self, dL_dz):
        kept = self.look.backward

        def without(dL_da):
            dL_dasked, dL_dpages, grads = kept(dL_da)
            if self.forgets == "the question":
                dL_dasked = np.zeros_like(dL_dasked)
            if self.forgets == "the pages":
                dL_dpages = np.zeros_like(dL_dpages)
            return dL_dasked, dL_dpages, grads

        self.look.backward = without
        try:
            return super().backward(dL_dz)
        finally:
            del self.look.backward


@pytest.mark.parametrize(
    ("forgets", "right"),
    [
        ("nothing", None),
        ("the question", {"look", "out"}),
        ("the pages", {"look", "out", "decoder"}),
    ],
)
def test_the_check_finds_blame_that_was_forgotten(forgets, right):
    model = small("RNN", kind=Forgetful)
    model.forgets = forgets
    errors = worst(model)
    for name, error in errors.items():
        passes = right is None or name.split(".")[0] in right
        assert error < TOLERANCE if passes else error > 1e-3


def test_the_loss_of_a_batch_is_that_of_its_pairs_alone():
    model = small()
    loss, _ = loss_and_gradients(model, SOURCES, TARGETS)
    pairs = zip(SOURCES, TARGETS, strict=True)
    surprise = [-log_probability(model, source, target) for source, target in pairs]
    assert loss == pytest.approx(sum(surprise) / sum(len(target) + 1 for target in TARGETS))


def test_filler_is_not_looked_at_and_changes_nothing():
    model, before = small(), np.array([[0, 3], [0, 1], [0, 2]])
    table = np.array([[1, 2, 2, 3], [3, 0, 0, 0], [2, 1, 0, 0]])
    logits = model.forward(table, REAL, before)
    shares = model.look.attention
    assert shares.shape == (3, 2, 4)
    np.testing.assert_allclose(shares.sum(axis=-1), 1)
    assert not shares[np.broadcast_to(~REAL[:, None], shares.shape)].any()
    other = np.where(REAL, table, 1)
    np.testing.assert_array_equal(model.forward(other, REAL, before), logits)


def test_without_a_look_nothing_else_differs_from_one_state():
    model = small()
    model.params["out.W"][5:] = 0  # what was looked at does not reach the logits
    plain = Seq2Seq("LSTM", 4, 3, 5, np.random.default_rng(0), np.float64)
    for name, array in plain.params.items():
        array[...] = model.params[name][: len(array)]
    loss, _ = loss_and_gradients(model, SOURCES, TARGETS)
    assert loss == pytest.approx(loss_and_gradients(plain, SOURCES, TARGETS)[0], rel=1e-12)


def test_scores_of_a_beam_are_those_of_its_targets_one_by_one():
    model = small()
    found = beam_search(model, SOURCES[0], k=40, most=6)
    ended = [(ids, score) for ids, score in found if len(ids) < 6]
    assert len(ended) > 5 and ended == sorted(ended, key=lambda pair: -pair[1])
    for ids, score in ended:
        assert score == pytest.approx(log_probability(model, SOURCES[0], np.array(ids, int)))


def test_several_answers_look_at_one_source_as_each_alone_does():
    model, real = small(), np.ones((1, 4), bool)
    state = model.encode(SOURCES[0][None], real)
    before = np.array([[0, 1, 2], [0, 3, 3], [0, 2, 1]])
    together, _ = model.decode(np.repeat(state, 3, axis=0), before)
    shares = model.look.attention
    for b, row in enumerate(before):
        alone = model.forward(SOURCES[0][None], real, row[None])
        np.testing.assert_allclose(together[b], alone[0], rtol=1e-12)
        np.testing.assert_allclose(shares[b], model.look.attention[0], rtol=1e-12)


def test_the_map_has_a_row_for_each_id_written_and_for_the_end():
    tokenizer = WordTokenizer(["a", "b", "c"])
    answer, alpha = alignment(small(), tokenizer, "abca")
    assert alpha.shape == (len(answer) + 1, 4)
    np.testing.assert_allclose(alpha.sum(axis=-1), 1)


def test_float32_stays_float32():
    model = small(dtype=np.float32)
    _, grads = loss_and_gradients(model, SOURCES, TARGETS)
    assert {array.dtype for array in (*model.params.values(), *grads.values())} == {
        np.dtype(np.float32)
    }


def trained(kind):
    """A model that was shown strings of 1 to 12 letters for 2,000 steps."""
    tokenizer, r = WordTokenizer(list(LETTERS)), np.random.default_rng(1)
    if kind is Seq2Seq:
        model = Seq2Seq("RNN", tokenizer.vocab_size, 12, 52, r)
    else:
        model = AligningSeq2Seq("RNN", tokenizer.vocab_size, 10, 36, 20, r)
    train(model, tokenizer, partial(reversals, longest=12), 2000, r, 0.003)
    return model, tokenizer


@pytest.mark.slow
def test_twelve_letters_are_reversed_by_looking_back_and_not_from_one_state():
    new = reversals(100, np.random.default_rng(3), 12, 12)
    one_state, tokenizer = trained(Seq2Seq)
    model, _ = trained(AligningSeq2Seq)
    assert model.parameters < one_state.parameters < 10_000
    assert accuracy(one_state, tokenizer, new)[0] < 0.5
    assert accuracy(model, tokenizer, new)[0] > 0.9
    # the letter that is written is the one that is looked at
    places = []
    for source, _ in new[:20]:
        answer, alpha = alignment(model, tokenizer, source)
        if answer == source[::-1]:
            places += (alpha[:12].argmax(axis=-1) == np.arange(12)[::-1]).tolist()
    assert np.mean(places) > 0.9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AligningSeq2Seq("CNN", 4, 3, 5, 4, None), "cell: expected one of"),
        (
            lambda: AligningSeq2Seq("RNN", 4, 3, 5, 0, np.random.default_rng(0)),
            "hidden: expected a whole number",
        ),
        (lambda: alignment(small(), WordTokenizer(["a"]), ""), "source: .* got none"),
        (lambda: beam_search(small(), np.array([4])), "source: .* got 4 to 4"),
        (lambda: loss_and_gradients(small(), [np.array([], int)], [np.array([1])]), "at least one"),
        (lambda: loss_and_gradients(small(), [], []), "at least one"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_map_is_what_the_model_looked_at_while_it_wrote_its_answer():
    tokenizer, model = WordTokenizer(["a", "b", "c"]), small()
    answer, looked = alignment(model, tokenizer, "abca")
    best, _ = beam_search(model, np.array(tokenizer.encode("abca")), k=1)[0]
    assert answer == tokenizer.decode(best)
    source = np.array([tokenizer.encode("abca")])
    model.forward(source, np.ones((1, 4), bool), np.array([[tokenizer.end, *best]]))
    np.testing.assert_array_equal(looked, model.look.attention[0])
