"""Speech is found where it is, however a stream is cut; defects of a sound are named."""

import itertools

import no_speech
import numpy as np
import pytest
import soxr
from conftest import REPO

import listening
from audio import load_audio
from augmentation import mixed, noise, telephone
from create_csv import list_audio
from listening import (
    DeviceError,
    InputReport,
    Microphone,
    NothingHeard,
    Recorder,
    SpeechDetector,
    has_speech,
)
from parameters import SAMPLE_RATE as SR

CLIPS = list_audio(REPO / "data" / "train-custom")[::12]


def spoken(path, level=0.05):
    """A clip without the silence around it, at a given level."""
    y = load_audio(path)
    loud = np.flatnonzero(np.abs(y) > 0.05 * np.abs(y).max())
    y = y[loud[0] : loud[-1] + 1]
    return level * y / np.sqrt(np.mean(y**2))


@pytest.fixture(scope="module")
def talk():
    """Clips with pauses of 1.2 s, and where each of them is: (start, end) in seconds."""
    parts, places, n = [np.zeros(round(1.2 * SR))], [], round(1.2 * SR)
    for path in CLIPS:
        y = spoken(path)
        places.append((n / SR, (n + len(y)) / SR))
        parts += [y, np.zeros(round(1.2 * SR))]
        n += len(y) + len(parts[-1])
    return np.concatenate(parts).astype(np.float32), places


def noisy(y, decibels, seed=0):
    noise = np.random.default_rng(seed).standard_normal(len(y))
    return (y + 10 ** (decibels / 20) * noise).astype(np.float32)


@pytest.mark.parametrize("noise", [None, -60, -50])
def test_utterances_are_cut_where_they_start_and_end(talk, noise):
    y, places = talk
    utterances = list(Recorder([y if noise is None else noisy(y, noise)]))
    assert len(utterances) == len(places)
    for utterance, (start, end) in zip(utterances, places, strict=True):
        assert -0.2 < utterance.start - start <= 0.05
        assert -0.2 < utterance.end - end < 0.2
        assert len(utterance.y) == round((utterance.end - utterance.start) * SR)


def test_an_utterance_is_what_the_stream_held_there(talk):
    y, _ = talk
    for utterance in Recorder(np.array_split(y, 50)):
        first = round(utterance.start * SR)
        np.testing.assert_array_equal(utterance.y, y[first : first + len(utterance.y)])


def test_how_a_stream_is_cut_changes_nothing(talk):
    y = noisy(talk[0], -50)
    whole = [u[1:] for u in Recorder([y])]
    for width in (160, 999, 32000):
        assert [u[1:] for u in Recorder(np.split(y, range(width, len(y), width)))] == whole


def test_a_clip_that_begins_at_once_is_found_from_its_beginning():
    starts, shares = [], []
    for path in CLIPS:
        y = noisy(spoken(path), -50)
        found = list(Recorder([y]))
        starts.append(found[0].start)
        shares.append(sum(u.end - u.start for u in found) * SR / len(y))
    assert np.median(starts) < 0.05 and max(starts) < 0.3
    assert np.median(shares) > 0.9


def test_a_room_that_gets_louder_is_speech_only_until_it_is_known():
    y = np.concatenate([noisy(np.zeros(5 * SR), -60), noisy(np.zeros(20 * SR), -35)])
    detector = SpeechDetector()
    detector.push(y)
    assert len(detector.spans) == 1
    assert 4.9 < detector.spans[0].start < 5.1
    assert detector.spans[0].end < 5 + listening.MEMORY + 0.5
    assert -40 < detector.floor < -33


@pytest.mark.parametrize("decibels", [None, -70, -40, -20])
def test_a_room_without_speech_has_no_utterances(decibels):
    y = np.zeros(10 * SR, np.float32)
    assert list(Recorder([y if decibels is None else noisy(y, decibels)])) == []


def test_a_click_is_no_utterance():
    y = noisy(np.zeros(6 * SR), -60)
    y[3 * SR : 3 * SR + 400] += 0.5
    assert list(Recorder([y])) == []
    y[3 * SR : 3 * SR + 8000] += 0.3 * np.sin(2 * np.pi * 300 * np.arange(8000) / SR)
    assert len(list(Recorder([y]))) == 1


def test_speech_without_end_is_cut():
    speech = np.concatenate([spoken(path) for path in CLIPS])[: 12 * SR].astype(np.float32)
    y = noisy(np.concatenate([np.zeros(SR), speech, np.zeros(SR)]), -60)
    found = list(Recorder([y], longest=4))
    assert len(found) >= 3 and max(u.end - u.start for u in found) < 4.5
    assert all(
        a.end <= b.start + 1e-9 or b.start - a.end > -0.25 for a, b in itertools.pairwise(found)
    )


