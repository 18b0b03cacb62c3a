"""A timeline gives the same rows for the same samples, and emotions where speech is."""

import itertools
import json
import os
import subprocess

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from conftest import BUNDLED, EMOTIONS
from matplotlib.figure import Figure
from sklearn.linear_model import Ridge
from sklearn.svm import SVC
from tiny_encoder import write_tiny_encoder

import encoder
import timeline
from audio import AudioError, load_audio
from emotion_recognition import EmotionRecognizer, recommended
from features import FEATURES, SPEECH_FEATURES, extract
from formats import FORMATS, draw_timeline, segments
from models import EmotionLDA
from parameters import SAMPLE_RATE as SR
from predictor import EnsemblePredictor
from speech_features import CONTEXT, SpeechFrames
from timeline import CHUNK, Timeline, TimelineTable


@pytest.fixture(scope="module")
def talk(rec):
    """Test clips with pauses of 1.5 s: (samples, list of (start, end, emotion))."""
    parts, places, n = [np.zeros(int(1.5 * SR))], [], int(1.5 * SR)
    for path in rec.test_rows_["path"][::2]:
        y = load_audio(path)
        places.append((n / SR, (n + len(y)) / SR, rec.predict(path)))
        parts += [y, np.zeros(int(1.5 * SR))]
        n += len(y) + len(parts[-1])
    y = np.concatenate(parts)
    noise = 1e-4 * np.random.default_rng(0).standard_normal(len(y))
    return (y + noise).astype(np.float32), places


@pytest.fixture(scope="module")
def plain():
    """The recommended recognizer without its encoder."""
    return recommended(emotions=EMOTIONS, encoder=None, **BUNDLED).train()


@pytest.fixture(scope="module")
def encoding():
    """A recognizer by the bundled encoder alone."""
    return EmotionRecognizer(
        EmotionLDA(), features=["encoder"], emotions=EMOTIONS, **BUNDLED
    ).train()


@pytest.fixture
def encoded(monkeypatch):
    """The seconds of each sound that is encoded while the test runs: list of float."""
    seconds, encode = [], encoder.Encoder.encode

    def counting(self, y):
        seconds.append(len(y) / SR)
        return encode(self, y)

    monkeypatch.setattr(encoder.Encoder, "encode", counting)
    return seconds


def rows_of(stream, y, width):
    rows = []
    for first in range(0, len(y), width):
        rows += stream.push(y[first : first + width])
    return pd.DataFrame(rows + stream.finish())


@pytest.mark.parametrize("chunk", [None, 2.0])
@pytest.mark.parametrize("settings", [{}, {"hop": 0.25}, {"vad": False}, {"smooth": 3}])
def test_a_microphone_and_a_file_give_the_same_rows(rec, talk, settings, chunk):
    y = talk[0][: 10 * SR]
    settings = settings | {"chunk": chunk}
    whole = rec.predict_timeline(y, sr=SR, **settings)
    assert len(whole) > 5
    for width in (320, 1111):
        rows = rows_of(Timeline(rec, **settings), y, width)
        pd.testing.assert_frame_equal(whole, rows, check_exact=True)


def test_rows_are_where_speech_is_and_name_its_emotion(rec, talk):
    y, places = talk
    table = rec.predict_timeline(y, sr=SR, window=3, hop=0.5)
    assert table.attrs["duration"] == len(y) / SR and table.attrs["warnings"] == {}
    right = []
    for start, end, emotion in places:
        own = table[(table["end"] > start) & (table["start"] < end)]
        assert abs(own["start"].min() - start) < 0.2
        assert abs(own["end"].max() - end) < 0.35
        right.append(own["emotion"].iloc[-1] == emotion)
    for row in table.itertuples():
        assert any(s - 0.2 < row.start and row.end < e + 0.2 for s, e, _ in places)
    assert np.mean(right) > 0.8
    np.testing.assert_allclose(table[EMOTIONS].sum(axis=1), 1)
    np.testing.assert_array_equal(table["confidence"], table[EMOTIONS].max(axis=1))
    np.testing.assert_array_equal(table["emotion"], table[EMOTIONS].idxmax(axis=1))


def test_a_word_has_its_label_a_quarter_of_a_second_later(rec, talk):
    y, places = talk
    stream, n, rows = Timeline(rec, hop=0.2), 0, []
    for first in range(0, len(y), 320):
        n += 320
        rows += [(row, n / SR) for row in stream.push(y[first : first + 320])]
    for _, end, _ in places[:-1]:
        last = max(t for row, t in rows if row["start"] < end)
        assert last - end < 0.25  # seconds of the stream, without the time for computing


