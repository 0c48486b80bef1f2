"""The benchmark compares the same model with itself."""

import pytest
import torch
from tiny_run import run_script

from phase_07.config import GPTConfig
from phase_07.model import GPT
from phase_08.benchmark import TextbookGPT, tokens_per_second


def test_the_textbook_model_has_our_shape_and_computes_the_same():
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=30, block_size=9, n_layer=2, n_head=2, n_embd=8)
    ours, textbook = GPT(config).double(), TextbookGPT(config).double()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    names = {
        "token_embedding": "tokens",
        "position_embedding": "positions",
        "blocks": "layers.layers",
        "attention.qkv.": "self_attn.in_proj_",
        "attention.projection": "self_attn.out_proj",
        "attention_norm": "norm1",
        "feed_forward_norm": "norm2",
        "feed_forward.up": "linear1",
        "feed_forward.down": "linear2",
        "final_norm": "layers.norm",
    }
    weights = {}
    for name, value in ours.state_dict().items():
        for our_part, textbook_part in names.items():
            name = name.replace(our_part, textbook_part)
        weights[name] = value
    weights["head.weight"] = weights["tokens.weight"]
    textbook.load_state_dict(weights)
    assert sum(p.numel() for p in textbook.parameters()) == ours.n_parameters()
    ids = torch.randint(30, (3, 9))
    torch.testing.assert_close(textbook(ids), ours(ids), rtol=1e-10, atol=1e-10)


def test_speed_counts_the_tokens_of_the_steps_it_did():
    done = []
    speed = tokens_per_second(lambda number: done.append(number) or 1000, 5, 3)
    assert done == [5, 6, 7]
    assert speed > 3000


@pytest.mark.slow
def test_script(tmp_path):
    finished = run_script(tmp_path, "benchmark", "--rounds", 2, "--steps", 1)
    assert finished.returncode == 0, finished.stderr
    for word in ("ours", "textbook", "tokens/s", "quotient", "GiB"):
        assert word in finished.stdout
    assert list(tmp_path.iterdir()) == []
