"""The bug zoo: mistakes that everyone makes, and which test sees which.

Each bug is one line of this phase's code, changed. The module is built again around that line, and
every detector of ``detectors`` is run on it; nothing in the table is written by hand.

A wrong gradient often still goes downhill. The network learns, only worse, and nobody looks. So no
detector is enough: nudging sees nothing that forward and backward share, values by hand see what
they were worked out for, and overfitting sees only what hurts.

What is behind each bug is told in ``notes/bug_zoo.md``. Run
``python phase-02-backprop/code/bug_zoo.py``.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phase_02.detectors import DETECTORS, Code
from shared.plotting import BLUE, ORANGE
from shared.progress import progress
from shared.script import finish, lesson_arguments


@dataclass(frozen=True)
class Bug:
    """One line, changed.

    Attributes
    ----------
    name
        What was done wrong.
    module
        Where: "layers", "losses", "optimizers" or "scalar_autograd".
    right, wrong
        A piece of the module's text that occurs once, and what takes its place.
    """

    name: str
    module: str
    right: str
    wrong: str


BUGS = [
    Bug("autograd: = instead of +=", "scalar_autograd",
        "blame[id(parent)] += blame", "blame[id(parent)] = blame"),
    Bug("autograd: forward order", "scalar_autograd",
        "in reversed(order):\n            for", "in order:\n            for"),
    Bug("Linear: W not transposed", "layers", "dL_dz @ W.T", "dL_dz @ W"),
    Bug("Linear: xᵀ on the wrong side", "layers",
        "x_rows.T @ dL_dz_rows", "dL_dz_rows.T @ x_rows"),
    Bug("Linear: bias blame averaged", "layers",
        "dL_dz_rows.sum(axis=0)", "dL_dz_rows.mean(axis=0)"),
    Bug("Linear: bias forgotten forward", "layers", "self.x @ W + b", "self.x @ W"),
    Bug("Linear: bias blame forgotten", "layers", '"b": dL_db}', '"b": 0 * dL_db}'),
    Bug("ReLU: blame always passes", "layers", " * (self.a > 0)", ""),
    Bug("Tanh: square forgotten", "layers", "(1 - self.a**2)", "(1 - self.a)"),
    Bug("Sigmoid: half of the slope", "layers", " * self.a * (1 - self.a)", " * (1 - self.a)"),
    Bug("Softmax: others forgotten", "layers", "(dL_dp - average)", "dL_dp"),
    Bug("Softmax: no blame at all", "layers",
        "return p * (dL_dp - average)", "return 0 * dL_dp"),
    Bug("Dropout: not scaled up", "layers",
        "scale = 1 / (1 - self.rate) if training else 1.0", "scale = 1.0"),
    Bug("Dropout: blame ignores the mask", "layers",
        "check_blame(dL_da, self.mask.shape) * self.mask", "check_blame(dL_da, self.mask.shape)"),
    Bug("Dropout: also when not training", "layers",
        " if training else np.ones(x.shape, bool)", ""),
    Bug("Sequential: backward runs forward", "layers",
        "reversed(list(enumerate(self.layers)))", "enumerate(self.layers)"),
    Bug("MSE: factor 2 forgotten", "losses", "2 * self.error / ", "self.error / "),
    Bug("cross-entropy: not divided by N", "losses", "dL_dz / self.y.size", "dL_dz"),
    Bug("cross-entropy: y − p", "losses", "return dL_dz /", "return -dL_dz /"),
    Bug("cross-entropy: one-hot forgotten", "losses", "right - 1", "right"),
    Bug("SGD: uphill", "optimizers",
        "param -= self.learning_rate * g\n", "param += self.learning_rate * g\n"),
    Bug("Momentum: forgets everything", "optimizers", "u *= self.beta", "u *= 0"),
    Bug("Adam: no bias correction", "optimizers",
        "m_hat = m / (1 - self.beta1**self.steps)", "m_hat = m"),
    Bug("Adam: g instead of g²", "optimizers", "(1 - self.beta2) * g**2", "(1 - self.beta2) * g"),
    Bug("AdamW: decay inside the gradient", "optimizers",
        "param -= self.learning_rate * self.weight_decay * param",
        "g = g + self.weight_decay * param"),
    Bug("AdamW: biases decay too", "optimizers", "if param.ndim > 1:", "if True:"),
]  # fmt: skip


def planted(bug: Bug) -> Code:
    """Return the phase's code with the bug's module built again around its line.

    Raises
    ------
    ValueError
        If the right text does not occur exactly once.
    """
    code = Code()
    module: ModuleType = getattr(code, bug.module)
    source = inspect.getsource(module)
    if source.count(bug.right) != 1:
        raise ValueError(
            f"{bug.name}: expected {bug.right!r} once in {bug.module}, found it "
            f"{source.count(bug.right)} times: quote more, or what the code says now"
        )
    copy = ModuleType(module.__name__)
    exec(compile(source.replace(bug.right, bug.wrong), f"<{bug.name}>", "exec"), copy.__dict__)
    setattr(code, bug.module, copy)
    return code


def catches(detector: Callable[[Code], bool], bug: Bug | None) -> bool:
    """Whether a detector objects to the code with a bug; a crash objects too."""
    try:
        with np.errstate(all="ignore"):
            return not detector(planted(bug) if bug else Code())
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return True


def table() -> NDArray[np.bool_]:
    """Run every detector on every bug: (bugs, detectors), True where it was caught."""
    return np.array(
        [
            [catches(detector, bug) for detector in DETECTORS.values()]
            for bug in progress(BUGS, "bugs")
        ]
    )


def draw(caught: NDArray[np.bool_]) -> Figure:
    """Draw the table: a row for each bug, a column for each detector."""
    figure = Figure(figsize=(8, 7.6))
    axes = figure.subplots()
    for (row, column), seen in np.ndenumerate(caught):
        color = BLUE if seen else "white"
        axes.plot(column, row, "s", color=color, markersize=13, markeredgecolor=BLUE)
    axes.set_xticks(range(len(DETECTORS)), list(DETECTORS))
    axes.set_yticks(range(len(BUGS)), [bug.name for bug in BUGS])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_ylim(len(BUGS) - 0.4, -0.6)
    axes.set_xlim(-0.6, len(DETECTORS) - 0.4)
    axes.grid(False)
    for side in axes.spines.values():
        side.set_visible(False)
    for label, seen in zip(axes.get_yticklabels(), caught.sum(axis=1), strict=True):
        label.set_color(ORANGE if seen == 1 else "black")
    axes.set_title("Which test sees which bug (orange: one test only)", pad=28)
    return figure


def main() -> None:
    """Plant every bug, run every detector, and print who saw it."""
    arguments = lesson_arguments(__doc__, __file__)
    false_alarms = [name for name, detector in DETECTORS.items() if catches(detector, None)]
    print(f"the code as it is: {', '.join(false_alarms) or 'no detector'} objects")
    caught = table()
    width = max(len(bug.name) for bug in BUGS)
    print(f"{'':{width}}  {'  '.join(DETECTORS)}")
    for bug, row in zip(BUGS, caught, strict=True):
        marks = [
            ("x" if seen else "·").center(len(name))
            for seen, name in zip(row, DETECTORS, strict=True)
        ]
        print(f"{bug.name:{width}}  {'  '.join(marks)}".rstrip())
    totals = [
        str(total).center(len(name))
        for total, name in zip(caught.sum(axis=0), DETECTORS, strict=True)
    ]
    print(f"{f'caught, of {len(BUGS)}':{width}}  {'  '.join(totals)}".rstrip())
    finish(draw(caught), arguments)


if __name__ == "__main__":
    main()
