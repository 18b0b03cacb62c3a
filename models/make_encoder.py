"""Make the ONNX file of the bundled encoder from Whisper's weights.

    python models/make_encoder.py base.pt                        # models/whisper-base-encoder.onnx
    python models/make_encoder.py arrays.npz --precision float16
    python models/make_encoder.py base.pt --output encoder.onnx

The weights are OpenAI's base.pt (its address is in openai/whisper, whisper/__init__.py), or an
.npz of the arrays of its encoder, by their names without "encoder.". Of the encoder's six blocks
the first three are kept. The same weights give the same file, byte for byte.

It needs onnx: pip install -r requirements-dev.txt
"""

import argparse
import collections
import hashlib
import io
import math
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import guarded, replacing
from encoder import FOLDER, PRECISIONS, EncoderError
from utils import check_memo

CHECKPOINT_SHA256 = "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e"
N_BLOCKS, HEAD_SIZE = 3, 64
OPSETS = {"": 20, "com.microsoft": 1}
IR_VERSION = 9
LARGEST_WEIGHT = 64
"""Of an int8 weight. Processors without VNNI add two products of uint8 and int8 as int16, and
2 * 255 * 64 is below its limit, 32767: they compute the same as the others."""

BLOCK = (
    *("attn_ln.weight", "attn_ln.bias", "attn.query.weight", "attn.query.bias", "attn.key.weight"),
    *("attn.value.weight", "attn.value.bias", "attn.out.weight", "attn.out.bias"),
    *("mlp_ln.weight", "mlp_ln.bias", "mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"),
)
NAMES = (
    *("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "positional_embedding"),
    *(f"blocks.{block}.{name}" for block in range(N_BLOCKS) for name in BLOCK),
)


STORAGES = {"HalfStorage": np.dtype("<f2"), "FloatStorage": np.dtype("<f4")}
"""Kinds of numbers in a checkpoint of torch."""

LARGEST_PICKLE = 2**24
"""Bytes of the names and shapes in a checkpoint; OpenAI's has some 20,000."""


# reading weights


def read_weights(path):
    """Read the arrays of the encoder that are used: dict of str to ndarray.

    Parameters
    ----------
    path : path
        OpenAI's base.pt, or an .npz.

    Raises
    ------
    EncoderError
        If base.pt isn't OpenAI's file, or an array is missing.
    """
    path = Path(path)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    else:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if sha256 != CHECKPOINT_SHA256:
            raise EncoderError(
                f"{path} isn't OpenAI's base.pt: its sha256 is {sha256}, not {CHECKPOINT_SHA256}. "
                "Download it anew, or give an .npz of arrays."
            )
        state = read_checkpoint(path)["model_state_dict"]
        found = {name.removeprefix("encoder."): array for name, array in state.items()}
    missing = [name for name in NAMES if name not in found]
    if missing:
        raise EncoderError(f"{path} lacks {', '.join(missing)}; see the names of OpenAI's base.pt.")
    return {name: found[name] for name in NAMES}


def read_checkpoint(path):
    """Read what torch.save wrote, without torch, and without running any code of the file: dict.

    A checkpoint is a zip of a pickle and of the numbers of its tensors. The pickle may name what
    rebuilds tensors, and nothing else.

    Parameters
    ----------
    path : path or binary file

    Returns
    -------
    dict
        Tensors as ndarrays.

    Raises
    ------
    EncoderError
        If the file isn't a checkpoint, or names anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(names) != 1:
                raise EncoderError(f"{path} has no data.pkl, so torch.save didn't write it.")
            if archive.getinfo(names[0]).file_size > LARGEST_PICKLE:
                raise EncoderError(f"{path} has more than {LARGEST_PICKLE:,} bytes of names.")
            content = archive.read(names[0])
            check_memo(content)
            folder = names[0].removesuffix("data.pkl")
            return _TensorReader(io.BytesIO(content), archive, folder).load()
    except (EncoderError, FileNotFoundError):
        raise
    except Exception as error:  # a forged file may cause any
        raise EncoderError(f"{path} isn't a checkpoint of tensors alone: {error}.") from error


class _TensorReader(pickle.Unpickler):
    """Unpickles dicts, numbers, texts and tensors; every other global is refused."""

    def __init__(self, file, archive, folder):
        super().__init__(file)
        self._archive, self._folder = archive, folder

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuilt
        if module == "torch" and name in STORAGES:
            return name
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid):
        kind, storage, key, _, n_values = pid
        if kind != "storage" or storage not in STORAGES or not str(key).isdigit():
            raise pickle.UnpicklingError(f"it refers to {pid!r}")
        entry, dtype = f"{self._folder}data/{key}", STORAGES[storage]
        if self._archive.getinfo(entry).file_size != n_values * dtype.itemsize:
            raise pickle.UnpicklingError(f"{entry} hasn't {n_values} values")
        return np.frombuffer(self._archive.read(entry), dtype)


def _rebuilt(values, offset, shape, strides, *_):
    """Make an ndarray of a storage as torch._utils._rebuild_tensor_v2 makes a tensor."""
    n_values = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) + 1
    if not isinstance(values, np.ndarray) or min(offset, *shape, *strides) < 0:
        raise pickle.UnpicklingError("a tensor has no numbers")
    if max(n_values, math.prod(shape)) > len(values):
        raise pickle.UnpicklingError("a tensor has more values than its storage")
    strides = [step * values.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(values[offset:], shape, strides, writeable=False).copy()


# the graph


class _Graph:
    """Collects the nodes and initializers of an ONNX graph.

    Parameters
    ----------
    weights : dict of str to ndarray
    precision : {"int8", "float16"}
        Of the large matrices.
    """

    def __init__(self, weights, precision):
        self.weights = {name: array.astype(np.float32) for name, array in weights.items()}
        self.precision, self.nodes, self.initializers = precision, [], {}

    def constant(self, name, values):
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def integers(self, *values):
        name = "integers_" + "_".join(map(str, values)).replace("-", "minus_")
        return self.constant(name, np.array(values, np.int64))

    def node(self, kind, *inputs, outputs=1, domain="", **attributes):
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def half(self, name, values):
        """Values that are stored as float16 and computed with as float32."""
        return self.node(
            "Cast", self.constant(name, values.astype(np.float16)), to=TensorProto.FLOAT
        )

    def linear(self, x, name, W, b, precision=None):
        """x @ W + b; as int8, x is quantised as it is at the moment, W by columns."""
        if (precision or self.precision) == "float16":
            product = self.node("MatMul", x, self.half(f"{name}.weight", W))
        else:
            scale = np.maximum(np.abs(W).max(axis=0), np.float32(1e-20)) / LARGEST_WEIGHT
            W = self.constant(f"{name}.weight", np.rint(W / scale).astype(np.int8))
            zeros = self.constant(f"{name}.zero_point", np.zeros(len(scale), np.int8))
            scale = self.constant(f"{name}.scale", scale)
            x, x_scale, x_zero = self.node("DynamicQuantizeLinear", x, outputs=3)
            product = self.node("MatMulInteger", x, W, x_zero, zeros)
            product = self.node("Cast", product, to=TensorProto.FLOAT)
            product = self.node("Mul", product, self.node("Mul", x_scale, scale))
        return self.node("Add", product, self.constant(f"{name}.bias", b))

    def norm(self, x, name):
        weight, bias = (
            self.constant(f"{name}.{kind}", self.weights[f"{name}.{kind}"])
            for kind in ("weight", "bias")
        )
        return self.node("LayerNormalization", x, weight, bias, axis=-1, epsilon=1e-5)

    def convolution(self, x, name, stride, precision=None):
        """Three neighbouring frames times the weights, and GELU."""
        padded = self.node("Pad", x, self.integers(0, 1, 0, 0, 1, 0))
        n_frames = self.node("Shape", x, start=1, end=2)
        shifted = []
        for k in range(3):
            stop = self.node("Add", n_frames, self.integers(k))
            bounds = self.integers(k), stop, self.integers(1), self.integers(stride)
            shifted.append(self.node("Slice", padded, *bounds))
        W = self.weights[f"{name}.weight"]  # (out, in, 3)
        W = W.transpose(2, 1, 0).reshape(-1, len(W))
        x = self.node("Concat", *shifted, axis=2)
        return self.node("Gelu", self.linear(x, name, W, self.weights[f"{name}.bias"], precision))

    def block(self, x, name):
        """A block of the transformer: attention and two dense layers, each added to its input."""
        w = {part: self.weights[f"{name}.{part}"] for part in BLOCK}
        W = [w[f"attn.{part}.weight"].T for part in ("query", "key", "value")]
        b = [w["attn.query.bias"], np.zeros(len(W[1]), np.float32), w["attn.value.bias"]]
        a = self.norm(x, f"{name}.attn_ln")
        a = self.linear(a, f"{name}.attn.qkv", np.hstack(W), np.concatenate(b))
        qkv = self.node("Split", a, outputs=3, axis=2, num_outputs=3)
        # a thirtieth of the memory of standard operators for 30 s, and a fifth faster
        a = self.node(
            "MultiHeadAttention", *qkv, domain="com.microsoft", num_heads=len(W[0]) // HEAD_SIZE
        )
        a = self.linear(a, f"{name}.attn.out", w["attn.out.weight"].T, w["attn.out.bias"])
        x = self.node("Add", x, a)
        m = self.norm(x, f"{name}.mlp_ln")
        m = self.node("Gelu", self.linear(m, f"{name}.mlp.0", w["mlp.0.weight"].T, w["mlp.0.bias"]))
        m = self.linear(m, f"{name}.mlp.2", w["mlp.2.weight"].T, w["mlp.2.bias"])
        return self.node("Add", x, m)


def make_model(weights, precision):
    """Make the encoder as an ONNX model: log_mel (1, n_mels, n) to layer_0 to layer_3 (1, m, d).

    layer_0 is what goes into the first block, layer_3 what comes out of the third.

    Parameters
    ----------
    weights : dict of str to ndarray
        See `NAMES`.
    precision : {"int8", "float16"}
        int8: the matrices of the blocks and of the second convolution as integers, one scale a
        column, and their inputs quantised as they come. float16: stored as float16, computed as
        float32. The first convolution and the positions are float16 in both.

    Returns
    -------
    onnx.ModelProto
    """
    graph = _Graph(weights, precision)
    x = graph.node("Transpose", "log_mel", perm=[0, 2, 1])
    x = graph.convolution(x, "conv1", 1, "float16")
    x = graph.convolution(x, "conv2", 2)
    positions = graph.half("positional_embedding", graph.weights["positional_embedding"])
    n_frames = graph.node("Shape", x, start=1, end=2)
    zero = graph.integers(0)
    layers = [graph.node("Add", x, graph.node("Slice", positions, zero, n_frames, zero))]
    for i in range(N_BLOCKS):
        layers.append(graph.block(layers[-1], f"blocks.{i}"))
    outputs = [f"layer_{i}" for i in range(len(layers))]
    for x, name in zip(layers, outputs, strict=True):
        graph.nodes.append(helper.make_node("Identity", [x], [name]))
    size, n_mels = weights["conv1.weight"].shape[:2]

    def described(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "whisper_encoder",
            [described("log_mel", [1, n_mels, "n_mel_frames"])],
            [described(name, [1, "n_frames", size]) for name in outputs],
            list(graph.initializers.values()),
        ),
        opset_imports=[helper.make_opsetid(*opset) for opset in OPSETS.items()],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", help="base.pt, or an .npz of arrays")
    parser.add_argument("--precision", choices=PRECISIONS, default="int8")
    parser.add_argument("--output", help="default: models/, under the name that is looked for")
    args = parser.parse_args(arguments)
    name, expected = PRECISIONS[args.precision]
    model = make_model(read_weights(args.weights), args.precision)
    content = model.SerializeToString(deterministic=True)
    path = Path(args.output or FOLDER / name)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    known = "the bundled encoder" if sha256 == expected else "not the bundled encoder"
    print(f"{path}: {len(content) / 1e6:.1f} MB, sha256 {sha256}, {known}")


if __name__ == "__main__":
    sys.exit(guarded("make_encoder.py", main))
