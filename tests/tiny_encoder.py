"""Write a tiny encoder: an ONNX file that takes a waveform and gives two layers of frames."""

from pathlib import Path

import numpy as np

SIZE, HOP = 4, 320


def write_tiny_encoder(path, seed=0):
    """Write an encoder of 50 frames a second with layers 0 and 1 of 4 values each: str, its path.

    Parameters
    ----------
    path : path
    seed : int
        Another one gives other weights.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    weights = {"kernels": rng.normal(size=(SIZE, 1, HOP)), "mixing": rng.normal(size=(SIZE, SIZE))}
    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "axis"], ["channel"]),
        helper.make_node("Conv", ["channel", "kernels"], ["bands"], strides=[HOP]),
        helper.make_node("Tanh", ["bands"], ["bent"]),
        helper.make_node("Transpose", ["bent"], ["first"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["first", "mixing"], ["second"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "n"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "frames", SIZE])
            for name in ("first", "second")
        ],
        [
            numpy_helper.from_array(np.array([1]), "axis"),
            *(numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return str(Path(path).resolve())
