"""Each detector passes the phase's code, and sees a bug that it is there to see."""

import pytest

from phase_02.bug_zoo import BUGS, catches
from phase_02.detectors import DETECTORS, Code

SEES = {
    "shapes": "Linear: xᵀ on the wrong side",
    "lazy nudge": "Tanh: square forgotten",
    "nudging": "Softmax: no blame at all",
    "by hand": "AdamW: biases decay too",
    "overfit": "ReLU: blame always passes",
    "property": "Dropout: not scaled up",
}


@pytest.mark.parametrize("name", DETECTORS)
def test_the_code_as_it_is_passes(name):
    assert DETECTORS[name](Code())


@pytest.mark.parametrize("name", DETECTORS)
def test_a_planted_bug_is_seen(name):
    bug = next(bug for bug in BUGS if bug.name == SEES[name])
    assert catches(DETECTORS[name], bug)
