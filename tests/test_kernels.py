"""The frames of 128 ms against scipy and librosa; compiled code with and without a place for it."""

import librosa
import numpy as np
import pytest
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
    import numba

    compile_ = numba.njit

    def njit(cache, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_(**options)

    monkeypatch.setattr(numba, "njit", njit)
    double = kernels._compiled()(lambda x: 2 * x)
    assert [double(2), double(3.0)] == [4, 6.0]


@pytest.mark.parametrize("name", ft.FEATURES)
def test_a_part_with_context_and_references_is_that_part_of_the_whole(name):
    y = (0.1 * rng.standard_normal(4 * SR)).astype(np.float32)
    record = ft.REGISTRY[name]
    whole = kernels.SpectralFrames(y, SR)
    known = kernels.references([whole], record.refers_to)
    part = kernels.SpectralFrames(y, SR, core=slice(20, 50), first=20, references=known)
    np.testing.assert_allclose(record.frames(part), record.frames(whole)[20:50], rtol=1e-5)
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
