"""Each detector passes the phase's code, and a module with nothing in it fails them all."""

from types import SimpleNamespace

import pytest

from phase_02.bug_zoo import catches
from phase_02.detectors import DETECTORS, Code


@pytest.mark.parametrize("name", DETECTORS)
def test_the_code_as_it_is_passes(name):
    assert DETECTORS[name](Code())


@pytest.mark.parametrize("name", DETECTORS)
def test_a_broken_module_does_not_pass(name):
    with pytest.raises(AttributeError):
        DETECTORS[name](Code(layers=SimpleNamespace(), losses=SimpleNamespace()))
    assert not catches(DETECTORS[name], None)
