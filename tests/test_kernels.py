"""The frames of 128 ms against scipy and librosa; compiled code with and without a place for it."""

import os
import shutil
import subprocess
import sys

import librosa
import numpy as np
import pytest
from conftest import REPO
from scipy.ndimage import median_filter

import features as ft
import kernels

SR = 16_000
rng = np.random.default_rng(0)


@pytest.mark.parametrize("sr", [8000, SR, 22_050, 44_100])
def test_filter_banks_are_librosas(sr):
    np.testing.assert_allclose(
        kernels.mel_filters(sr), librosa.filters.mel(sr=sr, n_fft=2048), rtol=1e-5, atol=1e-9
    )
    for tuning in (-0.5, -0.13, 0.0, 0.49):
        want = librosa.filters.chroma(sr=sr, n_fft=2048, tuning=tuning)
        np.testing.assert_allclose(kernels.chroma_filters(sr, tuning), want, rtol=1e-4, atol=1e-9)


def test_the_median_network_finds_medians():
    for shape in [(1, 3), (4, 130), (15, 1), (31, 128), (97, 257)]:
        x = rng.random(shape, dtype=np.float32)
        want = median_filter(x, size=(31, 1), mode="reflect")
        np.testing.assert_array_equal(kernels._median_rows(x), want)


def test_the_transform_is_scipys_to_the_last_bit():
    y = (0.1 * rng.standard_normal(2 * SR)).astype(np.float32)
    want = librosa.stft(y).T
    assert (kernels._stft(y) == want).mean() > 0.9999
    np.testing.assert_allclose(kernels._stft(y), want, rtol=1e-6)
    np.testing.assert_array_equal(kernels._magnitude(y), np.abs(kernels._stft(y)))


def test_kernels_work_where_there_is_nowhere_to_keep_them(monkeypatch):
    import numba.typed  # numba imports it when it compiles first, by its own njit

    compile_ = numba.njit

    def njit(cache, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_(**options)

    monkeypatch.setattr(numba, "njit", njit)
    double = kernels._compiled()(lambda x: 2 * x)
    assert [double(2), double(3.0)] == [4, 6.0]


START = """
import numpy as np, kernels
from numba.core import event
with event.install_recorder("numba:compile") as compiled:
    kernels._peaks(np.ones((4, kernels.N_FFT // 2 + 1), np.float32), 16000, 12)
print(len(compiled.buffer))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="HOME and TMPDIR are POSIX's")
@pytest.mark.parametrize("place", ["installed/__pycache__", "home", "temporary"])
def test_code_is_compiled_once_and_found_by_the_next_process(tmp_path, place):
    """Beside a fresh copy; or where that is read-only; or where the user's folder is, too."""
    folder, home, temporary = (tmp_path / name for name in ("installed", "home", "temporary"))
    folder.mkdir(), temporary.mkdir()
    for name in ("kernels.py", "checks.py"):
        shutil.copy(REPO / name, folder)
    if place != "installed/__pycache__":
        (folder / "__pycache__").touch()  # a file: not even root can make the folder
    home.touch() if place == "temporary" else home.mkdir()
    own = {name: x for name, x in os.environ.items() if not name.startswith(("NUMBA", "XDG"))}
    own |= {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONPATH": str(folder)}
    counts = [
        int(subprocess.check_output([sys.executable, "-c", START], cwd=folder, env=own))
        for _ in range(2)
    ]
    assert counts[0] and not counts[1]
    assert [*(tmp_path / place).rglob("*.nbi")]


@pytest.mark.parametrize("name", ft.FEATURES)
def test_a_part_with_context_and_references_is_that_part_of_the_whole(name):
    y = (0.1 * rng.standard_normal(4 * SR)).astype(np.float32)
    record = ft.REGISTRY[name]
    whole = kernels.SpectralFrames(y, SR)
    known = kernels.references([whole], record.refers_to)
    part = kernels.SpectralFrames(y, SR, core=slice(20, 50), first=20, references=known)
    got, want = record.frames(part), record.frames(whole)[20:50]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7 * np.abs(want).max())
    np.testing.assert_array_equal(part.times, whole.times[20:50])
    assert len(part.times) == 30 and set(known) == set(record.refers_to)


def test_the_harmonic_part_leaves_the_spectra_as_they_are():
    y = (0.1 * rng.standard_normal(SR)).astype(np.float32)
    first, last = kernels.SpectralFrames(y, SR), kernels.SpectralFrames(y, SR)
    tonnetz = last.tonnetz
    np.testing.assert_array_equal(first.mfcc, last.mfcc)
    np.testing.assert_array_equal(first.tonnetz, tonnetz)


def test_filter_banks_cannot_be_written_to():
    for filters in (kernels.mel_filters(SR), kernels.chroma_filters(SR, 0.0)):
        with pytest.raises(ValueError, match="read-only"):
            filters[0] = 1