def test_a_window_has_the_features_that_extract_gives(plain, talk):
    y = talk[0]
    context, first, last = round(CONTEXT * SR), 200, 500
    edges = [200, 230, 331, 500]
    mean = y[first * 160 : (last - 1) * 160 + 400].mean()
    pieces = [
        SpeechFrames(y[a * 160 - context : (b - 1) * 160 + 400 + context] - mean, SR, context)
        for a, b in itertools.pairwise(edges)
    ]
    whole = extract(y[first * 160 : (last - 1) * 160 + 400], features=SPEECH_FEATURES)
    joined = extract(SpeechFrames.joined(pieces), features=SPEECH_FEATURES)
    assert np.mean(np.abs(joined - whole) > 1e-3 * (1 + np.abs(whole))) < 0.02
    windows = SpeechFrames.joined(pieces, slice(50, 150)), y[250 * 160 : 349 * 160 + 400]
    predictor = plain.predictor_
    part, own = (predictor.probabilities(predictor.features(y))[0] for y in windows)
    np.testing.assert_allclose(part, own, atol=0.03)


# an encoder


def test_without_chunks_each_window_is_encoded_as_a_clip_is(encoding, talk):
    y = talk[0][: 10 * SR]
    rows = rows_of(Timeline(encoding, vad=False, hop=0.5), y, 4000)
    assert len(rows) == 20
    for row in rows.itertuples():
        y_of_window = y[max(0, round((row.end - 3) * SR)) : round(row.end * SR)]
        shares = encoding.predict_proba(y_of_window, sr=SR, check_speech=False)
        assert row.confidence == pytest.approx(max(shares.values()), abs=1e-6)
        assert row.emotion == max(shares, key=shares.get)


def test_an_utterance_of_one_chunk_is_encoded_as_a_clip_is(encoding, talk):
    stream = Timeline(encoding, window=10, hop=0.5, chunk=5)
    rows = rows_of(stream, talk[0], SR)
    assert len(stream.detector.spans) > 5
    for span in stream.detector.spans:
        last = rows[(rows["end"] > span.start) & (rows["start"] < span.end)].iloc[-1]
        first = int(np.ceil((span.start - timeline.MARGIN) * 50 - 1e-6)) * SR // 50
        clip = talk[0][first : round((span.end + timeline.MARGIN) * SR)]
        shares = encoding.predict_proba(clip, sr=SR)
        assert last["confidence"] == pytest.approx(shares[last["emotion"]], abs=1e-5)


@pytest.mark.parametrize("vad", [True, False])
def test_one_encoding_serves_all_windows(encoding, talk, encoded, vad):
    y = talk[0][: 18 * SR]
    sums, pieces = {}, {}
    for hop in (0.25, 1.0):
        encoded.clear()
        rows = rows_of(Timeline(encoding, window=4, hop=hop, chunk=3, vad=vad), y, 4000)
        sums[hop], pieces[hop] = sum(encoded), len(encoded)
        assert len(rows) > 10
    assert sums[0.25] <= sums[1.0] + 0.05 * len(y) / SR
    n_chunks = 18 / 3
    if not vad:  # the whole recording, and a second again for each chunk but the first
        assert pieces == {0.25: n_chunks, 1.0: n_chunks}
        assert sums[0.25] == pytest.approx(18 + (n_chunks - 1) * timeline.ENCODER_CONTEXT)
    encoded.clear()
    rows_of(Timeline(encoding, window=4, hop=0.25, vad=vad), y, 4000)
    assert sum(encoded) > 3 * sums[0.25]


def test_chunks_change_little(rec, talk):
    """The label of nearly each row is that of windows that are encoded one by one."""
    y = talk[0]
    single, *chunked = (rec.predict_timeline(y, sr=SR, chunk=chunk) for chunk in (None, 2, 6))
    for table in chunked:
        both = single.merge(table, on="start", suffixes=("", "_of_chunk"))
        assert len(both) > 0.9 * len(single)
        assert (both["emotion"] == both["emotion_of_chunk"]).mean() > 0.8


def test_a_recording_is_encoded_in_chunks_and_other_predictors_know_none(rec, plain, talk, encoded):
    y = talk[0][: 12 * SR]
    expected = rec.predict_timeline(y, sr=SR, chunk=CHUNK)
    encoded.clear()
    pd.testing.assert_frame_equal(rec.predict_timeline(y, sr=SR), expected, check_exact=True)
    assert 0 < sum(encoded) < 1.3 * 12
    assert len(rec.predict_timeline(y, sr=SR, hop=4, window=5)) > 1  # chunks of 4 s
    encoded.clear()
    found = plain.predict_timeline(y, sr=SR)
    pd.testing.assert_frame_equal(found, rows_of(Timeline(plain), y, 999), check_exact=True)
    assert not encoded


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_a_row_comes_at_the_end_of_its_chunk_or_utterance(rec, talk, chunk):
    y = talk[0][: 20 * SR]
    stream, waited = Timeline(rec, hop=0.5, chunk=chunk), []
    for first in range(0, len(y), 1600):
        for row in stream.push(y[first : first + 1600]):
            waited.append(stream.duration - row["end"])
    assert len(waited) > 10
    assert max(waited) < chunk + 1.5  # seconds: the pause that ends an utterance, and a hop
    if chunk == 5:
        assert max(waited) > 1


