"""The neural language model: windows by hand, gradients by nudging, better than the trigram."""

import numpy as np
import pytest

from phase_02.gradient_check import TOLERANCE, check_gradients
from phase_02.losses import SoftmaxCrossEntropy
from phase_03.neural_lm import NeuralLM, train_on_stories, windows
from phase_03.ngram import NGram
from shared.language_model import TextModel, make_row, tell
from shared.stories import stories
from shared.word_tokenizer import WordTokenizer


def rng(seed=0):
    return np.random.default_rng(seed)


def small(dtype=np.float64):
    return NeuralLM(7, context=3, width=4, hidden=5, rng=rng(), dtype=dtype)


def test_windows_by_hand():
    contexts, after = windows([np.array([0, 5, 6, 0])], 2, 7)
    assert contexts.tolist() == [[0, 0], [0, 5], [5, 6]]
    assert after.tolist() == [5, 6, 0]


def test_gradients_of_all_parameters():
    model, loss = small(), SoftmaxCrossEntropy()
    for array in model.params.values():
        array[...] = rng(1).normal(size=array.shape)
    ids, y = [[1, 1, 2], [0, 2, 1], [2, 2, 2], [6, 5, 4]], [3, 1, 0, 6]
    loss.forward(model.forward(ids), y)
    _, grads = model.backward(loss.backward())
    errors = check_gradients(lambda: loss.forward(model.forward(ids), y), model.params, grads)
    assert set(errors) == {"E", "0.W", "0.b", "2.W", "2.b"}
    assert max(errors.values()) < TOLERANCE


def test_only_the_context_counts():
    model = small()
    a, b = np.array([0, 1, 2, 3, 4, 5]), np.array([0, 6, 2, 3, 4, 5])
    last = [model.forward(windows([row], 3, 7)[0])[-1] for row in (a, b)]
    np.testing.assert_array_equal(*last)  # 1 or 6 is four places back, and three are seen


def test_rows_are_scored_as_the_sum_of_their_places():
    model, rows = small(), [np.array([0, 1, 2, 0]), np.array([0, 0])]
    loss = SoftmaxCrossEntropy()
    expected = [
        -loss.forward(model.forward(contexts), after) * len(after)
        for contexts, after in (windows([row], 3, 7) for row in rows)
    ]
    np.testing.assert_allclose(model.row_log_probabilities(rows), expected)


@pytest.mark.slow
def test_it_beats_the_trigram_with_fewer_than_ten_thousand_parameters():
    texts = [story.text for story in stories("train", 0, 20_000)]
    told = list(stories("validation", 0, 100))
    tokenizer = WordTokenizer.learn(texts, vocab_size=1000)
    model, losses = train_on_stories(texts, tokenizer)
    assert sum(array.size for array in model.params.values()) == 9339
    assert np.mean(losses[-100:]) < np.mean(losses[100:200])
    rows = [make_row(tokenizer, text) for text in texts]
    bits = [
        TextModel(tokenizer, m.row_log_probabilities).score(told).bits_per_character
        for m in (NGram(3, tokenizer.vocab_size).fit(rows), model)
    ]
    assert bits[1] < 0.85 * bits[0]
    assert "the" in tell(model.next_probabilities, tokenizer, rng())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: small().forward([[1, 2]]), r"ids of shape \(N, 3\), got shape \(1, 2\)"),
        (lambda: small().forward([1, 2, 3]), r"got shape \(3,\)"),
        (lambda: small().forward([[1, 2, 7]]), "from 0 to 6, got 1 to 7"),
        (lambda: windows([np.array([], int)], 2, 7), "got none"),
        (lambda: NeuralLM(7, 0, 4, 5, rng()), "context: expected a whole number"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_row_of_one_id_has_nothing_to_predict():
    model = NeuralLM(4, context=3, width=2, hidden=3, rng=rng())
    assert model.row_log_probabilities([np.array([0]), np.array([0, 1])])[0] == 0.0


def test_what_follows_a_row_is_what_the_row_log_probabilities_say():
    model = NeuralLM(4, context=3, width=2, hidden=3, rng=rng())
    p = model.next_probabilities(np.array([0, 2, 1, 1, 3]))
    longer, row = model.row_log_probabilities(
        [np.array([0, 2, 1, 1, 3, 2]), np.array([0, 2, 1, 1, 3])]
    )
    assert p.sum() == pytest.approx(1)
    assert np.log(p[2]) == pytest.approx(longer - row, rel=1e-5)


def test_an_unknown_id_is_refused_even_alone():
    model = NeuralLM(4, context=3, width=2, hidden=3, rng=rng())
    with pytest.raises(ValueError, match="row: expected token ids from 0 to 3"):
        model.row_log_probabilities([np.array([77])])
