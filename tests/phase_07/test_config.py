"""The sizes of a GPT are checked when they are chosen."""

import pytest

from phase_07.config import GPTConfig


def test_defaults_are_gpt2_small():
    config = GPTConfig()
    assert (config.n_layer, config.n_head, config.n_embd) == (12, 12, 768)
    assert (config.vocab_size, config.block_size, config.head_dim) == (50257, 1024, 64)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_embd": -768}, "n_embd: expected at least 1, got -768"),
        ({"n_layer": 0}, "n_layer: expected at least 1, got 0"),
        ({"n_embd": 100, "n_head": 12}, "multiple of n_head = 12, got 100: the nearest is 96"),
        ({"n_embd": 2, "n_head": 12}, "the nearest is 12"),
        ({"dropout": 1.0}, "dropout: expected a share from 0 to below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout: expected a share from 0 to below 1, got -0.1"),
    ],
)
def test_impossible_sizes_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        GPTConfig(**fields)