def test_a_row_does_not_depend_on_sound_after_its_chunk(rec, talk):
    y, places = talk
    end = next(n for n in range(3, 60, 3) if any(s < n - 1 and n < e for s, e, _ in places))
    whole = Timeline(rec, vad=False, chunk=3)
    rows = pd.DataFrame(whole.push(y[: end * SR]))
    noise = np.random.default_rng(0).standard_normal(5 * SR).astype(np.float32)
    changed = rows_of(Timeline(rec, vad=False, chunk=3), np.append(y[: end * SR], noise), 1000)
    pd.testing.assert_frame_equal(changed.iloc[: len(rows)], rows, check_exact=True)
    assert len(rows) == end and len(changed) == end + 5


def test_an_ensemble_measures_for_each_member(encoding, plain, talk, encoded):
    both = EnsemblePredictor.of([encoding.predictor_, plain.predictor_])
    y = talk[0][: 10 * SR]
    table = timeline.predict_timeline(both, y, sr=SR, verbose=0)
    assert 0 < sum(encoded) < 13
    rows = rows_of(Timeline(both, chunk=CHUNK), y, 777)
    pd.testing.assert_frame_equal(table, rows, check_exact=True)
    own = [rec.predict_timeline(y, sr=SR, chunk=CHUNK)[EMOTIONS] for rec in (encoding, plain)]
    np.testing.assert_allclose(table[EMOTIONS], (own[0] + own[1]) / 2, atol=1e-6)


def test_an_encoder_with_frames_of_its_own_has_a_timeline(talk, tmp_path):
    name = write_tiny_encoder(tmp_path / "tiny.onnx")  # a frame is 20 ms of sound, not around it
    options = {"features": ["encoder"], "encoder": name, "emotions": EMOTIONS}
    rec = EmotionRecognizer(EmotionLDA(), **options, **BUNDLED).train()
    y = talk[0][: 12 * SR]
    for settings in ({"hop": 0.25}, {"hop": 0.05, "window": 0.3, "chunk": 0.05}, {"vad": False}):
        table = rec.predict_timeline(y, sr=SR, **settings)
        assert len(table) > 5
    stream = Timeline(rec, vad=False, hop=0.5, chunk=0.5)
    chunked, single = rows_of(stream, y, 999), rows_of(Timeline(rec, vad=False, hop=0.5), y, 999)
    # its frames depend on no other sound: nothing but the edges of windows can differ
    np.testing.assert_allclose(chunked[EMOTIONS], single[EMOTIONS], atol=0.05)


def test_a_recognizer_and_its_predictor_have_the_same_timeline(rec, talk):
    y = talk[0][: 8 * SR]
    table = timeline.predict_timeline(rec.predictor_, y, sr=SR, verbose=0)
    for found in (
        timeline.predict_timeline(rec, y, sr=SR, verbose=0),
        rec.predict_timeline(y, sr=SR),
    ):
        pd.testing.assert_frame_equal(found, table, check_exact=True)
    assert Timeline(rec).predictor is Timeline(rec.predictor_).predictor is rec.predictor_


def test_an_untrained_recognizer_and_a_regressor_are_refused():
    with pytest.raises(ValueError, match="train"):
        Timeline(recommended(**BUNDLED))
    few = {"features": ["prosody"], "functionals": ["mean"], "classification": False}
    regressor = EmotionRecognizer(Ridge(), normalize=None, **few, **BUNDLED).train()
    with pytest.raises(ValueError, match="classification=True"):
        Timeline(regressor)


@pytest.mark.parametrize("features", [FEATURES[:3], ("mel", "prosody")])
def test_other_features_are_extracted_window_by_window(talk, features):
    rec = EmotionRecognizer(SVC(), features=list(features), functionals=["mean"], **BUNDLED).train()
    y = talk[0][: 8 * SR]
    table = rec.predict_timeline(y, sr=SR)
    row = table.iloc[-1]
    pd.testing.assert_frame_equal(table, rows_of(Timeline(rec), y, 700), check_exact=True)
    assert row["emotion"] in EMOTIONS


