"""Our GPT against PyTorch's own layers, and the properties that make it a language model."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from phase_07.config import GPTConfig
from phase_07.model import GPT

SMALL = GPTConfig(vocab_size=50, block_size=12, n_layer=2, n_head=2, n_embd=16)


def make_model(config=SMALL, seed=0):
    """A GPT whose every parameter is random: zero biases would hide mistakes."""
    torch.manual_seed(seed)
    model = GPT(config)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def reference_logits(model, ids):
    """The same model out of ``nn.TransformerEncoderLayer``, with its weights."""
    config = model.config
    x = model.token_embedding(ids) + model.position_embedding.weight[: ids.shape[1]]
    mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1], dtype=x.dtype)
    for block in model.blocks:
        layer = nn.TransformerEncoderLayer(
            config.n_embd,
            config.n_head,
            4 * config.n_embd,
            dropout=0.0,
            activation=nn.GELU(approximate="tanh"),
            batch_first=True,
            norm_first=True,
        ).double()
        ours = {
            "self_attn.in_proj_weight": block.attention.qkv.weight,
            "self_attn.in_proj_bias": block.attention.qkv.bias,
            "self_attn.out_proj.weight": block.attention.projection.weight,
            "self_attn.out_proj.bias": block.attention.projection.bias,
            "linear1.weight": block.feed_forward.up.weight,
            "linear1.bias": block.feed_forward.up.bias,
            "linear2.weight": block.feed_forward.down.weight,
            "linear2.bias": block.feed_forward.down.bias,
            "norm1.weight": block.attention_norm.weight,
            "norm1.bias": block.attention_norm.bias,
            "norm2.weight": block.feed_forward_norm.weight,
            "norm2.bias": block.feed_forward_norm.bias,
        }
        assert set(ours) == set(layer.state_dict())
        x = torch.func.functional_call(layer, ours, (x, mask))
    return model.final_norm(x) @ model.token_embedding.weight.T


def test_equals_pytorch_layers_in_output_and_gradients():
    model = make_model().double()
    ids = torch.randint(50, (3, 12))
    cotangent = torch.randn(3, 12, 50, dtype=torch.float64)
    ours, reference = model(ids), reference_logits(model, ids)
    torch.testing.assert_close(ours, reference, rtol=1e-10, atol=1e-10)
    parameters = list(model.parameters())
    for got, expected in zip(
        torch.autograd.grad(ours, parameters, cotangent),
        torch.autograd.grad(reference, parameters, cotangent),
        strict=True,
    ):
        assert expected.abs().max() > 0
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def test_no_token_sees_a_later_one():
    model = make_model()
    ids = torch.randint(49, (2, 12))
    before = model(ids)
    for t in range(12):
        changed = ids.clone()
        changed[:, t] += 1
        after = model(changed)
        assert torch.equal(after[:, :t], before[:, :t])
        assert (after[:, t:] != before[:, t:]).any(dim=2).all()


def test_one_token_and_one_sequence():
    model = make_model()
    ids = torch.randint(50, (3, 5))
    whole = model(ids)
    torch.testing.assert_close(model(ids[:1, :1]), whole[:1, :1])
    torch.testing.assert_close(model(ids, last_only=True), whole[:, -1:])
    assert model(ids).shape == (3, 5, 50)


def test_124_million_parameters():
    with torch.device("meta"):
        assert GPT(GPTConfig()).n_parameters() == 124_439_808


def test_untrained_model_is_about_as_surprised_as_a_fair_draw():
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=500, block_size=16, n_layer=2, n_head=2, n_embd=64)
    ids = torch.randint(500, (16, 17))
    loss = F.cross_entropy(GPT(config)(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(500), rel=0.05)


def test_weights_start_with_the_stated_spread():
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=500, block_size=64, n_layer=8, n_head=4, n_embd=192))
    std = 0.02 * math.sqrt(768 / 192)
    block = model.blocks[3]
    assert block.feed_forward.up.weight.std().item() == pytest.approx(std, rel=0.05)
    assert block.feed_forward.down.weight.std().item() == pytest.approx(std / 4, rel=0.05)
    assert block.attention.projection.weight.std().item() == pytest.approx(std / 4, rel=0.05)
    assert block.attention.qkv.bias.abs().max() == 0
    assert block.attention_norm.weight.min() == 1


def test_dropout_acts_in_training_only():
    model = make_model(GPTConfig(vocab_size=50, block_size=12, n_head=2, n_embd=16, dropout=0.5))
    ids = torch.randint(50, (1, 12))
    assert not torch.equal(model(ids), model(ids))
    model.eval()
    assert torch.equal(model(ids), model(ids))


@pytest.mark.parametrize("shape", [(2, 13), (2, 0), (12,), (1, 2, 3)])
def test_ids_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected ids of shape \(B, T\) with 1 <= T <= 12, got"):
        make_model()(torch.zeros(shape, dtype=torch.long))
