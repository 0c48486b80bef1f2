"""The recurrent language model: all gradients, rows of unequal length, truncation, a story told."""

from itertools import pairwise

import numpy as np
import pytest

from phase_00.softmax import log_softmax
from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_04.language_model import CELLS, SIZES, RecurrentLM, loss_and_gradients, train
from shared.language_model import TextModel, make_row, pad, tell
from shared.stories import stories
from shared.word_tokenizer import WordTokenizer

ROWS = [np.array([0, 1, 2, 1, 0]), np.array([0, 2, 0]), np.array([0, 3, 3, 3, 3, 1, 0])]


def small(cell, dtype=np.float64):
    model, r = RecurrentLM(cell, 4, 3, 5, np.random.default_rng(0), dtype), np.random.default_rng(1)
    for array in model.params.values():
        array[...] = r.normal(size=array.shape) / 2
    return model


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_all_parameters_in_rows_of_unequal_length(cell):
    model, (ids, real) = small(cell), pad(ROWS, 0)
    _, grads, _ = loss_and_gradients(model, ids, real)
    errors = check_gradients(lambda: loss_and_gradients(model, ids, real)[0], model.params, grads)
    assert max(errors.values()) < TOLERANCE


@pytest.mark.parametrize("cell", CELLS)
def test_the_loss_of_a_batch_is_that_of_its_rows_alone(cell):
    model, (ids, real) = small(cell), pad(ROWS, 0)
    loss, _, _ = loss_and_gradients(model, ids, real)
    surprise = [-model.row_log_probabilities([row])[0] for row in ROWS]
    assert loss == pytest.approx(sum(surprise) / sum(len(row) - 1 for row in ROWS))
    np.testing.assert_allclose(model.row_log_probabilities(ROWS), -np.array(surprise))


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_filled_up_changes_nothing(cell):
    model, (ids, real) = small(cell), pad(ROWS, 0)
    other = np.where(real, ids, 3)
    first, second = (loss_and_gradients(model, table, real) for table in (ids, other))
    assert first[0] == second[0]
    for name, grad in first[1].items():
        np.testing.assert_allclose(second[1][name], grad, atol=1e-14)


def test_forgetting_one_end_of_the_table_is_found(monkeypatch):
    model, (ids, real) = small("RNN"), pad(ROWS, 0)
    monkeypatch.setattr(
        model.embedding, "backward", lambda blame: (None, {"W": np.zeros_like(model.params["E"])})
    )
    _, grads, _ = loss_and_gradients(model, ids, real)
    without = check_gradients(
        lambda: loss_and_gradients(model, ids, real)[0],
        {"E": model.params["E"]},
        {"E": grads["E"]},
    )
    assert without["E"] > 1e-3


def test_scores_are_sums_over_softmax():
    model = small("LSTM")
    log_p = log_softmax(model.forward(ROWS[0][None, :-1])[0])[0]
    expected = sum(log_p[t, after] for t, after in enumerate(ROWS[0][1:]))
    assert model.row_log_probabilities([ROWS[0], np.array([0])]) == [pytest.approx(expected), 0]


