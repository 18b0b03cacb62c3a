"""What differs from what was saved is refused, or named."""

import numpy as np
import pytest

from listening import has_speech
from model_file import ModelFileError, ModelFileWarning
from probe import check_same, largest, probe_sound, typical

THEN, NOW = {"numpy": "1"}, {"numpy": "2"}


def compared(off, here, refused=0.5):
    found = np.array([1.0, 2.0 + off])
    check_same("answers", found, np.array([1.0, 2.0]), 0.01, THEN, here, refused=refused)


def test_the_probe_is_a_sound_of_a_second():
    y = probe_sound()
    assert y.dtype == np.int16 and y.shape == (16000,) and np.abs(y).max() == 20000
    np.testing.assert_array_equal(y, probe_sound())
    assert isinstance(has_speech(y / np.float32(32768)), bool)


@pytest.mark.parametrize("here", [THEN, NOW])
def test_what_is_the_same_passes(here, recwarn):
    compared(0.009, here)
    assert not recwarn.list


def test_other_libraries_may_differ_a_little():
    with pytest.warns(ModelFileWarning, match=r"by 0\.1; it was saved with numpy 1 \(here 2\)"):
        compared(0.1, NOW)
    with pytest.raises(ModelFileError, match="Refused"):
        compared(1.0, NOW)
    with pytest.raises(ModelFileError, match="was changed"):
        compared(0.1, THEN)


def test_measures_of_differences():
    assert largest(np.array([1.0, -3.0])) == 3 and largest(np.array([])) == 0
    assert typical(np.array([3.0, -4.0])) == pytest.approx(12.5**0.5) and typical(np.array([])) == 0
