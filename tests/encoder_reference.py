"""Whisper's encoder in plain numpy, and its weights as the ONNX file holds them: the oracles."""

import numpy as np
from scipy.special import erf


def normalised(x, weight, bias):
    """Layer normalisation over the last axis."""
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-5) * weight + bias


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def convolution(x, weight, bias, stride):
    """Convolve (n, n_in) with weights (n_out, n_in, 3), a frame of zeros at both ends."""
    x = np.pad(x, ((1, 1), (0, 0)))
    return np.stack(
        [np.einsum("ki,oik->o", x[t : t + 3], weight) + bias for t in range(0, len(x) - 2, stride)]
    )


def attention(q, k, v, head_size=64):
    heads = []
    for first in range(0, q.shape[1], head_size):
        part = slice(first, first + head_size)
        scores = q[:, part] @ k[:, part].T / np.sqrt(head_size)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        heads.append(weights / weights.sum(axis=1, keepdims=True) @ v[:, part])
    return np.hstack(heads)


def layers(w, log_mel, n_blocks=3):
    """Compute the layers of the encoder: list of ndarrays (n_frames, size).

    Parameters
    ----------
    w : dict of str to ndarray
        Weights by the names of OpenAI's base.pt, without "encoder.".
    log_mel : ndarray (n, n_mels)
    n_blocks : int
    """
    w = {name: np.asarray(array, np.float32) for name, array in w.items()}

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)

    x = gelu(convolution(log_mel, w["conv1.weight"], w["conv1.bias"], 1))
    x = gelu(convolution(x, w["conv2.weight"], w["conv2.bias"], 2))
    outputs = [x + w["positional_embedding"][: len(x)]]
    for block in (f"blocks.{i}" for i in range(n_blocks)):
        x = outputs[-1]
        a = normalised(x, w[f"{block}.attn_ln.weight"], w[f"{block}.attn_ln.bias"])
        a = attention(*(linear(a, f"{block}.attn.{part}") for part in ("query", "key", "value")))
        x = x + linear(a, f"{block}.attn.out")
        m = normalised(x, w[f"{block}.mlp_ln.weight"], w[f"{block}.mlp_ln.bias"])
        outputs.append(x + linear(gelu(linear(m, f"{block}.mlp.0")), f"{block}.mlp.2"))
    return outputs


def weights_of(model):
    """The weights that an ONNX file of make_encoder.py holds, by their names: dict of ndarrays.

    Parameters
    ----------
    model : onnx.ModelProto
    """
    from onnx import numpy_helper

    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    w = {}
    for name, values in stored.items():
        if f"{name.removesuffix('.weight')}.scale" in stored and values.dtype == np.int8:
            values = values * stored[f"{name.removesuffix('.weight')}.scale"]
        if name.endswith(".qkv.weight"):
            for part, columns in zip(("query", "key", "value"), np.hsplit(values, 3), strict=True):
                w[name.replace("qkv", part)] = columns.T
        elif name.endswith(".qkv.bias"):
            for part, columns in zip(("query", "key", "value"), np.split(values, 3), strict=True):
                w[name.replace("qkv", part)] = columns
        elif name.startswith("conv") and name.endswith(".weight"):
            w[name] = values.reshape(3, -1, values.shape[1]).transpose(2, 1, 0)
        elif name.endswith(".weight") and values.ndim == 2:
            w[name] = values.T
        else:
            w[name] = values
    return w