def test_a_repeated_pattern_is_learned_and_truncation_costs_what_is_further_back():
    # the second id decides the one before last, 6 steps later
    rows = [np.array([0, mark, 3, 3, 3, 3, 3, mark, 0]) for mark in (1, 2)]
    losses = {}
    for steps_back in (8, 3):
        model = RecurrentLM("LSTM", 4, 4, 10, np.random.default_rng(0), np.float64)
        train(model, rows, 300, np.random.default_rng(1), 16, steps_back, 0.02)
        losses[steps_back] = -np.mean(model.row_log_probabilities(rows))
    assert losses[8] == pytest.approx(np.log(2), abs=0.02)  # only the mark itself surprises
    assert losses[3] > losses[8]


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_stories_are_learned_with_fewer_than_ten_thousand_parameters(cell):
    texts = [story.text for story in stories("train", 0, 3000)]
    told = list(stories("validation", 0, 50))
    tokenizer = WordTokenizer.learn(texts, vocab_size=1000)
    rng = np.random.default_rng(0)
    model = RecurrentLM(cell, tokenizer.vocab_size, *SIZES[cell], rng)
    assert model.parameters < 10_000
    losses = train(model, [make_row(tokenizer, text) for text in texts], 300, rng)
    assert len(losses) == 300
    assert 0 < TextModel(tokenizer, model.row_log_probabilities).score(told).gap < 1
    assert tell(model.next_probabilities, tokenizer, rng, most=5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RecurrentLM("CNN", 4, 3, 5, None), "cell: expected one of RNN, GRU, LSTM"),
        (lambda: small("RNN").forward([[4]]), "from 0 to 3, got 4 to 4"),
        (lambda: small("RNN").forward(np.zeros((1, 0), int)), "got none: an empty sequence"),
        (lambda: small("RNN").row_log_probabilities([np.array([], int)]), "an empty sequence"),
        (lambda: train(small("RNN"), ROWS, 0, np.random.default_rng(0)), "steps: expected a whole"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("row", [[0, 4], [0, -1], [0.9, 3.9], [77], []])
def test_an_unknown_id_is_refused_wherever_it_stands(row):
    with pytest.raises(ValueError, match="expected token ids from 0 to 3"):
        small("RNN").row_log_probabilities([np.array(row)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [np.array([0])]}, "nothing to predict"),
        ({"rows": []}, "nothing to predict"),
        ({"batch_size": -1}, "batch_size: expected"),
        ({"batch_size": 1.5}, "batch_size: expected"),
        ({"steps": 0}, "steps: expected"),
    ],
)
def test_training_on_nothing_is_refused(change, message):
    arguments = {"rows": ROWS, "steps": 1, "batch_size": 2} | change
    with pytest.raises(ValueError, match=message):
        train(small("LSTM"), rng=np.random.default_rng(0), **arguments)


def test_a_mask_that_counts_nothing_is_refused():
    model, (ids, real) = small("RNN"), pad(ROWS, 0)
    for mask in (np.zeros_like(real), real.astype(int), real[:, :-1]):
        with pytest.raises(ValueError, match="counts: expected True and False"):
            loss_and_gradients(model, ids, mask)


def test_backward_before_forward_is_refused():
    with pytest.raises(ValueError, match="call forward first"):
        small("GRU").backward(np.zeros((1, 1, 4)))


def test_training_reads_each_row_once_and_carries_the_state(monkeypatch):
    seen = []

    def record(model, ids, real, start):
        result = loss_and_gradients(model, ids, real, start)
        seen.append((ids, start, result[2]))
        return result

    monkeypatch.setattr("phase_04.language_model.loss_and_gradients", record)
    row = np.array([0, *np.random.default_rng(0).integers(1, 4, size=9), 0])
    train(small("LSTM"), [row], 3, np.random.default_rng(0), batch_size=2, steps_back=4)
    assert [ids.shape for ids, _, _ in seen] == [(2, 5), (2, 5), (2, 3)]
    predicted = np.concatenate([ids[0, 1:] for ids, _, _ in seen])
    np.testing.assert_array_equal(predicted, row[1:])
    assert seen[0][1] is None
    for (_, _, last), (_, start, _) in pairwise(seen):
        assert start is last


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_in_two_pieces_is_the_row(cell):
    model, ids = small(cell), np.array([[0, 1, 2, 3, 1]])
    whole, last = model.forward(ids)
    first, state = model.forward(ids[:, :2])
    second, end = model.forward(ids[:, 2:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-12)
    np.testing.assert_allclose(end, last, rtol=1e-12)


def test_what_follows_a_row_is_what_the_row_log_probabilities_say():
    model, row = small("GRU"), np.array([0, 2, 1, 1, 3])
    p = model.next_probabilities(row)
    longer, shorter = model.row_log_probabilities([np.append(row, 2), row])
    assert p.sum() == pytest.approx(1)
    assert np.log(p[2]) == pytest.approx(longer - shorter)


def test_more_rows_than_go_through_at_once():
    model = small("RNN")
    rows = [np.array([0, i % 3 + 1, i % 2]) for i in range(205)] + [np.array([0])]
    alone = [model.row_log_probabilities([row])[0] for row in rows]
    np.testing.assert_allclose(model.row_log_probabilities(rows), alone, rtol=1e-12)
