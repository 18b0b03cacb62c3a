"""The encoder: its spectrogram and layers against oracles, windows, and encoders of others."""

import hashlib
import io
import os
import pickle
import pickletools
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import encoder_reference as reference
import librosa
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import REPO, bundled_clip
from onnx import TensorProto, helper, numpy_helper

import encoder as enc
from audio import load_audio
from encoder import EncoderError, EncoderFrames, load_encoder
from parameters import SAMPLE_RATE as SR

sys.path.insert(0, str(REPO / "models"))

import make_encoder

HOP, SIZE = 320, 8
ALL_LAYERS = "whisper-base@0,1,2,3"


@pytest.fixture(scope="module")
def y():
    return load_audio(bundled_clip("angry"))


@pytest.fixture(scope="module")
def recording():
    """75 s of speech whose level changes, and a rest that fills no frame."""
    folder = REPO / "data" / "test-custom"
    y = np.concatenate([load_audio(path) for path in sorted(folder.glob("*.wav"))])
    y = np.resize(y, 75 * SR + 777)
    return y * (0.55 + 0.45 * np.sin(np.arange(len(y)) / SR)).astype(np.float32)


def relative(x, expected):
    """Root mean square of the difference, relative to the deviation of the frames."""
    return np.sqrt(np.mean((x - expected) ** 2) / np.mean((expected - expected.mean(axis=0)) ** 2))


def cosine(x, expected):
    """Of means and deviations over time."""
    a, b = (np.concatenate([v.mean(axis=0), v.std(axis=0)]) for v in (x, expected))
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


# the spectrogram