def test_smoothing_averages_cells_of_an_utterance_only(rec, talk):
    y = talk[0]
    plain = rec.predict_timeline(y, sr=SR, hop=0.5)
    smooth = rec.predict_timeline(y, sr=SR, hop=0.5, smooth=2)
    new = plain["start"] - plain["end"].shift() > 0.7
    new.iloc[0] = True
    expected = plain[EMOTIONS].where(new, (plain[EMOTIONS] + plain[EMOTIONS].shift()) / 2)
    np.testing.assert_allclose(smooth[EMOTIONS], expected, atol=1e-9)


def test_running_adaptation_uses_windows_before(rec, talk, monkeypatch):
    y, windows, add = talk[0][: 40 * SR], [], timeline.Running.add

    def noting(self, utterance, end, X):
        windows.append((end, X, self.predictor))
        add(self, utterance, end, X)

    monkeypatch.setattr(timeline.Running, "add", noting)
    stream = Timeline(rec, adapt=True)
    found, plain = rows_of(stream, y, SR // 2), rows_of(Timeline(rec), y, SR // 2)
    assert found[["start", "end"]].equals(plain[["start", "end"]]) and len(windows) == len(found)
    for i, (end, X, predictor) in enumerate(windows):
        assert found["end"][i] == pytest.approx(end, abs=1e-3)
        expected = predictor.by_emotion(predictor.probabilities(X)[0])
        assert found.loc[i, EMOTIONS].to_dict() == pytest.approx(expected, abs=1e-6)
    n_plain = sum(predictor is rec.predictor_ for *_, predictor in windows)
    assert 4 <= n_plain < len(windows) / 2 and stream.current.speaker is not None
    assert rec.predictor_.speaker is None


@pytest.mark.parametrize("chunk", [None, 3.0])
def test_running_adaptation_does_not_depend_on_blocks(rec, talk, chunk):
    y, settings = talk[0][: 30 * SR], {"chunk": chunk, "adapt": True}
    found = rows_of(Timeline(rec, **settings), y, SR)
    pd.testing.assert_frame_equal(rows_of(Timeline(rec, **settings), y, 12345), found)
    plain = rows_of(Timeline(rec, chunk=chunk), y, SR)
    pd.testing.assert_frame_equal(plain[:4], found[:4])
    assert not np.allclose(plain[-4:][EMOTIONS], found[-4:][EMOTIONS])


# who speaks when


@pytest.fixture(scope="module")
def turns(talk):
    """The clips of `talk` as turns of two speakers, and a third who speaks while they do."""
    rows = [(start, end, "aaab"[i % 4]) for i, (start, end, _) in enumerate(talk[1])]
    rows += [(rows[0][0] + 0.5, rows[1][1], "c"), (0.1, 1.3, "c")]  # the last: nobody does
    return pd.DataFrame(rows, columns=["start", "end", "speaker"])


def cut(talk, turn):
    return talk[0][round(turn.start * SR) : round(turn.end * SR)]


def test_a_turn_is_predicted_as_a_clip_is(rec, talk, turns):
    table = rec.predict_timeline(talk[0], sr=SR, segments=turns, adapt=False)
    columns = ["start", "end", "speaker", "emotion", "confidence", *EMOTIONS]
    assert list(table.columns) == columns and type(table) is TimelineTable
    pd.testing.assert_frame_equal(
        pd.DataFrame(table[columns[:3]]), turns.sort_values("start", ignore_index=True)
    )
    for turn in table.itertuples():
        shares = rec.predict_proba(cut(talk, turn), sr=SR)
        if not shares:
            assert pd.isna(turn.emotion) and pd.isna(turn.confidence)
            continue
        assert turn.emotion == max(shares, key=shares.get)
        assert table.loc[turn.Index, EMOTIONS].to_dict() == pytest.approx(shares, abs=1e-5)
    assert table["emotion"].isna().sum() == 1
    assert not any(facts["adapted"] for facts in table.attrs["speakers"].values())
    assert rec.predict_timeline(talk[0], sr=SR, segments=turns[-1:], vad=False)["emotion"].notna()[
        0
    ]


def test_each_speaker_is_adapted_to_by_all_of_the_turns(rec, talk, turns):
    table = rec.predict_timeline(talk[0], sr=SR, segments=turns)
    facts = table.attrs["speakers"]
    assert {who: own["adapted"] for who, own in facts.items()} == {
        "a": True,
        "b": False,
        "c": False,
    }
    assert facts["a"]["seconds"] > timeline.Running.ENOUGH and facts["c"]["turns"] == 2
    own = table[table["speaker"] == "a"]
    X = np.concatenate([rec.predictor_.features(cut(talk, turn)) for turn in own.itertuples()])
    shares = rec.predictor_.adapted(X).probabilities(X)
    expected = [rec.predictor_.by_emotion(row) for row in shares]
    np.testing.assert_allclose(own[EMOTIONS], pd.DataFrame(expected)[EMOTIONS], atol=1e-5)
    plain = rec.predict_timeline(talk[0], sr=SR, segments=turns, adapt=False)
    different = (table[EMOTIONS] - plain[EMOTIONS]).abs().max(axis=1) > 1e-6
    assert set(table.loc[different, "speaker"]) == {"a"}


def test_a_recognizer_that_cannot_adapt_has_turns_too(rec, talk, turns, adapted):
    y, some = talk[0], turns[:4]
    for other in (few_plain(), adapted):
        table = other.predict_timeline(y, sr=SR, segments=some)
        assert len(table) == 4 and not any(x["adapted"] for x in table.attrs["speakers"].values())
        with pytest.raises(ValueError, match="adapted"):
            other.predict_timeline(y, sr=SR, segments=some, adapt=True)


def few_plain():
    few = {"features": ["mfcc"], "functionals": ["mean"], "normalize": None}
    return EmotionRecognizer(EmotionLDA(), **few, **BUNDLED).train()


def test_turns_do_not_depend_on_blocks_and_hold_little_sound(rec, talk, turns, monkeypatch):
    y = talk[0]
    turns = pd.concat([turns, pd.DataFrame([(1.0, 37.0, "long")], columns=turns.columns)])
    turns = turns.sort_values("start", ignore_index=True)
    tables = []
    for width in (len(y), SR, 777):
        stream, held = timeline.Turns(rec, turns, adapt=False), 0
        for first in range(0, len(y), width):
            assert stream.push(y[first : first + width]) == []
            held = max(held, len(stream._held))
        tables.append(pd.DataFrame(stream.finish()))
        assert stream.duration == pytest.approx(len(y) / SR)
        assert width == len(y) or held <= (stream.LONGEST + 1) * SR
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other, check_exact=True)
    edges = np.linspace(1, 37, 3)  # two pieces of 18 s each
    pieces = [y[round(a * SR) : round(b * SR)] for a, b in itertools.pairwise(edges)]
    shares = [rec.predict_proba(piece, sr=SR) for piece in pieces]
    own = tables[0].loc[turns["speaker"] == "long", EMOTIONS].iloc[0]
    assert own.to_dict() == pytest.approx(pd.DataFrame(shares).mean().to_dict(), abs=1e-5)


