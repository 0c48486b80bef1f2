"""GPT-2, written with PyTorch's basic modules: from token ids to the logits of the next token.

    x      = token_embedding[ids] + position_embedding[0 … T−1]        (B, T, C)
    x      = x + attention(layer_norm(x))      in each of n_layer blocks
    x      = x + feed_forward(layer_norm(x))
    logits = layer_norm(x) @ token_embedding.T                         (B, T, V)

B sequences of T tokens; each token is C numbers; attention has H heads of D = C / H numbers.

- Radford et al. 2019, "Language Models are Unsupervised Multitask Learners": the norm comes before
  each part, one more comes after the last block, and the two projections that end on the residual
  stream start smaller, by 1 / sqrt(2 · n_layer).
- Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training": learned
  positions, GELU.

Run ``python phase-07-gpt-architecture/code/model.py`` to see the shapes and count the parameters.
"""

import argparse
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phase_07.config import GPTConfig


class CausalSelfAttention(nn.Module):
    """Every token looks at itself and the tokens before it."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.dropout = config.dropout
        self.qkv = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.projection = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, C) to (B, T, C)."""
        B, T, C = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.n_head, C // self.n_head)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
        y = y.transpose(1, 2).reshape(B, T, C)  # the heads side by side again
        return self.projection(y)


class FeedForward(nn.Module):
    """Each token by itself: widen to 4C, bend with GELU, narrow to C."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.down = nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, C) to (B, T, C)."""
        return self.down(F.gelu(self.up(x), approximate="tanh"))


class Block(nn.Module):
    """Look around, then think: each adds its result to what is already known."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.n_embd)
        self.attention = CausalSelfAttention(config)
        self.feed_forward_norm = nn.LayerNorm(config.n_embd)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, C) to (B, T, C)."""
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class GPT(nn.Module):
    """A decoder-only transformer with tied embedding and head, as in GPT-2.

    Weights start as normal numbers of standard deviation 0.02 · sqrt(768 / C): GPT-2's 0.02 at
    GPT-2's width, and larger in a narrower model, whose sums have fewer terms.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(config.block_size, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.final_norm = nn.LayerNorm(config.n_embd)
        self._initialize()

    def _initialize(self) -> None:
        std = 0.02 * math.sqrt(768 / self.config.n_embd)
        residual_std = std / math.sqrt(2 * self.config.n_layer)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                ends_on_residual = name.endswith(("projection.weight", "down.weight"))
                nn.init.normal_(parameter, std=residual_std if ends_on_residual else std)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, ids: Tensor, last_only: bool = False) -> Tensor:
        """Predict the token that follows each token.

        Parameters
        ----------
        ids
            Token ids, (B, T) with T at most ``block_size``.
        last_only
            Give only the logits after the last token, (B, 1, V), as sampling needs them.

        Returns
        -------
        Tensor
            Logits, (B, T, V).

        Raises
        ------
        ValueError
            If ``ids`` has not two axes or is longer than ``block_size``.
        """
        if ids.dim() != 2 or not 1 <= ids.shape[1] <= self.config.block_size:
            raise ValueError(
                f"expected ids of shape (B, T) with 1 <= T <= {self.config.block_size}, "
                f"got {tuple(ids.shape)}: cut the sequence, or train with a larger block_size"
            )
        positions = self.position_embedding.weight[: ids.shape[1]]  # (T, C)
        x = self.dropout(self.token_embedding(ids) + positions)  # (B, T, C)
        for block in self.blocks:
            x = block(x)
        if last_only:
            x = x[:, -1:]
        return F.linear(self.final_norm(x), self.token_embedding.weight)  # (B, T, V)

    def n_parameters(self) -> int:
        """How many numbers training adjusts; the tied head is counted once."""
        return sum(parameter.numel() for parameter in self.parameters())


def main() -> None:
    """Show the shapes in a small GPT and count the parameters of GPT-2 small."""
    argparse.ArgumentParser(description="Shapes and parameters of our GPT-2.").parse_args()

    torch.manual_seed(0)
    config = GPTConfig(vocab_size=256, block_size=32, n_layer=2, n_head=4, n_embd=64)
    model = GPT(config)
    ids = torch.randint(config.vocab_size, (3, 32))
    logits = model(ids)
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    print(f"ids           {tuple(ids.shape)}")
    print(f"logits        {tuple(logits.shape)}")
    print(f"loss          {loss.item():.2f}, and ln(256) = {math.log(256):.2f}")
    print(f"parameters    {model.n_parameters():,}")
    with torch.device("meta"):  # shapes without memory
        print(f"GPT-2 small   {GPT(GPTConfig()).n_parameters():,}")


if __name__ == "__main__":
    main()
