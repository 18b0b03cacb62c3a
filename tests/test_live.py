"""What is found in a voice while it speaks, as the microphone's command line shows it."""

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from conftest import FEW, bundled_clip
from sklearn.linear_model import Ridge

import test as microphone
from audio import load_audio
from emotion_recognition import EmotionRecognizer
from listening import NothingHeard, Recorder
from live import Live
from parameters import SAMPLE_RATE
from predictor import recognise
from timeline import Timeline


@pytest.fixture(scope="module")
def talk():
    """Two utterances with pauses around them: ndarray (n_samples,)."""
    pause = 1e-4 * np.random.default_rng(0).standard_normal(round(1.03 * SAMPLE_RATE))
    clips = [load_audio(bundled_clip(emotion)) for emotion in ("happy", "sad")]
    return np.concatenate([pause, clips[0], pause, clips[1], pause]).astype(np.float32)


def events(live, y, n=320):
    found = [event for i in range(0, len(y), n) for event in live.push(y[i : i + n])]
    return [*found, *live.finish()]


def of(kind, found):
    return [event for event in found if event["type"] == kind]


def test_windows_are_those_of_a_timeline(rec, talk):
    found = of("window", events(Live(rec, hop=0.2), talk))
    stream = Timeline(rec, hop=0.2)
    rows = stream.push(talk) + stream.finish()
    assert len(found) == len(rows) > 9
    for event, row in zip(found, rows, strict=True):
        assert {key: event[key] for key in ("start", "end", "emotion")}.items() <= row.items()
        assert event["probabilities"] == pytest.approx({key: row[key] for key in rec.emotions})


def test_utterances_are_those_of_a_recorder(rec, talk):
    found = of("utterance", events(Live(rec), talk))
    own = [*Recorder([talk])]
    assert len(found) == len(own) == 2
    for event, utterance in zip(found, own, strict=True):
        np.testing.assert_array_equal(event["y"], utterance.y)
        assert recognise(rec.predictor_, utterance.y).items() <= event.items()


def test_levels_come_ten_times_a_second_and_know_speech(rec, talk):
    levels = of("level", events(Live(rec), talk))
    assert [level["time"] for level in levels[:3]] == [0.1, 0.2, 0.3]
    assert levels[-1]["time"] == pytest.approx(len(talk) / SAMPLE_RATE, abs=1e-3)
    spoken = [level["dbfs"] for level in levels if level["speech"]]
    silent = [level["dbfs"] for level in levels if level["dbfs"] < -70]
    assert len(spoken) > 5 and min(spoken) > -70 and len(silent) > 20


def test_what_is_found_does_not_depend_on_the_blocks(rec, talk):
    first, *others = (events(Live(rec), talk, n) for n in (999, 16000, len(talk)))
    for other in others:
        for one, another in zip(first, other, strict=True):
            assert {**one, "y": 0} == {**another, "y": 0}


def test_the_microphone_shows_the_same(rec, talk, tmp_path, capsys):
    rec.save(tmp_path / "my.ser")
    sf.write(tmp_path / "talk.wav", talk, SAMPLE_RATE, subtype="FLOAT")
    arguments = ["-m", tmp_path / "my.ser", "--file", tmp_path / "talk.wav", "--continuous"]
    assert not microphone.main([*map(str, arguments), "--save", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    found = events(Live(rec, hop=microphone.HOP), talk)
    shown = [line.split("▯")[-1].split("▮")[-1].split() for line in lines if " s  " in line]
    windows = of("window", found)
    assert len(shown) == len(windows)
    for (emotion, *shares), event in zip(shown, windows, strict=True):
        assert emotion == event["emotion"]
        expected = [f"{share:.2f}" for share in event["probabilities"].values()]
        assert shares[1::2] == expected and shares[::2] == [*event["probabilities"]]
    saved = sorted(path.stem for path in tmp_path.glob("utterance_*"))
    utterances = enumerate(of("utterance", found), 1)
    assert saved == [f"utterance_{i:03d}_{event['emotion']}" for i, event in utterances]


def test_choices_and_silence(rec, talk):
    live = Live(rec, emotions=["sad", "happy"], abstain=1.0, utterances=False, timeout=0.5)
    with pytest.raises(NothingHeard):
        events(live, talk[:SAMPLE_RATE])
    found = events(Live(rec, emotions=["sad", "happy"], abstain=1.0, utterances=False), talk)
    windows = of("window", found)
    assert windows and not of("utterance", found)
    assert all([*own["probabilities"]] == ["sad", "happy"] for own in windows)
    assert {own["emotion"] for own in windows} == {"unsure"}
    with pytest.raises(ValueError, match="Unknown emotion"):
        Live(rec, emotions=["boredom"])


def test_numbers_have_no_emotions(talk, bundled_clips):
    rows = pd.DataFrame({"path": bundled_clips[:24], "speaker": list("abcd") * 6})
    rows["arousal"] = np.linspace(0, 1, 24)
    own = EmotionRecognizer(Ridge(), data=rows, target="arousal", verbose=0, n_jobs=1, **FEW)
    found = events(Live(own.fit(rows)), talk)
    assert all(set(event["numbers"]) == {"arousal"} for event in of("window", found))
    assert all(set(event["numbers"]) == {"arousal"} for event in of("utterance", found))
    assert of("window", found) and of("utterance", found)