def test_an_ensemble_has_turns(encoding, plain, talk, turns):
    both = EnsemblePredictor.of([encoding.predictor_, plain.predictor_])
    found = [
        timeline.predict_timeline(x, talk[0], sr=SR, segments=turns[:4], adapt=False, verbose=0)
        for x in (both, encoding, plain)
    ]
    mean = (found[1][EMOTIONS] + found[2][EMOTIONS]) / 2
    np.testing.assert_allclose(found[0][EMOTIONS], mean, atol=1e-6)
    assert any(
        x["adapted"]
        for x in timeline.predict_timeline(both, talk[0], sr=SR, segments=turns, verbose=0)
        .attrs["speakers"]
        .values()
    )


def test_turns_come_from_a_file_that_names_the_recording(rec, talk, turns, tmp_path, monkeypatch):
    sf.write(tmp_path / "my call.wav", talk[0], SR)
    lines = [
        f"SPEAKER {name} 1 {t.start:.3f} {t.end - t.start:.3f} <NA> <NA> {t.speaker} <NA> <NA>\n"
        for name, shift in (("my_call", 0), ("other", 900))
        for t in turns.assign(start=turns["start"] + shift, end=turns["end"] + shift).itertuples()
    ]
    (tmp_path / "all.rttm").write_text("".join(lines))
    decoded, stream = [], timeline.stream_audio
    monkeypatch.setattr(
        timeline, "stream_audio", lambda *x, **how: decoded.append(x) or stream(*x, **how)
    )
    rows = []
    table = rec.predict_timeline(
        tmp_path / "my call.wav",
        segments=tmp_path / "all.rttm",
        on_row=lambda channel, row: rows.append(row),
    )
    assert len(decoded) == 1 and len(table) == len(rows) == len(turns)
    assert (table["emotion"].dropna() == [r["emotion"] for r in rows if r["emotion"]]).all()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"window": 2.0, "hop": 0.5}, "leave out hop, window, or segments"),
        ({"channels": "split"}, "leave out channels, or segments"),
        ({"segments": [("a", 1)]}, "DataFrame"),
    ],
)
def test_settings_that_turns_do_not_have_are_refused(rec, talk, turns, wrong, words):
    with pytest.raises(ValueError, match=words):
        rec.predict_timeline(talk[0], sr=SR, **{"segments": turns} | wrong)