def test_waiting_ends(talk):
    quiet = noisy(np.zeros(60 * SR), -60)
    blocks = np.array_split(quiet, 3000)
    taken = 0

    def source():
        nonlocal taken
        for block in blocks:
            taken += len(block)
            yield block

    with pytest.raises(NothingHeard, match="No speech for 5 s"):
        list(Recorder(source(), timeout=5))
    assert 5 * SR <= taken < 5.5 * SR
    y, places = talk
    found = []
    with pytest.raises(NothingHeard):
        for utterance in Recorder(np.array_split(np.concatenate([y, quiet]), 5000), timeout=5):
            found.append(utterance)
    assert len(found) == len(places)


def test_the_end_of_a_stream_ends_the_utterance():
    y = noisy(np.concatenate([np.zeros(SR), spoken(CLIPS[0])]), -60)
    (utterance,) = Recorder([y])
    assert abs(utterance.end - len(y) / SR) < 0.2


def test_silence_and_nothing_at_all_do_no_harm():
    assert list(Recorder([])) == [] and list(Recorder([np.zeros(0, np.float32)])) == []
    assert list(Recorder([np.zeros(10, np.float32)])) == []


# speech or not


@pytest.mark.parametrize("kind", no_speech.KINDS)
def test_a_sound_without_speech_is_refused(kind):
    found = [has_speech(no_speech.sound(kind, seed)) for seed in range(4)]
    assert sum(found) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", no_speech.KINDS)
def test_nearly_all_sounds_without_speech_are_refused(kind):
    found = [has_speech(no_speech.sound(kind, seed)) for seed in range(100, 160)]
    assert np.mean(found) <= 0.05


SPOILED = {
    "as it is": lambda y: y,
    "30 dB quieter": lambda y: 10**-1.5 * y,
    "telephone": telephone,
    "noise": lambda y: mixed(y, noise("pink", len(y), np.random.default_rng(0)), 20),
    "in silence": lambda y: np.pad(y, 2 * SR),
}


@pytest.mark.parametrize("name", SPOILED)
def test_speech_is_speech_however_it_is_recorded(name):
    found = [has_speech(SPOILED[name](load_audio(path))) for path in CLIPS]
    assert np.mean(found) >= 0.95


def test_speech_in_a_long_recording_is_found_and_its_rate_does_not_matter():
    y = load_audio(CLIPS[0])
    assert has_speech(np.pad(y, (20 * SR, 9 * SR)))
    assert has_speech(soxr.resample(y, SR, 44100), 44100)


@pytest.mark.parametrize("n", [0, 1, 500, 5000])
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_nearly_nothing_is_no_speech(n, value):
    assert has_speech(np.full(n, value, np.float32)) is False


@pytest.mark.slow
def test_real_speech_is_speech(real_data):
    paths = list_audio(real_data / "training")[::20] + list_audio(real_data / "emodb")[::10]
    assert np.mean([has_speech(load_audio(path)) for path in paths]) >= 0.97


# reports


def names_of(y):
    report = InputReport()
    for block in np.array_split(np.asarray(y, np.float32), 7):
        report.push(block)
    return set(report.warnings())


def test_a_clean_recording_has_no_warnings(talk):
    assert names_of(noisy(talk[0][: 29 * SR], -70)) == set()


@pytest.mark.parametrize(
    "name, spoil",
    [
        ("clipped", lambda y: np.clip(40 * y, -1, 1)),
        ("quiet", lambda y: 0.003 * y),
        ("telephone", lambda y: soxr.resample(soxr.resample(y, SR, 8000), 8000, SR)),
        ("noisy", lambda y: noisy(y, -35)),
        ("short", lambda y: y[: round(1.4 * SR)]),
        ("long", lambda y: np.resize(y, 30 * SR)),
    ],
)
def test_what_is_wrong_with_a_sound_is_named(talk, name, spoil):
    y, _ = talk
    assert name in names_of(spoil(noisy(y, -70)))


def test_novelty_is_a_warning_of_its_own(talk):
    report = InputReport()
    report.push(noisy(talk[0][: 29 * SR], -70))
    assert report.warnings() == {}
    assert report.warnings(True) == {"novel": listening.REPORTS["novel"]}


def test_without_speech_only_what_means_something_is_reported(talk):
    report = InputReport()
    report.push(noisy(talk[0], -70))
    assert report.warnings(True, speech=False) == {"no-speech": listening.REPORTS["no-speech"]}
    silence = InputReport()
    silence.push(np.zeros(SR, np.float32))
    assert list(silence.warnings(speech=False)) == ["no-speech", "quiet"]


