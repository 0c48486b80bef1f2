"""Training the NumPy GPT: first what must succeed, then what can, then stories.

    overfit    one batch of stories, again and again       the loss must go to 0
    copy       4 7 0 7 1 9 | 4 7 0 7 1 9                   look back six places
    reverse    4 7 0 7 1 9 | 9 1 7 0 7 4                   look back one place, three, five, …
    sort       4 7 0 7 1 9 | 0 1 4 7 7 9                   look for the next larger digit
    stories    the ladder's rung: bits per character and five probes

Ids are (B, T), a batch of rows. Only what comes after the bar counts in the tasks' loss, and the
answer is written greedily, one id after the other. A model that cannot overfit one batch has a bug;
one that can, and cannot sort, has too little of something. So the order is the order of debugging.

Stories take about four minutes on one core. The trained model is kept in ``gpt_stories.npz``, its
rung in ``ladder.json``. Explained in ``notes/training.md``. Run
``python phase-05-attention-numpy/code/train_gpt_numpy.py``.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phase_00.softmax import softmax
from phase_02.layers import Layer
from phase_02.optimizers import Adam, clip_gradients, warmup_cosine
from phase_04.language_model import next_id_loss
from phase_05.gpt_numpy import GPT
from shared.checks import check_count
from shared.ladder import Rung, load, measure, save
from shared.language_model import Ids, TextModel, Tokenizer, make_row, pad, tell
from shared.plotting import BLUE, GRAY, GREEN, ORANGE, PINK, draw_smooth, save_figure
from shared.probes import LUCK, PHENOMENA
from shared.progress import progress
from shared.script import shown
from shared.stories import Story, stories
from shared.word_tokenizer import WordTokenizer

Array = NDArray[Any]
Batch = tuple[Ids, NDArray[np.bool_]]  # rows (B, T + 1), and which of their ids are to be predicted

PHASE = Path(__file__).resolve().parents[1]
STEPS = 10_000  # on stories: under four minutes on one core
DIGITS, BAR = 6, 10  # how many digits a row has; the id of the bar, after those of 0 … 9
TASKS: dict[str, Callable[[Array], Array]] = {
    "copy": lambda digits: digits,
    "reverse": lambda digits: digits[:, ::-1],
    "sort": lambda digits: np.sort(digits, axis=1),
}


def train(
    model: Layer,
    draw_batch: Callable[[], Batch],
    steps: int,
    learning_rate: float = 0.005,
    name: str = "GPT",
    watch: Callable[[int], None] | None = None,
) -> list[float]:
    """Train on new batches; returns the loss of each step.

    The learning rate rises for a twentieth of the steps and falls in half a cosine; gradients are
    clipped to length 1. ``watch`` is called with the number of each step, before it.
    """
    optimizer, losses = Adam(model.params, learning_rate, beta2=0.99), []
    for step in progress(range(check_count("steps", steps)), f"training {name}"):
        optimizer.learning_rate = warmup_cosine(step, steps, learning_rate, steps // 20)
        if watch is not None:
            watch(step)
        ids, counts = draw_batch()
        z = model.forward(ids[:, :-1], training=True)
        value, dL_dz = next_id_loss(z, ids[:, 1:], counts[:, 1:])
        _, grads = model.backward(dL_dz)
        optimizer.step(clip_gradients(grads, 1.0)[0])
        losses.append(value)
    return losses


def draw_task(task: str, count: int, rng: np.random.Generator) -> Batch:
    """Draw rows of six digits, the bar and the answer, (count, 13); only the answer counts."""
    if task not in TASKS:
        raise ValueError(f"task: expected one of {', '.join(TASKS)}, got {task!r}: try 'sort'")
    digits = rng.integers(10, size=(check_count("count", count), DIGITS))
    ids = np.concatenate([digits, np.full((count, 1), BAR), TASKS[task](digits)], axis=1)
    return ids, np.broadcast_to(np.arange(ids.shape[1]) > DIGITS, ids.shape)


def share_right(model: GPT, ids: Ids) -> float:
    """Return the share of rows (count, 13) whose answer the model writes without a mistake."""
    written = ids[:, : DIGITS + 1]
    for _ in range(DIGITS):
        likeliest = model.forward(written)[:, -1:].argmax(axis=-1)
        written = np.concatenate([written, likeliest], axis=1)
    return float(np.mean((written == ids).all(axis=1)))


def train_on_task(task: str, steps: int = 800, seed: int = 0) -> tuple[GPT, list[float], float]:
    """Train a GPT of 6,960 parameters; returns it, its losses, and its share of 1,000 new rows."""
    rng = np.random.default_rng(seed)
    model = GPT(BAR + 1, 2 * DIGITS, n_layer=2, n_head=2, n_embd=16, rng=rng)
    losses = train(model, lambda: draw_task(task, 64, rng), steps, name=task)
    return model, losses, share_right(model, draw_task(task, 1000, np.random.default_rng(1))[0])


def story_gpt(tokenizer: Tokenizer, rng: np.random.Generator) -> GPT:
    """Return an untrained GPT for stories of up to 160 tokens: 8,460 parameters with V = 229."""
    return GPT(tokenizer.vocab_size, 160, n_layer=2, n_head=3, n_embd=12, rng=rng)


def overfit(texts: Sequence[str], tokenizer: Tokenizer, steps: int = 300) -> list[float]:
    """Train a new GPT on one and the same batch of texts; returns the loss of each step."""
    ids, real = pad([make_row(tokenizer, text) for text in texts], filler=0)
    model = story_gpt(tokenizer, np.random.default_rng(0))
    return train(model, lambda: (ids, real), steps, learning_rate=0.02, name="one batch")


def train_on_stories(
    texts: Sequence[str],
    tokenizer: Tokenizer,
    steps: int,
    watch: Callable[[GPT, int], None] = lambda model, step: None,
) -> tuple[GPT, list[float]]:
    """Train a GPT on stories, 16 at a time; returns it and its losses.

    ``watch`` is called with the model and the number of each step, before it.
    """
    rng = np.random.default_rng(0)
    model = story_gpt(tokenizer, rng)
    rows = [make_row(tokenizer, text) for text in texts]
    if not rows:
        raise ValueError("texts: expected at least one, got none: give a list of stories")

    def draw_stories() -> Batch:
        return pad([rows[i] for i in rng.integers(len(rows), size=16)], filler=0)

    losses = train(
        model, draw_stories, steps, name="stories", watch=lambda step: watch(model, step)
    )
    return model, losses


def copied_letters(model: GPT, tokenizer: Tokenizer, told: Sequence[Story]) -> dict[str, float]:
    """Return p of the letters of a hero's name when it is told for the second time.

    Returns
    -------
    dict
        The average over all stories for the first letter, the vowels and the other consonants.
    """
    p = []
    for story in told:
        beginning = story.text.split(".")[0] + ". "  # "… named Puvose. "
        name = beginning.split(" named ")[1].removesuffix(". ")
        row = make_row(tokenizer, beginning + name, ended=False)
        after = softmax(model.forward(row[None, :-1])[0])
        p.append(after[np.arange(len(row) - 1), row[1:]][-len(name) :])
    letters = np.array(p)  # (stories, 6)
    kinds = {"first letter": letters[:, 0], "vowels": letters[:, 1::2]}
    kinds["other consonants"] = letters[:, 2::2]
    return {kind: float(values.mean()) for kind, values in kinds.items()}


def next_probabilities(model: GPT) -> Callable[[Ids], Array]:
    """Return what `tell` asks for: from a row (T,) to p of each next token, (V,)."""
    return lambda row: softmax(model.forward(row[None])[0, -1])


def draw(
    losses: dict[str, list[float]],
    copied: dict[int, dict[str, float]],
    before: Rung,
    rung: Rung,
) -> Figure:
    """Draw the training on tasks and on stories, what is copied, and the probes of two models."""
    figure = Figure(figsize=(13, 3.6))
    tasks, told, names, bars = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.2])
    for kind, color in zip(next(iter(copied.values())), (ORANGE, BLUE, GREEN), strict=True):
        names.plot(list(copied), [each[kind] for each in copied.values()], color=color, label=kind)
    names.set_ylabel("p of the right letter")
    names.set_title("The hero's name, again")
    names.legend(fontsize=9)
    for (name, values), color in zip(
        losses.items(), (GRAY, GREEN, PINK, ORANGE, BLUE), strict=True
    ):
        if name == "stories":
            draw_smooth(told, values, 100, color=color)
        else:
            draw_smooth(tasks, values, 10, color=color, label=name)
    tasks.set_yscale("log")
    tasks.set_ylabel("nats per id")
    tasks.set_title("What must succeed")
    tasks.legend(fontsize=9)
    told.set_ylim(0.3, 2.2)
    told.set_title("Stories")
    told.set_ylabel("nats per token")
    for axes in (tasks, told, names):
        axes.set_xlabel("step")
    for shift, (one, color) in enumerate(((before, GRAY), (rung, BLUE))):
        places = np.arange(len(PHENOMENA)) + 0.4 * (shift - 0.5)
        bars.bar(
            places, [one.probes[each] for each in PHENOMENA], 0.36, color=color, label=one.name
        )
    for place, phenomenon in enumerate(PHENOMENA):
        bars.plot([place - 0.42, place + 0.42], [LUCK[phenomenon]] * 2, ":", color="black")
    bars.set_xticks(range(len(PHENOMENA)), PHENOMENA, fontsize=9)
    bars.grid(axis="x", visible=False)
    bars.set_ylabel("share of probes passed")
    bars.set_title("What they know (dotted: luck)")
    bars.set_ylim(0, 1.3)
    bars.set_yticks(np.arange(0, 1.1, 0.2))
    bars.legend(loc="upper right", fontsize=9, ncols=2)
    figure.tight_layout()
    return figure


def main() -> None:
    """Overfit, copy, reverse, sort, and tell stories."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--steps", type=int, default=STEPS, help=f"training steps on stories (default {STEPS:,})"
    )
    parser.add_argument(
        "--task-steps", type=int, default=800, help="training steps on each task (default 800)"
    )
    parser.add_argument(
        "--out", type=Path, default=PHASE, metavar="FOLDER", help=f"default {shown(PHASE)}"
    )
    arguments = parser.parse_args()
    before = load(PHASE.parent / "phase-04-rnn-lstm/ladder.json")[-1]  # the LSTM
    texts = [story.text for story in stories("train", 0, 20_000)]
    tokenizer = WordTokenizer.learn(texts, vocab_size=1000)

    losses = {"one batch": overfit(texts[:2], tokenizer)}
    print(f"one batch of two stories, {len(losses['one batch'])} times: loss ", end="")
    print(f"{losses['one batch'][0]:.2f} → {losses['one batch'][-1]:.4f} nats per token")
    for task in TASKS:
        model, losses[task], right = train_on_task(task, arguments.task_steps)
        print(f"{task} six digits, {model.parameters:,} parameters: {right:.1%} of 1,000 new rows")

    held_out, copied = list(stories("validation", 0, 60)), {}

    def watch(model: GPT, step: int) -> None:
        if step % 500 == 0:
            copied[step] = copied_letters(model, tokenizer, held_out)

    start = time.perf_counter()
    model, losses["stories"] = train_on_stories(texts, tokenizer, arguments.steps, watch)
    seconds = time.perf_counter() - start
    told = TextModel(tokenizer, model.row_log_probabilities)
    rung = measure("GPT, NumPy", "words", told, model.parameters, seconds)
    print(f"stories, {model.parameters:,} parameters, {arguments.steps:,} steps of 16:", end=" ")
    print(f"{rung.bits_per_character:.3f} bits per character, floor {rung.floor:.3f}")
    print("  " + "  ".join(f"{name} {share:.0%}" for name, share in rung.probes.items()))
    print("  the hero's name when it comes again: p of the right letter")
    for step in range(0, arguments.steps, 1000):
        shares = "  ".join(f"{kind} {p:.2f}" for kind, p in copied[step].items())
        print(f"    step {step:6,}  {shares}")
    print(tell(next_probabilities(model), tokenizer, np.random.default_rng(0), most=150))

    model.save(arguments.out / "gpt_stories.npz")
    save([rung], arguments.out / "ladder.json")
    (arguments.out / "figures").mkdir(parents=True, exist_ok=True)
    save_figure(draw(losses, copied, before, rung), arguments.out / "figures/train_gpt_numpy.png")
    print(f"wrote {shown(arguments.out / 'gpt_stories.npz')}, ladder.json and the picture")


if __name__ == "__main__":
    main()