def test_turns_after_the_end_are_refused_before_and_after_decoding(rec, talk, turns):
    late = pd.DataFrame([(1.0, 900.0, "a")], columns=turns.columns)
    with pytest.raises(ValueError, match="1 to 900 s"):
        rec.predict_timeline(talk[0], sr=SR, segments=late)
    stream = timeline.Turns(rec, late)
    stream.push(talk[0][: 5 * SR])
    with pytest.raises(ValueError, match=r"is 5\.00 s long"):
        stream.finish()


def test_turns_can_be_drawn(rec, talk, turns):
    table = rec.predict_timeline(talk[0], sr=SR, segments=turns, report=False)
    band = draw_timeline(talk[0], table, sr=SR).axes[3]
    assert len(band.patches) == len(turns) - 1


def test_each_channel_has_its_timeline(rec, talk):
    y, _places = talk
    middle = len(y) // 2
    stereo = np.zeros((len(y), 2), np.float32)
    stereo[:middle, 0], stereo[middle:, 1] = y[:middle], y[middle:]
    left, right = rec.predict_timeline(stereo, sr=SR, channels="split")
    assert len(left) and len(right)
    assert left["end"].max() < middle / SR + 1 and right["start"].min() > middle / SR - 1
    pd.testing.assert_frame_equal(left, rec.predict_timeline(stereo[:, 0], sr=SR), check_exact=True)


def test_silence_has_no_rows_and_can_be_drawn(rec):
    y = np.zeros(5 * SR, np.float32)
    table = rec.predict_timeline(y, sr=SR)
    columns = ["start", "end", "emotion", "confidence", *EMOTIONS]
    assert len(table) == 0 and list(table.columns) == columns
    assert list(table.attrs["warnings"]) == ["no-speech", "quiet"]
    draw_timeline(y, table, sr=SR)
    assert timeline.to_srt(table) == timeline.to_audacity(table) == ""


