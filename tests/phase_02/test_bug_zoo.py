"""The zoo: every bug is planted where it says, and every cell of the table is earned."""

import inspect

import numpy as np
import pytest

from phase_02 import layers
from phase_02.bug_zoo import BUGS, Bug, catches, planted, table
from phase_02.detectors import DETECTORS


def test_a_bug_changes_its_module_and_leaves_the_original_alone():
    bug = next(bug for bug in BUGS if bug.name == "Linear: bias forgotten forward")
    broken = planted(bug).layers.Linear(2, 1, np.random.default_rng(0))
    broken.params["b"][...] = 100
    assert abs(broken.forward([[0.0, 0.0]])[0, 0]) == 0
    right = layers.Linear(2, 1, np.random.default_rng(0))
    right.params["b"][...] = 100
    assert right.forward([[0.0, 0.0]])[0, 0] == 100
    assert bug.right in inspect.getsource(layers)


@pytest.mark.parametrize("text", ["not in the module", "def forward"])
def test_a_bug_must_name_one_place(text):
    with pytest.raises(ValueError, match="found it"):
        planted(Bug("planted", "layers", text, ""))


@pytest.mark.slow
def test_the_table():
    caught = table()
    assert caught.shape == (len(BUGS), len(DETECTORS))
    assert len(BUGS) >= 12
    assert len({bug.name for bug in BUGS}) == len(BUGS)
    assert caught.any(axis=1).all(), "a bug that nobody sees"
    assert not any(catches(detector, None) for detector in DETECTORS.values())
    by_name = dict(zip(BUGS, caught, strict=True))
    columns = list(DETECTORS)
    for bug, row in by_name.items():
        seen = {columns[i] for i in np.flatnonzero(row)}
        if bug.module in ("layers", "scalar_autograd") and "Dropout" not in bug.name:
            assert "nudging" in seen, bug.name
        if bug.module == "optimizers":
            assert "by hand" in seen, bug.name
    assert caught.any(axis=0).all(), "a blind detector"
    # The gradient check sees all that it sees when it is done lazily, and more.
    nudge, lazy = caught[:, columns.index("nudging")], caught[:, columns.index("lazy nudge")]
    assert (nudge >= lazy).all()
    assert nudge.sum() > lazy.sum()
