"""One trained layer and a table of counts: the same probabilities, the same score."""

import numpy as np
import pytest

from phase_00.softmax import softmax
from phase_02.optimizers import Adam
from phase_02.train_mlp import train
from phase_03.bigram_network import pairs, row_log_probabilities
from phase_03.embedding import Embedding
from phase_03.ngram import NGram
from shared.language_model import TextModel, make_row
from shared.stories import stories
from shared.word_tokenizer import WordTokenizer


def test_pairs_by_hand():
    last, after = pairs([np.array([0, 1, 2]), np.array([0, 0])])
    assert last.tolist() == [0, 1, 0]
    assert after.tolist() == [1, 2, 0]


def test_a_table_of_logarithms_scores_as_the_counts():
    rows = [np.array([0, 1, 1, 2, 0]), np.array([0, 2, 1, 0])]
    counts = NGram(2, 3, alpha=1).fit(rows)
    network = Embedding(3, 3, np.random.default_rng(0))
    network.params["W"][...] = np.log([counts.next_probabilities(np.array([v])) for v in range(3)])
    np.testing.assert_allclose(
        row_log_probabilities(network, rows), counts.row_log_probabilities(rows)
    )


@pytest.mark.slow
def test_training_arrives_at_the_counts():
    texts = [story.text for story in stories("train", 0, 20_000)]
    told = list(stories("validation", 0, 200))
    tokenizer = WordTokenizer.learn(texts, vocab_size=1)
    V = tokenizer.vocab_size
    rows = [make_row(tokenizer, text) for text in texts]
    counts, rng = NGram(2, V).fit(rows), np.random.default_rng(1)
    network = Embedding(V, V, rng, np.float32)
    train(network, Adam(network.params, 0.3), *pairs(rows), 2000, 4096, rng)

    def bits(log_probabilities):
        return TextModel(tokenizer, log_probabilities).score(told).bits_per_character

    trained = bits(lambda rows: row_log_probabilities(network, rows))
    assert abs(trained - bits(counts.row_log_probabilities)) < 1e-3
    often = [v for v in range(V) if np.sum(pairs(rows)[0] == v) > 50_000]
    for v in often:
        np.testing.assert_allclose(
            softmax(network.params["W"][v]), counts.next_probabilities(np.array([v])), atol=0.02
        )


@pytest.mark.parametrize("row", [[0, 3], [0, -1], [0.5, 1.0]])
def test_an_unknown_id_is_refused(row):
    with pytest.raises(ValueError, match="row: expected token ids from 0 to 2"):
        row_log_probabilities(Embedding(3, 3, np.random.default_rng(0)), [np.array(row)])