def test_music_is_novel_and_a_report_can_be_left_out(rec):
    time = np.arange(8 * SR) / SR
    chord = sum(np.sin(2 * np.pi * f * time) for f in (220, 277, 330)) * (np.sin(7 * time) > 0)
    y = (0.1 * chord + 1e-4 * np.random.default_rng(0).standard_normal(len(time))).astype("f")
    table = rec.predict_timeline(y, sr=SR)
    assert "novel" in table.attrs["warnings"]
    assert rec.predict_timeline(y, sr=SR, report=False).attrs["warnings"] == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"hop": 0.33},
        {"hop": 0},
        {"window": 0.1},
        {"smooth": 0},
        {"channels": "left"},
        {"window": 0.5, "hop": 1.0},
        {"chunk": 0.5, "hop": 1.0},
        {"chunk": float("inf")},
    ],
)
def test_settings_outside_their_range_are_refused(rec, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        rec.predict_timeline(np.zeros(SR), sr=SR, **wrong)


# files and pictures

TABLE = pd.DataFrame(
    [
        (0.5, 1.0, "sad", 0.6, 0.6, 0.4),
        (1.0, 2.0, "sad", 0.8, 0.8, 0.2),
        (2.0, 3.0, "happy", 0.7, 0.3, 0.7),
        (3661.5, 3662.0, "happy", 0.9, 0.1, 0.9),
    ],
    columns=["start", "end", "emotion", "confidence", "sad", "happy"],
)
TABLE.attrs = {"duration": 4000.0, "warnings": {"noisy": "..."}}


def test_neighbours_of_the_same_emotion_are_one_segment():
    found = segments(TABLE).itertuples(index=False)
    rows = [(r.start, r.end, r.emotion, round(r.confidence, 3)) for r in found]
    assert rows[:2] == [(0.5, 2.0, "sad", 0.7), (2.0, 3.0, "happy", 0.7)]
    assert rows[2:] == [(3661.5, 3662.0, "happy", 0.9)]


def test_subtitles_labels_csv_and_json():
    first, second = timeline.to_srt(TABLE).split("\n\n")[:2]
    assert first.splitlines() == ["1", "00:00:00,500 --> 00:00:02,000", "sad (70%)"]
    assert second.splitlines() == ["2", "00:00:02,000 --> 00:00:03,000", "happy (70%)"]
    assert "01:01:01,500 --> 01:01:02,000" in timeline.to_srt(TABLE)
    assert timeline.to_audacity(TABLE).splitlines()[0] == "0.500\t2.000\tsad"
    lines = timeline.to_csv(TABLE).splitlines()
    assert lines[0] == "start,end,emotion,confidence,sad,happy" and len(lines) == 5
    kept = json.loads(timeline.to_json(TABLE))
    assert kept["warnings"] == TABLE.attrs["warnings"] and kept["rows"][3]["happy"] == 0.9


def test_each_format_has_its_ending_and_its_writer():
    endings = {name: form.ending for name, form in FORMATS.items()}
    texts = {"csv": ".csv", "srt": ".srt", "vtt": ".vtt", "audacity": ".txt", "json": ".json"}
    texts |= {"textgrid": ".TextGrid", "eaf": ".eaf", "rttm": ".rttm"}
    texts |= {"labelstudio": ".labelstudio.json"}
    assert endings == texts | {"png": ".png"} and FORMATS["png"].to_text is None
    for name in texts:
        assert FORMATS[name].to_text(TABLE) == timeline.WRITERS[name](TABLE)
    assert texts | {"png": ".png", "plot": ".png"} == timeline.ENDINGS


def test_each_row_is_passed_on(rec, talk):
    y = talk[0][: 8 * SR]
    rows = []
    stereo = np.stack([y, 0 * y], 1)
    tables = rec.predict_timeline(
        stereo, sr=SR, channels="split", on_row=lambda channel, row: rows.append((channel, row))
    )
    assert len(tables[0]) > 1 and len(tables[1]) == 0
    assert rows == [(0, row) for row in tables[0].to_dict("records")]


def test_the_picture_has_everything_under_one_time_axis(rec, talk):
    y = talk[0]
    table = rec.predict_timeline(y, sr=SR)
    figure = draw_timeline(y, table, sr=SR)
    wave, spectrum, shares, band = figure.axes[:4]
    assert {ax.get_xlim() for ax in (wave, spectrum, shares, band)} == {(0.0, len(y) / SR)}
    assert band.get_xlabel() == "time (s)" and spectrum.get_ylabel() == "frequency (kHz)"
    assert len(band.patches) == len(segments(table))
    assert [t.get_text() for t in shares.get_legend().get_texts()] == EMOTIONS
    image = spectrum.images[0].get_array()
    assert image.shape[1] <= timeline.N_COLUMNS and image.max() > -1


def spoken_for(minutes, columns=EMOTIONS):
    """A timeline of so many minutes whose answers flicker around a slow change, with a pause."""
    start = np.arange(60.0 * minutes)
    shares = np.random.default_rng(0).dirichlet(np.ones(3), len(start))
    shares[:, 1] += 2 * np.sin(np.pi * start / start[-1])
    table = pd.DataFrame({"start": start, "end": start + 1})
    if columns is EMOTIONS:
        shares /= shares.sum(axis=1, keepdims=True)
        table["emotion"] = [EMOTIONS[i] for i in shares.argmax(axis=1)]
        table["confidence"] = shares.max(axis=1)
    table[columns] = shares[:, : len(columns)]
    table = table[(start < 0.4 * start[-1]) | (start > 0.5 * start[-1])].reset_index(drop=True)
    table.attrs["duration"] = 60.0 * minutes
    return table


@pytest.mark.parametrize("columns", [EMOTIONS, ["arousal", "valence"]])
def test_a_long_recording_has_a_readable_picture(columns):
    table = spoken_for(30, columns)
    y = 3 * np.sin(np.arange(30 * 60 * 1000) / 20).astype(np.float32)  # beyond full scale
    figure = draw_timeline(y, table, sr=1000)
    wave, _, shares, *band = figure.axes[:4]
    low, high = wave.get_ylim()
    ((left, lowest), (right, highest)) = (
        wave.collections[0].get_datalim(wave.transData).get_points()
    )
    assert low < lowest < -2.9 and 2.9 < highest < high and 0 <= left < right <= 30
    if columns is not EMOTIONS:
        assert len(shares.lines) == 4 and max(len(x.get_xdata()) for x in shares.lines) <= 90
        return
    bars = shares.patches
    assert len(bars) <= len(EMOTIONS) * 150 and len(band[0].patches) < 20 < len(segments(table))
    np.testing.assert_allclose(sum(bar.get_height() for bar in bars), len(bars) / 3)
    covered = sum(bar.get_width() for bar in bars[: len(bars) // 3])
    assert covered == pytest.approx(27, abs=0.5)  # minutes: the pause stays white
    mean = sum(b.get_height() * b.get_width() for b in bars[: len(bars) // 3]) / covered
    assert mean == pytest.approx(table[EMOTIONS[0]].mean(), abs=0.01)


def test_the_picture_goes_where_it_is_wanted(rec, talk):
    figure = Figure()
    _, right = figure.subfigures(1, 2)
    table = rec.predict_timeline(talk[0], sr=SR)
    assert draw_timeline(talk[0], table, sr=SR, figure=right) is right
    assert right.axes == figure.axes and right.axes[3].get_xlabel() == "time (s)"


def test_a_timeline_shows_its_warnings_and_escapes_what_it_shows():
    table = TimelineTable(TABLE.rename(columns={"sad": "<sad>"}).replace("sad", "<sad>"))
    table.attrs = {"duration": 4000.0, "warnings": {"noisy": "<50 dB"}}
    table["confidence"] += 0.056
    title, warning, _, row, *_ = repr(table).splitlines()
    assert (title, warning) == ("Timeline, 4 rows in 4000.0 s", "! noisy: <50 dB")
    assert row.split() == ["0", "0.50", "1.00", "<sad>", "0.66", "0.60", "0.40"]
    shown = table._repr_html_()
    assert "<p>! noisy: &lt;50 dB</p>" in shown and "&lt;sad&gt;</td>" in shown
    assert "<td>3661.50</td>" in shown and "<sad>" not in shown
    assert type(table.round(1)) is type(table[["start", "end"]]) is pd.DataFrame


def test_predict_timeline_gives_such_a_table(rec, talk):
    table = rec.predict_timeline(talk[0][: 5 * SR], sr=SR)
    assert repr(table).startswith(f"Timeline, {len(table)} rows in 5.0 s")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.m4a", "phone.wav"])
def test_what_people_have_just_works(rec, talk, tmp_path, name):
    import imageio_ffmpeg

    y = talk[0][: 10 * SR]
    sf.write(tmp_path / "clip.wav", y, SR)
    path = tmp_path / name
    rate = ["-ar", "8000"] if name == "phone.wav" else []
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", tmp_path / "clip.wav"]
    subprocess.run([*ffmpeg, *rate, path], check=True)
    table = rec.predict_timeline(path)
    assert len(table) == pytest.approx(len(rec.predict_timeline(y, sr=SR)), abs=1)
    assert ("telephone" in table.attrs["warnings"]) == (name == "phone.wav")


def test_an_open_file_has_its_timeline_with_and_without_a_bar(rec, talk, tmp_path):
    sf.write(tmp_path / "clip.wav", talk[0][: 5 * SR], SR)
    expected = rec.predict_timeline(tmp_path / "clip.wav")
    for verbose in (0, 1):
        with (tmp_path / "clip.wav").open("rb") as file:
            found = timeline.predict_timeline(rec.predictor_, file, verbose=verbose)
        assert found.equals(expected)


@pytest.mark.parametrize("chunk", [None, 3])
def test_memory_does_not_grow_with_the_recording(rec, talk, chunk):
    """Six blocks of a minute: the stream holds some seconds only."""
    stream = Timeline(rec, window=3, hop=1, chunk=chunk)
    y = np.tile(talk[0], 60 * SR // len(talk[0]) + 1)[: 60 * SR]
    quiet = y * 0
    kept = []
    for minute in range(6):
        stream.push(y if minute % 3 == 0 else quiet)
        measures = filter(None, stream._measures.values())
        pieces = [piece for own in measures for _, piece in own._pieces]
        kept.append((len(stream._held), sum(piece.n_frames for piece in pieces)))
    assert max(n for n, _ in kept) < 10 * SR and max(n for _, n in kept) < 10 * 150


def test_labels_forge_no_rows_of_subtitles_or_of_audacity():
    label = "sad\n\n2\n00:00:09,000 --> 00:00:10,000\nforged\t<b>{\\an8}"
    table = TABLE.assign(emotion=label)
    srt = timeline.to_srt(table)
    assert srt.count("-->") == len(segments(table)) == srt.count("\n\n") + 1
    assert not set("<{}") & set(srt)
    for row in timeline.to_audacity(table).splitlines():
        assert row.count("\t") == 2


def test_cells_of_a_timeline_are_no_formulas():
    table = TABLE.assign(emotion="=1+1")
    assert ",'=1+1," in timeline.to_csv(table)
    assert ",=1+1," in timeline.to_csv(table, raw=True)


@pytest.mark.skipif(os.name != "posix", reason="FIFOs are POSIX's")
def test_a_timeline_waits_for_no_fifo(rec, tmp_path):
    os.mkfifo(tmp_path / "fifo.wav")
    with pytest.raises(AudioError, match="isn't a regular file"):
        rec.predict_timeline(tmp_path / "fifo.wav")
    with pytest.raises(AudioError, match="not an array of samples"):
        rec.predict_timeline([[0.1, 0.2], [0.3]], sr=16000)
