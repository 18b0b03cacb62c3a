"""Each kind of augmentation, by measurements of its result."""

import numpy as np
import pytest
from conftest import REPO

import augmentation as aug
from audio import load_audio
from parameters import SAMPLE_RATE as SR


@pytest.fixture(scope="module")
def y():
    return load_audio(REPO / "data" / "test-custom" / "v21_s6_angry.wav")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def decibels(power):
    return 10 * np.log10(power)


def band_power(y, low, high):
    power = np.abs(np.fft.rfft(y)) ** 2
    hz = np.fft.rfftfreq(len(y), 1 / SR)
    return power[(hz >= low) & (hz < high)].sum()


@pytest.mark.parametrize("snr", [-5, 0, 20])
def test_a_mixture_has_the_ratio_asked_for_whatever_the_pauses_and_levels(y, rng, snr):
    noise = aug.noise("white", len(y), rng)
    added = aug.mixed(y, noise, snr) - y
    assert decibels(aug.speech_power(y) / np.mean(added**2)) == pytest.approx(snr, abs=0.01)
    quiet = np.concatenate([y, np.zeros(SR, np.float32)]) / 100
    added = aug.mixed(quiet, aug.noise("white", len(quiet), rng), snr) - quiet
    loudness = np.mean(added.astype(float) ** 2) * 100**2
    assert decibels(aug.speech_power(y) / loudness) == pytest.approx(snr, abs=0.1)


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -3.01)])
def test_noise_has_its_slope_in_decibels_per_octave(kind, slope, rng):
    noise = aug.noise(kind, 60 * SR, rng)
    density = [decibels(band_power(noise, f, 2 * f) / f) for f in (125, 250, 500, 1000, 2000)]
    assert np.diff(density) == pytest.approx(slope, abs=0.2)


def test_all_talkers_of_babble_talk_all_the_time_and_equally_loud(y, rng):
    tone, other = (np.sin(2 * np.pi * f * np.arange(SR) / SR) * a for f, a in ((500, 1), (2000, 9)))
    both = aug.babble([tone, other], 3 * SR, rng)
    for part in np.split(both, 3):
        powers = [band_power(part, f - 100, f + 100) for f in (500, 2000)]
        assert decibels(powers[0] / powers[1]) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("rt60", [0.3, 0.8])
def test_a_room_decays_by_60_decibels_in_its_time(rt60, rng):
    click = np.zeros(SR, np.float32)
    click[0] = 1
    response = aug.in_room(click, rng, rt60=rt60, direct=3.0)
    assert response[0] == pytest.approx(1, abs=1e-5)
    echoes = response.astype(float)[1 : round(rt60 * SR)]
    assert decibels(np.sum(echoes**2)) == pytest.approx(-3, abs=0.01)
    first, later = (np.mean(echoes[round(t * rt60 * SR) :][:800] ** 2) for t in (0.1, 0.8))
    assert decibels(first / later) == pytest.approx(0.7 * 60, abs=2)


@pytest.mark.parametrize("codec", aug.CODECS)
def test_a_telephone_passes_its_band_only_in_step_and_at_its_level(y, codec):
    received = aug.telephone(y, codec)
    assert len(received) == len(y) and received.dtype == np.float32
    assert band_power(received, 4200, 8000) < 1e-3 * band_power(received, 300, 3400)
    level = decibels(band_power(received, 500, 2500) / band_power(y, 500, 2500))
    assert level == pytest.approx(0, abs=1.5)
    lag = np.argmax(np.correlate(received[:8000], y[:8000], "full")) - 7999
    assert abs(lag) < 0.005 * SR
    np.testing.assert_allclose(aug.telephone(y / 8, codec) * 8, received, atol=0.02)


@pytest.mark.parametrize("speed", aug.SPEEDS)
def test_speed_perturbation_is_higher_and_faster_by_the_same_factor(speed):
    t = np.arange(SR) / SR
    received = aug.at_speed((np.sin(2 * np.pi * 500 * t) * (t < 0.5)).astype(np.float32), speed)
    assert len(received) == round(SR / speed) and received.dtype == np.float32
    assert np.argmax(np.abs(np.fft.rfft(received, SR))) == pytest.approx(500 * speed, abs=1)
    sounding = np.flatnonzero(np.abs(received) > 0.1)
    assert sounding[-1] / SR == pytest.approx(0.5 / speed, abs=0.005)


def test_two_of_four_copies_are_in_noise_and_each_is_the_same_each_time(y):
    copies = [aug.noisy_copy(y, i) for i in range(4)]
    assert len({copy.tobytes() for copy in copies}) == 4
    assert sum(len(copy) > len(y) for copy in copies) == 1  # the room
    narrow = [band_power(c, 4200, 8000) < 1e-3 * band_power(c, 0, 4000) for c in copies]
    assert sum(narrow) == 1  # the telephone
    for i, copy in enumerate(copies):
        assert np.isfinite(copy).all() and copy.dtype == np.float32
        np.testing.assert_array_equal(aug.noisy_copy(y.copy(), i), copy)


@pytest.mark.parametrize("n_samples", [1, 200, 1600])
def test_silence_and_fragments_have_noisy_copies_too(n_samples):
    for y in (np.zeros(n_samples, np.float32), np.ones(n_samples, np.float32)):
        for copy in range(9):
            assert np.isfinite(aug.noisy_copy(y, copy)).all()