def slow_log_mel(y, n_mels=80):
    """The recipe of Whisper, frame by frame in double precision."""
    padded = np.pad(y.astype(np.float64), 200, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    filters = librosa.filters.mel(sr=SR, n_fft=400, n_mels=n_mels)
    frames = [padded[first : first + 400] for first in range(0, len(y) // 160 * 160, 160)]
    power = np.stack([filters @ np.abs(np.fft.rfft(frame * window)) ** 2 for frame in frames])
    logs = np.log10(np.maximum(power, 1e-10))
    return (np.maximum(logs, logs.max() - 8) + 4) / 4


def synthetic(kind):
    rng, time = np.random.default_rng(0), np.arange(SR) / SR
    signals = {
        "noise": rng.normal(size=SR),
        "tone": np.sin(2 * np.pi * 440 * time),
        "chirp": np.sin(2 * np.pi * 3500 * time**2) / 3,
        "quiet": rng.normal(scale=1e-4, size=777),
        "silence": np.zeros(1000),
    }
    return signals[kind].astype(np.float32)


def test_the_spectrogram_is_that_of_whisper_on_100_clips(clips):
    for path in clips:
        y = load_audio(path)
        np.testing.assert_allclose(enc.log_mel(y), slow_log_mel(y), atol=1e-4, err_msg=str(path))


@pytest.mark.parametrize("kind", ["noise", "tone", "chirp", "quiet", "silence"])
def test_the_spectrogram_is_that_of_whisper_on_what_is_not_speech(kind):
    y = synthetic(kind)
    np.testing.assert_allclose(enc.log_mel(y), slow_log_mel(y), atol=1e-4)
    np.testing.assert_allclose(enc.log_mel(y, n_mels=128), slow_log_mel(y, 128), atol=1e-4)


@pytest.mark.parametrize("n", [1, 159, 160, 200, 201, 319, 320, 16_000])
def test_the_spectrogram_has_a_frame_for_each_10_ms_and_one_at_least(n):
    assert enc.log_mel(np.ones(n, np.float32)).shape == (max(1, n // 160), 80)


@pytest.mark.parametrize("gain", [1e-5, 0.01, 3])
def test_the_level_of_a_recording_does_not_count(y, gain):
    spectrogram = enc.log_mel(y, level=enc.LEVEL, span=enc.SPAN)
    np.testing.assert_allclose(
        enc.log_mel(gain * y, level=enc.LEVEL, span=enc.SPAN), spectrogram, atol=1e-3
    )
    assert spectrogram.max() == pytest.approx((enc.LEVEL + 4) / 4, abs=1e-5)
    assert spectrogram.min() >= (enc.LEVEL - 4) / 4 - 1e-5


@pytest.mark.parametrize("span", [2.0, 6.5])
def test_the_floor_is_a_span_below_the_loudest_value(y, span):
    wide = 4 * enc.log_mel(y, level=0.0, span=20.0) - 4  # log10 of power
    for level in (0.0, 1.0):
        logs = 4 * enc.log_mel(y, level=level, span=span) - 4
        np.testing.assert_allclose(logs, np.maximum(wide, -span) + level, atol=1e-4)
        assert logs.min() == pytest.approx(level - span, abs=1e-4)
    own = 4 * enc.log_mel(y, span=span) - 4  # at the level that the clip has
    np.testing.assert_allclose(own - own.max(), np.maximum(wide, -span), atol=1e-4)


# the bundled encoder


def test_the_bundled_file_is_small_and_the_one_that_is_named():
    name, sha256 = enc.PRECISIONS["int8"]
    content = (enc.FOLDER / name).read_bytes()
    assert len(content) <= 16e6
    assert hashlib.sha256(content).hexdigest() == sha256
    notice = (enc.FOLDER / "NOTICE.md").read_text()
    assert sha256 in notice and enc.PRECISIONS["float16"][1] in notice
    assert make_encoder.CHECKPOINT_SHA256 in notice and "Copyright (c) 2022 OpenAI" in notice


def test_the_layers_are_those_of_its_weights_in_numpy(y):
    model = onnx.load(enc.FOLDER / enc.PRECISIONS["int8"][0])
    spectrogram = enc.log_mel(y - y.mean(), level=enc.LEVEL, span=enc.SPAN)
    expected = reference.layers(reference.weights_of(model), spectrogram)
    frames = np.split(load_encoder(ALL_LAYERS).encode(y), 4, axis=1)
    for layer, (x, of_numpy, limit) in enumerate(
        zip(frames, expected, (0.02, 0.07, 0.08, 0.1), strict=True)
    ):
        assert relative(x, of_numpy) < limit, f"layer {layer}"
        assert cosine(x, of_numpy) > 0.999, f"layer {layer}"


def test_weights_of_eight_bits_leave_a_bit_free_for_processors_without_vnni():
    model = onnx.load(enc.FOLDER / enc.PRECISIONS["int8"][0])
    arrays = [numpy_helper.to_array(array) for array in model.graph.initializer]
    matrices = [array.astype(int) for array in arrays if array.dtype == np.int8 and array.ndim == 2]
    assert len(matrices) == 1 + 4 * make_encoder.N_BLOCKS
    assert max(np.abs(matrix).max() for matrix in matrices) * 255 * 2 < 2**15


@pytest.fixture(scope="module")
def arrays():
    """The float16 weights; skips where SER_ENCODER_ARRAYS doesn't say where they are."""
    path = os.environ.get("SER_ENCODER_ARRAYS")
    if not path:
        pytest.skip("set SER_ENCODER_ARRAYS to base.pt, or to an .npz of its encoder's arrays")
    return make_encoder.read_weights(path)


@pytest.mark.parametrize("precision", enc.PRECISIONS)
def test_the_weights_give_the_bundled_file_byte_for_byte(arrays, precision):
    content = make_encoder.make_model(arrays, precision).SerializeToString(deterministic=True)
    assert hashlib.sha256(content).hexdigest() == enc.PRECISIONS[precision][1]


def test_int8_differs_from_the_float16_weights_by_the_quantisation_alone(arrays, y):
    expected = reference.layers(arrays, enc.log_mel(y - y.mean(), level=enc.LEVEL, span=enc.SPAN))
    frames = np.split(load_encoder(ALL_LAYERS).encode(y), 4, axis=1)
    for layer, limit in enumerate((0.03, 0.1, 0.1, 0.13)):
        assert relative(frames[layer], expected[layer]) < limit, f"layer {layer}"
        assert cosine(frames[layer], expected[layer]) > 0.999, f"layer {layer}"


@pytest.mark.parametrize("name, size", [("whisper-base", 1024), ("whisper-base@1", 512)])
def test_layers_are_chosen_by_name_and_columns_named(y, name, size):
    encoder, every = load_encoder(name), load_encoder(ALL_LAYERS)
    assert len(encoder.columns) == size == encoder.size * len(encoder.layers)
    assert encoder.columns[0] == f"layer{encoder.layers[0]}_1"
    columns = [every.columns.index(column) for column in encoder.columns]
    np.testing.assert_array_equal(encoder.encode(y), every.encode(y)[:, columns])


def test_the_hash_of_the_bundled_encoder_needs_no_onnxruntime():
    code = "import sys; from encoder import load_encoder as load; e = load(); e.sha256, e.columns\n"
    code += "assert not {'onnxruntime', 'librosa', 'scipy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)


def test_an_encoder_is_pickled_by_name_and_refused_if_it_is_another_one(tmp_path):
    assert pickle.loads(pickle.dumps(load_encoder("whisper-base@1"))).layers == (1,)
    path = save(waveform_model(), tmp_path / "a.onnx")
    content = pickle.dumps(load_encoder(path))
    assert len(content) < 1000
    save(waveform_model(seed=1), path)
    enc._loaded.cache_clear(), enc._network.cache_clear()
    with pytest.raises(EncoderError, match=r"has changed.*train with this one"):
        pickle.loads(content)


def test_both_precisions_count_as_the_same_encoder_with_hashes_of_their_own(monkeypatch):
    int8 = load_encoder()
    monkeypatch.setenv("SER_ENCODER_PRECISION", "float16")
    float16 = load_encoder()
    assert int8.sha256 != float16.sha256
    assert int8.same_as(float16.sha256) and float16.same_as(int8.sha256)
    assert not int8.same_as("0" * 64)
    monkeypatch.setenv("SER_ENCODER_PRECISION", "int4")
    with pytest.raises(EncoderError, match="'int4'; set it to int8 or float16"):
        load_encoder()


@pytest.fixture
def other_folder(tmp_path, monkeypatch):
    """An empty folder in place of models/; what was loaded before is forgotten."""
    monkeypatch.setattr(enc, "FOLDER", tmp_path)
    enc._bundled_session.cache_clear()
    yield tmp_path
    enc._bundled_session.cache_clear()


def test_a_missing_or_changed_bundled_file_says_how_to_get_it(other_folder, y):
    with pytest.raises(EncoderError, match=r"missing.*make_encoder.py WEIGHTS --precision int8"):
        load_encoder().encode(y)
    (other_folder / enc.PRECISIONS["int8"][0]).write_bytes(b"another")
    with pytest.raises(EncoderError, match=r"isn't the right file.*Check it out again"):
        load_encoder().encode(y)


# windows


def cuts(n):
    rng = np.random.default_rng(0)
    yield "halves", [n // 2]
    yield "windows", list(range(enc.BUNDLED_WINDOW * SR, n, enc.BUNDLED_WINDOW * SR))
    yield "20 ms", list(range(320, n, 320))
    yield "odd", list(range(7919, n, 7919))
    yield "random", sorted(rng.integers(0, n, 40))
    yield "empty", [0, 0, n // 3, n // 3, n]


@pytest.mark.parametrize("kind", ["halves", "windows", "20 ms", "odd", "random", "empty"])
def test_blocks_of_any_lengths_give_the_frames_of_the_whole(recording, kind, whole):
    blocks = np.split(recording, dict(cuts(len(recording)))[kind])
    values, times = zip(*load_encoder().blocks(iter(blocks)), strict=True)
    np.testing.assert_allclose(np.concatenate(values), whole, atol=1e-3)
    np.testing.assert_allclose(np.concatenate(times), np.arange(len(whole)) / 50, atol=1e-9)


@pytest.fixture(scope="module")
def whole(recording):
    return load_encoder().encode(recording)


def test_a_long_recording_has_50_frames_a_second(recording, whole):
    assert whole.shape == (-(-(len(recording) // 160) // 2), 1024)


@pytest.mark.parametrize("n", [1, 100, 320, 321, 16_000, 48_000])
def test_a_clip_of_any_length_has_frames(n, y):
    values = load_encoder().encode(np.resize(y, n))
    assert values.shape == (max(1, -(-(n // 160) // 2)), 1024)
    assert np.isfinite(values).all() and np.isfinite(load_encoder().encode(np.zeros(n))).all()


@pytest.mark.parametrize(
    "y, message",
    [
        (np.zeros(0), "no samples"),
        (np.zeros((2, 100)), "2-D of float64"),
        (np.zeros(100, int), "1-D of int"),
        (np.full(100, np.nan), "finite"),
    ],
)
def test_what_is_no_signal_is_refused(y, message):
    with pytest.raises(EncoderError, match=message):
        load_encoder().encode(y)


# encoders of others


def kernels(hop=HOP, seed=0):
    """(8, 1, hop); each adds up to 0, so that the mean of a window doesn't show in a frame."""
    W = np.random.default_rng(seed).normal(size=(SIZE, 1, hop))
    return (W - W.mean(axis=-1, keepdims=True)).astype(np.float32)


def waveform_model(*, length="n", rank=2, seed=0, hop=HOP, outputs=("frames",), W=None):
    """An encoder whose frames are those samples times a matrix, without any context."""
    W = kernels(hop, seed) if W is None else W
    shape = [1, length] if rank == 2 else [length]
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["row"]),
        helper.make_node("Conv", ["row", "W"], ["conv"], strides=[hop]),
        helper.make_node("Transpose", ["conv"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("ReduceMean", ["frames", "axes"], ["pooled"], keepdims=0),
        helper.make_node("Mul", ["frames", "two"], ["double"]),
    ]
    constants = {"W": W, "shape": np.array([1, 1, -1]), "axes": np.array([1])}
    constants["two"] = np.array(2, np.float32)
    kinds = {"frames": [1, "m", SIZE], "double": [1, "m", SIZE], "pooled": [1, SIZE]}
    return model_of(nodes, shape, {name: kinds[name] for name in outputs}, constants)


def model_of(nodes, shape, outputs, constants, kind=TensorProto.FLOAT, extra=()):
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", kind, shape), *extra],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def save(model, path, **options):
    onnx.save(model, path, **options)
    return str(path)


def expected_frames(y, hop=HOP, seed=0):
    return y[: len(y) // hop * hop].reshape(-1, hop) @ kernels(hop, seed)[:, 0].T


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("hop", [160, 320, 512])
def test_an_onnx_file_that_takes_a_waveform(tmp_path, recording, rank, hop):
    encoder = load_encoder(save(waveform_model(rank=rank, hop=hop), tmp_path / "e.onnx"))
    assert (encoder.layers, encoder.size, encoder.frame_rate) == ((0,), SIZE, SR / hop)
    for y in (recording[: 2 * SR], recording):  # its frames have no context: no window shows
        expected = expected_frames(y, hop)
        np.testing.assert_allclose(encoder.encode(y), expected, atol=1e-4)
        values, times = zip(*encoder.blocks(np.array_split(y, 7)), strict=True)
        np.testing.assert_allclose(np.concatenate(values), expected, atol=1e-4)
        centres = (np.arange(len(expected)) + 0.5) * hop / SR
        np.testing.assert_allclose(np.concatenate(times), centres, atol=1e-9)


def test_an_offset_does_not_count(tmp_path, recording):
    path = save(waveform_model(W=kernels() + np.float32(1)), tmp_path / "e.onnx")
    encoder, higher = load_encoder(path), recording + np.float32(0.3)
    expected = encoder.encode(recording)
    np.testing.assert_allclose(encoder.encode(higher), expected, atol=1e-3)
    values, _ = zip(*encoder.blocks(np.array_split(higher, 7)), strict=True)
    np.testing.assert_allclose(np.concatenate(values), expected, atol=1e-3)
    clip, same = (EncoderFrames(y, SR, encoder) for y in (higher, recording))
    np.testing.assert_allclose(clip.loudness, same.loudness, atol=1e-2)
    np.testing.assert_array_equal(clip.rows("active"), same.rows("active"))


@pytest.mark.parametrize("n", [15_999, 16_000, 48_001])
def test_a_waveform_of_fixed_length_is_filled_up_and_cut(tmp_path, recording, n):
    encoder = load_encoder(save(waveform_model(length=n), tmp_path / "e.onnx"))
    values = encoder.encode(recording[:8000])
    assert values.shape == (25, SIZE)
    np.testing.assert_allclose(values, expected_frames(recording[:8000]), atol=1e-4)
    assert encoder.encode(recording[:10]).shape == (1, SIZE)
    assert len(encoder.encode(recording)) == pytest.approx(len(recording) / HOP, rel=0.03)


@pytest.mark.parametrize(("n_mels", "length"), [(80, "n"), (128, "n"), (80, 3000)])
def test_an_onnx_file_that_takes_a_spectrogram(tmp_path, y, n_mels, length):
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("Slice", ["t", "zero", "last", "one", "two"], ["frames"]),
    ]
    constants = {name: np.array([n]) for name, n in (("zero", 0), ("one", 1), ("two", 2))}
    constants["last"] = np.array([10_000])
    model = model_of(nodes, [1, n_mels, length], {"frames": [1, "m", n_mels]}, constants)
    encoder = load_encoder(save(model, tmp_path / "e.onnx"))
    assert (encoder.size, encoder.frame_rate) == (n_mels, 50)
    values = encoder.encode(y)
    spectrogram = enc.log_mel(y - y.mean(), n_mels=n_mels, level=enc.LEVEL, span=enc.SPAN)[::2]
    assert values.shape == spectrogram.shape
    n = len(values) - 2  # what is filled up changes the last frames
    np.testing.assert_allclose(values[:n], spectrogram[:n], atol=1e-5)
    assert encoder.times(2).tolist() == [0, 0.02]


def test_outputs_are_chosen_and_those_that_are_no_frames_refused(tmp_path, y):
    outputs = ("frames", "pooled", "double")
    path = save(waveform_model(outputs=outputs), tmp_path / "e.onnx")
    frames = load_encoder(f"{path}@0").encode(y)
    assert load_encoder(path).layers == (2,)
    both = load_encoder(f"{path}@2,0").encode(y)
    np.testing.assert_allclose(both, np.hstack([frames, 2 * frames]))
    for layer in (1, 3):
        with pytest.raises(EncoderError, match=f"no layers {layer}; choose from 0, 2"):
            load_encoder(f"{path}@{layer}")


def test_memory_does_not_grow_with_the_recording(tmp_path):
    encoder = load_encoder(save(waveform_model(), tmp_path / "e.onnx"))
    block, peaks = np.ones(SR, np.float32), []
    list(encoder.blocks([block] * 100))
    for n in (100, 1000):
        tracemalloc.start()
        n_frames = sum(len(values) for values, _ in encoder.blocks(block for _ in range(n)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n_frames == 50 * n
    assert peaks[1] < 1.2 * peaks[0]


def one_node(kind, shape, output, **options):
    node = helper.make_node(kind, ["x"], ["frames"])
    return model_of([node], shape, {"frames": output}, {}, **options)


BAD = {
    "rank": (
        one_node("Identity", [1, 1, 1, "n"], [1, 1, 1, "n"]),
        r"x tensor\(float\) .*one input of float32",
    ),
    "bands": (one_node("Identity", [1, 40, "n"], [1, 40, "n"]), r"\(1, 80, n\)"),
    "batch": (one_node("Identity", [4, "n"], [4, "n"]), "Export it with that input alone"),
    "pooled": (waveform_model(outputs=("pooled",)), r"has to give frames.*hidden states"),
    "samples": (one_node("Identity", [1, "n"], [1, "n"]), r"has to give frames.*hidden states"),
    "hop": (waveform_model(hop=10), "from 1 to 400 a second"),
    "double": (
        model_of(
            [helper.make_node("Cast", ["x"], ["frames"], to=TensorProto.FLOAT)],
            ["n"],
            {"frames": ["n"]},
            {},
            kind=TensorProto.DOUBLE,
        ),
        r"tensor\(double\)",
    ),
    "inputs": (
        one_node(
            "Identity",
            [1, "n"],
            [1, "n"],
            extra=[helper.make_tensor_value_info("mask", TensorProto.INT64, [1, "n"])],
        ),
        r"mask tensor\(int64\)",
    ),
    "operator": (one_node("Unheard", [1, "n"], [1, "n"]), "export the encoder again"),
}
"""Kind of fault to a model, and to what the message says."""


@pytest.mark.parametrize("kind", BAD)
def test_an_onnx_file_that_is_no_encoder_says_what_one_is(tmp_path, kind):
    model, message = BAD[kind]
    with pytest.raises(EncoderError, match=message):
        load_encoder(save(model, tmp_path / "e.onnx"))


def test_an_onnx_file_without_outputs_is_refused(tmp_path):
    model = waveform_model()
    del model.graph.output[:]
    with pytest.raises(EncoderError, match=r"e\.onnx"):
        load_encoder(save(model, tmp_path / "e.onnx"))


@pytest.mark.parametrize("location", ["w.bin", "{folder}/w.bin", "*/_ORT_MEM_ADDR_/*"])
def test_weights_elsewhere_are_refused_even_if_they_are_there(tmp_path, monkeypatch, location):
    path = tmp_path / "e.onnx"
    options = {"save_as_external_data": True, "size_threshold": 0, "location": "w.bin"}
    save(waveform_model(), path, **options)
    model = onnx.load(path, load_external_data=False)
    entries = [entry for tensor in model.graph.initializer for entry in tensor.external_data]
    for entry in entries:
        if entry.key == "location":
            entry.value = location.format(folder=tmp_path)
    content = model.SerializeToString()
    longer = content.replace(b"\x08location", b"\x88\x00location")  # the same length in two bytes
    monkeypatch.chdir(tmp_path)
    assert (tmp_path / "w.bin").exists() and longer != content
    for written in (content, longer):
        path.write_bytes(written)
        with pytest.raises(EncoderError, match=r"e\.onnx refers to weights in other files; save"):
            load_encoder(path)


def test_files_that_are_no_onnx_or_missing_or_too_large(tmp_path, monkeypatch):
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(EncoderError, match=r"text\.onnx can't be loaded by onnxruntime"):
        load_encoder(tmp_path / "text.onnx")
    with pytest.raises(EncoderError, match=r"none\.onnx can't be read.*Check the path"):
        load_encoder(tmp_path / "none.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(EncoderError, match=r"folder\.onnx can't be read"):
        load_encoder(tmp_path / "folder.onnx")
    monkeypatch.setattr(enc, "LARGEST", 100)
    path = save(waveform_model(), tmp_path / "large.onnx")
    with pytest.raises(EncoderError, match=r"the limit is 100\)\. Export it in float16"):
        load_encoder(path)


def test_names_are_completed_and_checked_without_opening_anything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert enc.full_name("whisper-base@3,2,2") == enc.full_name("whisper-base") == "whisper-base"
    assert enc.full_name("whisper-base@1") == "whisper-base@1"
    assert enc.full_name("a@b/e.onnx@1,0") == str(tmp_path / "a@b" / "e.onnx@0,1")
    assert enc.full_name("hf:microsoft/wavlm-base@9,6") == "hf:microsoft/wavlm-base@6,9"
    for name in ("", "wavlm", "whisper-base@", "whisper-base@x", "e.pt", "hf:", "onnx", "@1"):
        with pytest.raises(EncoderError, match=r"choose from whisper-base.*hf:NAME"):
            enc.full_name(name)


# frames of a clip


def test_frames_of_a_piece_begin_after_its_context(tmp_path, y):
    encoder = load_encoder(save(waveform_model(), tmp_path / "e.onnx"))
    whole, piece = EncoderFrames(y, SR, encoder), EncoderFrames(y, SR, encoder, context=5 * HOP)
    np.testing.assert_array_equal(piece.values, whole.values[5:])
    np.testing.assert_allclose(piece.loudness, whole.loudness[5:])
    assert piece.times[0] == pytest.approx(whole.times[0])
    assert piece.n_frames == len(piece.times) == len(piece.values) == whole.n_frames - 5


def test_joined_pieces_are_the_whole(tmp_path, y):
    encoder = load_encoder(save(waveform_model(), tmp_path / "e.onnx"))
    y = y[: len(y) // HOP * HOP]
    whole, cut = EncoderFrames(y, SR, encoder), 20 * HOP
    pieces = [
        EncoderFrames(y[:cut], SR, encoder),
        EncoderFrames(y[cut - 3 * HOP :], SR, encoder, context=3 * HOP),
    ]
    joined = EncoderFrames.joined(pieces)
    np.testing.assert_allclose(joined.values, whole.values, atol=1e-5)
    counts = whole.loudness > whole.loudness.max() - enc.ACTIVE  # the mean shows in silence
    counts[19] = False  # at the cut the spectrogram lacks what follows
    np.testing.assert_allclose(joined.loudness[counts], whole.loudness[counts], atol=1e-3)
    np.testing.assert_array_equal(joined.rows("active"), whole.rows("active"))
    np.testing.assert_allclose(joined.times, whole.times)
    part = EncoderFrames.joined(pieces, slice(10, 30))
    np.testing.assert_allclose(part.values, whole.values[10:30], atol=1e-5)


def test_active_frames_are_from_the_first_that_is_not_silent_to_the_last(y):
    pause = np.zeros(SR // 2, np.float32)
    loud = 0.3 * np.sin(2 * np.pi * 220 * np.arange(SR) / SR).astype(np.float32)
    clip = EncoderFrames(np.concatenate([pause, loud, pause, loud, pause]) + 0.2, SR)
    rows = clip.rows("active")
    assert abs(rows[0] - 25) <= 1 and abs(rows[-1] - 150) <= 1
    np.testing.assert_array_equal(np.diff(rows), 1)
    loud = clip.rows("loud")
    assert set(loud) < set(rows) and np.diff(loud).max() > 20  # without the pause
    silent = EncoderFrames(np.zeros(SR, np.float32), SR)
    assert len(silent.rows("active")) == silent.n_frames == 50
    with pytest.raises(ValueError, match="Unknown kind of frames 'voiced'; choose from active"):
        clip.rows("voiced")


def test_loud_frames_are_those_within_25_db_of_the_loudest():
    levels = -np.repeat([0, 24, 26, 10, 29, 40], SR // 2)  # dB
    time = np.arange(len(levels)) / SR
    y = 10 ** (levels / 20) * np.sin(2 * np.pi * 440 * time)
    clip = EncoderFrames(y.astype(np.float32), SR)
    inner = np.abs(np.arange(clip.n_frames) % 25 - 12) < 10  # away from the steps
    loud, active = (np.isin(np.arange(clip.n_frames), clip.rows(k)) for k in ("loud", "active"))
    expected = {"loud": [1, 1, 0, 1, 0, 0], "active": [1, 1, 1, 1, 1, 0]}
    np.testing.assert_array_equal(loud[inner], np.repeat(expected["loud"], 25)[inner])
    np.testing.assert_array_equal(active[inner], np.repeat(expected["active"], 25)[inner])


def test_another_sampling_rate_is_converted():
    time = np.arange(2 * 44_100) / 44_100
    tone = sum(np.sin(2 * np.pi * f * time) for f in (200, 700, 1900)).astype(np.float32) / 4
    clip = EncoderFrames(tone, 44_100, context=44_100)
    time = np.arange(2 * SR) / SR
    tone = sum(np.sin(2 * np.pi * f * time) for f in (200, 700, 1900)).astype(np.float32) / 4
    expected = EncoderFrames(tone, SR, context=SR)
    assert clip.values.shape == expected.values.shape == (50, 1024)
    assert cosine(clip.values, expected.values) > 0.99


# the making of the file


@pytest.fixture(scope="module")
def small_weights():
    """Random weights of a small encoder with the names of Whisper's."""
    rng, size, n_mels = np.random.default_rng(0), 128, 80

    def shape(name):
        if name.startswith("conv"):
            n_in = n_mels if name.startswith("conv1") else size
            return (size, n_in, 3) if name.endswith("weight") else (size,)
        if name == "positional_embedding":
            return 200, size
        wide = 4 * size if ".mlp.0" in name else size
        if name.endswith("bias") or "_ln" in name:
            return (wide,)
        return wide, 4 * size if ".mlp.2" in name else size

    def values(name):
        n = shape(name)
        x = rng.normal(size=n) / np.sqrt(np.prod(n[1:]) if len(n) > 1 else 10)
        return (x + name.endswith("ln.weight")).astype(np.float16)

    return {name: values(name) for name in make_encoder.NAMES}


@pytest.mark.parametrize(("precision", "limit"), [("float16", 1e-4), ("int8", 0.15)])
def test_a_small_encoder_computes_what_numpy_computes(small_weights, y, precision, limit):
    model = make_encoder.make_model(small_weights, precision)
    stored = reference.weights_of(model)
    for name, array in small_weights.items():
        rounded = np.abs(stored[name] - array.astype(np.float32)).reshape(len(array), -1)
        largest = np.abs(array.astype(np.float32)).reshape(len(array), -1).max(axis=1)
        step = largest / make_encoder.LARGEST_WEIGHT if precision == "int8" else 0 * largest
        assert np.all(rounded.max(axis=1) <= 0.501 * step), name
    session = onnxruntime.InferenceSession(model.SerializeToString())
    spectrogram = enc.log_mel(np.resize(y, 4 * SR))[:399]
    outputs = session.run(None, {"log_mel": spectrogram.T[None]})
    for x, expected in zip(outputs, reference.layers(stored, spectrogram), strict=True):
        assert x[0].shape == expected.shape == (200, 128)
        assert relative(x[0], expected) < limit
        assert cosine(x[0], expected) > 0.999


def test_make_encoder_writes_the_same_bytes_each_time(small_weights, tmp_path, capsys, monkeypatch):
    np.savez(tmp_path / "w.npz", **small_weights)
    for name in ("a.onnx", "b.onnx"):
        make_encoder.main([str(tmp_path / "w.npz"), "--output", str(tmp_path / name)])
    assert "not the bundled encoder" in capsys.readouterr().out
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    encoder = load_encoder(f"{tmp_path / 'a.onnx'}@1,3")
    assert encoder.encode(np.ones(SR)).shape == (50, 256)


def test_make_encoder_names_what_is_missing_and_files_that_are_not_openais(small_weights, tmp_path):
    weights = {k: v for k, v in small_weights.items() if k != "conv1.bias"}
    np.savez(tmp_path / "w.npz", **weights)
    with pytest.raises(EncoderError, match=r"lacks conv1\.bias"):
        make_encoder.main([str(tmp_path / "w.npz")])
    (tmp_path / "base.pt").write_bytes(b"another")
    with pytest.raises(EncoderError, match=r"isn't OpenAI's base\.pt: its sha256 is"):
        make_encoder.main([str(tmp_path / "base.pt")])


def checkpoint(tensors, extra=""):
    """A checkpoint as torch.save writes it, by hand: BytesIO.

    Parameters
    ----------
    tensors : dict of str to ndarray of float16
    extra : str
        Opcodes of another value, in the notation of the pickle protocol 0.
    """
    lines = "(dVmodel_state_dict\nccollections\nOrderedDict\n(tR"
    for key, (name, array) in enumerate(tensors.items()):
        numbers = "".join(f"I{n}\n" for n in array.shape)
        strides = "".join(f"I{n // array.itemsize}\n" for n in array.strides)
        lines += (
            f"V{name}\nctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\nHalfStorage\n"
            f"V{key}\nVcpu\nI{array.size}\ntQI0\n({numbers}t({strides}tI00\n"
            "ccollections\nOrderedDict\n(tRtRs"
        )
    content = (lines + "s" + extra + ".").encode()
    list(pickletools.genops(content))  # it is a pickle
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("base/data.pkl", content)
        for key, array in enumerate(tensors.values()):
            archive.writestr(f"base/data/{key}", array.tobytes())
    file.seek(0)
    return file


def test_a_checkpoint_is_read_without_torch():
    rng = np.random.default_rng(0)
    tensors = {
        "encoder.a": rng.normal(size=(3, 4)).astype(np.float16),
        "decoder.b": rng.normal(size=5).astype(np.float16),
    }
    found = make_encoder.read_checkpoint(checkpoint(tensors))["model_state_dict"]
    assert list(found) == list(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "extra",
    [
        "Vx\ncos\nsystem\n(Vtouch hacked\ntRs",
        "Vx\ncbuiltins\neval\n(V1\ntRs",
        "Vx\nctorch\nload\n(Vx\ntRs",
        "Vx\n(Vstorage\nctorch\nHalfStorage\nV../../x\nVcpu\nI1\ntQs",
        "Vx\nctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\nHalfStorage\nV0\nVcpu\nI4\n"
        "tQI0\n(I1000000\nt(I1\ntI00\nNtRs",
    ],
    ids=["system", "eval", "torch", "path", "length"],
)
def test_a_checkpoint_that_would_run_code_is_refused(extra, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EncoderError, match="isn't a checkpoint of tensors alone"):
        make_encoder.read_checkpoint(checkpoint({"a": np.zeros(4, np.float16)}, extra))
    assert not Path("hacked").exists()


# transformers


@pytest.fixture(scope="module")
def transformers():
    """Only in a process of its own: torch crashes some processes that have loaded TensorFlow."""
    if not os.environ.get("SER_ENCODER_TESTS"):
        pytest.skip(
            "pip install -r requirements-encoders.txt, then "
            "SER_ENCODER_TESTS=1 python -m pytest -m slow tests/test_encoder.py"
        )
    import transformers

    return transformers


TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "conv_dim": (16,) * 7,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Wav2Vec2", "Hubert", "WavLM"])
def test_hidden_states_of_transformers(transformers, tmp_path, y, kind):
    import torch

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**TINY)
    model = getattr(transformers, f"{kind}Model")(config).eval()
    model.save_pretrained(tmp_path)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    extractor.save_pretrained(tmp_path)
    encoder = load_encoder(f"hf:{tmp_path}@1,3")
    assert (encoder.size, encoder.frame_rate) == (32, 50)
    assert encoder.libraries == ("torch", "transformers")
    standardised = torch.from_numpy((y - y.mean()) / np.sqrt(y.var() + 1e-7))[None]
    with torch.no_grad():
        states = model(standardised, output_hidden_states=True).hidden_states
    expected = np.hstack([states[1][0].numpy(), states[3][0].numpy()])
    np.testing.assert_allclose(encoder.encode(y), expected, atol=1e-4)
    long = np.resize(y, 40 * SR)
    values = [values for values, _ in encoder.blocks(np.array_split(long, 9))]
    np.testing.assert_allclose(np.concatenate(values), encoder.encode(long), atol=1e-3)
    assert load_encoder(f"hf:{tmp_path}").layers == (3,)
    with pytest.raises(EncoderError, match="no layers 4; choose from 0, 1, 2, 3"):
        load_encoder(f"hf:{tmp_path}@4")


@pytest.mark.slow
def test_whisper_of_transformers_is_filled_up_to_30_seconds(transformers, tmp_path, y):
    sizes = {f"{part}_{what}": 2 for part in ("encoder", "decoder") for what in ("layers",)}
    sizes |= {f"{part}_attention_heads": 2 for part in ("encoder", "decoder")}
    sizes |= {f"{part}_ffn_dim": 32 for part in ("encoder", "decoder")}
    transformers.WhisperModel(transformers.WhisperConfig(d_model=32, **sizes)).save_pretrained(
        tmp_path
    )
    transformers.WhisperFeatureExtractor().save_pretrained(tmp_path)
    encoder = load_encoder(f"hf:{tmp_path}")
    assert (encoder.layers, encoder.frame_rate) == ((2,), 50)
    assert encoder.encode(y[:SR]).shape == (50, 32)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["emotion2vec", "empty"])
def test_a_model_that_transformers_does_not_know_says_what_to_do(transformers, tmp_path, name):
    if name == "emotion2vec":
        (tmp_path / "config.json").write_text('{"model_type": "emotion2vec"}')
        transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    with pytest.raises(EncoderError, match=r"can't load.*to ONNX, and pass encoder=PATH\.onnx"):
        load_encoder(f"hf:{tmp_path}")


def test_without_transformers_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it weren't installed
    with pytest.raises(EncoderError, match=r"pip install -r requirements-encoders\.txt"):
        load_encoder(f"hf:{tmp_path}")