def test_real_recordings_raise_no_false_alarm(real_data):
    paths = list_audio(real_data / "training")[::40] + list_audio(real_data / "emodb")[::20]
    found = [names_of(load_audio(path)) for path in paths]
    for name in ("clipped", "telephone", "noisy", "short", "long"):
        assert np.mean([name in names for names in found]) <= 0.05, name


# devices


def test_without_pyaudio_there_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyaudio", None)
    with pytest.raises(DeviceError, match="make mic"):
        next(iter(Microphone()))
    with pytest.raises(DeviceError, match="make mic"):
        Microphone().check()


class FakeAudio:
    """PyAudio with one device, which delivers a block or can't be opened."""

    paInt16, paContinue = 8, 0

    def __init__(self, *, busy=False, n_devices=1, channels=1, only=None, rate=16000.0):
        self.busy, self.n_devices, self.opened, self.closed = busy, n_devices, 0, 0
        self.channels, self.only, self.rate = channels, only, rate

    def get_default_input_device_info(self):
        return {"index": 0}

    def get_device_count(self):
        return self.n_devices

    def get_device_info_by_index(self, i):
        known = {"maxInputChannels": self.channels, "defaultSampleRate": self.rate}
        return known | {"index": i, "name": "Mic"}

    def open(self, rate, channels, kind, *, stream_callback, **_):
        if self.busy:
            raise OSError(-9985, "Device unavailable")
        if rate != 16000:
            raise OSError(-9997, "Invalid sample rate")
        if self.only and channels != self.only:
            raise OSError(-9998, "Invalid number of channels")
        self.opened += 1
        levels = 32768 * (np.arange(channels) + 1) / (channels + 1)  # another one on each
        stream_callback(np.tile(levels.astype(np.int16), (rate // 10, 1)).tobytes())
        return self

    def close(self):
        self.closed += 1

    def terminate(self):
        self.terminated = True


def test_a_microphone_is_checked_and_left_as_it_was(monkeypatch):
    audio, names = FakeAudio(), []
    monkeypatch.setattr(listening, "_pyaudio", lambda: (audio, audio))
    microphone = Microphone(on_open=names.append)
    assert microphone.check() == "Mic" and audio.opened == audio.closed == 1 and audio.terminated
    blocks = iter(microphone)
    np.testing.assert_allclose(next(blocks)[:10], 0.5, atol=0.01)
    assert names == ["Mic"] and audio.opened == 2 and audio.closed == 1
    blocks.close()
    assert audio.closed == 2


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 32])
def test_a_device_that_takes_only_its_own_channels_is_mixed(monkeypatch, channels):
    audio = FakeAudio(channels=channels, only=channels)
    monkeypatch.setattr(listening, "_pyaudio", lambda: (audio, audio))
    blocks = iter(Microphone())
    block = next(blocks)
    assert len(block) == 1600
    np.testing.assert_allclose(block, 0.5, atol=0.01)
    blocks.close()
    assert audio.opened == audio.closed == 1


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"busy": True}, r"Mic can't be opened with 1 .*unavailable\)\. Close the program that"),
        ({"rate": 7.0}, r"Mic can't be opened .* at 7 Hz \(Invalid sample rate\)\. Choose another"),
        ({"channels": 6, "only": 3}, r"with 6 channel.*Invalid number of channels\)\. Choose"),
        ({"n_devices": 0}, "no microphone"),
    ],
)
def test_a_check_names_why_there_is_no_sound(monkeypatch, wrong, message):
    audio = FakeAudio(**wrong)
    monkeypatch.setattr(listening, "_pyaudio", lambda: (audio, audio))
    with pytest.raises(DeviceError, match=message):
        Microphone().check()
    assert audio.terminated


def test_a_device_is_found_by_index_by_name_or_by_default():
    devices = [
        {"index": 2, "name": "Built-in", "default": False},
        {"index": 5, "name": "USB mic", "default": True},
    ]
    assert listening._choose(devices, None)["index"] == 5
    assert listening._choose(devices, 2)["index"] == listening._choose(devices, "2")["index"] == 2
    assert listening._choose(devices, "usb")["index"] == 5
    with pytest.raises(DeviceError, match="no input device 'phone'"):
        listening._choose(devices, "phone")
    with pytest.raises(DeviceError, match="no microphone"):
        listening._choose([], None)


def test_how_a_sound_is_cut_changes_no_report():
    y = np.random.default_rng(0).normal(scale=0.05, size=40_000).astype(np.float32)
    y[20_000:] = np.diff(y[20_000:], prepend=0)  # the spectrum changes half-way
    whole, cut = InputReport(), InputReport()
    whole.push(y)
    for block in np.array_split(y, [7, 330, 1_000, 5_555, 21_000, 21_001]):
        cut.push(block)
    assert cut.measures() == pytest.approx(whole.measures(), rel=1e-9)
