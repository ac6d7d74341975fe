"""Makes the files in this directory: small ONNX files of other producers, an input, and ONNX Runtime's outputs.

usage: make.py     (needs torch, onnx, onnxruntime, numpy; made with torch 2.15, onnx 1.23, onnxruntime 1.31)
"""

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

HERE = Path(__file__).parent
warnings.filterwarnings("ignore")
rng = np.random.default_rng(5)


def save(name, model, x):
    """Checks, runs and writes a model. The batch of x may differ from the one that was traced."""
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = x.astype(np.float32)
    y = session.run(None, {session.get_inputs()[0].name: x})[0]
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())
    np.save(HERE / f"{name}.x.npy", x)
    np.save(HERE / f"{name}.y.npy", y.astype(np.float32))
    print(f"{name}: {len(model.SerializeToString())} bytes, {x.shape} -> {y.shape}")


class Cnn(nn.Module):
    """Flattens by `view(size(0), -1)`, which old exporters write as Shape, Gather, Unsqueeze, Concat, Reshape."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2, groups=2, bias=False)
        self.bn2 = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.5)
        self.fc1 = nn.Linear(6 * 2 * 2, 8)
        self.fc2 = nn.Linear(8, 5)

    def forward(self, x):
        x = nn.functional.relu6(self.bn1(self.conv1(x)))
        x = nn.functional.max_pool2d(x, 3, 2, padding=1)
        x = nn.functional.leaky_relu(self.bn2(self.conv2(x)), 0.1)
        x = nn.functional.avg_pool2d(x, 2, 1, padding=1, count_include_pad=False)[:, :, 1:3, 1:]
        x = x.reshape(x.size(0), -1)
        x = self.drop(torch.relu(self.fc1(x)))
        return torch.softmax(self.fc2(x), 1)


class Modern(nn.Module):
    """Activations and norms, a residual, a concatenation, upsampling, a global pool."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect")
        self.gn = nn.GroupNorm(2, 4)
        self.dw = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4)
        self.prelu = nn.PReLU(4)
        self.up = nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1)
        self.inorm = nn.InstanceNorm2d(3, affine=True)
        self.ln = nn.LayerNorm(7)
        self.fc = nn.Linear(7, 4)

    def forward(self, x):
        x = nn.functional.silu(self.gn(self.conv1(x)))
        x = x + self.prelu(self.dw(x))
        u = nn.functional.hardswish(self.inorm(self.up(x)))
        v = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
        x = torch.cat([nn.functional.gelu(u), nn.functional.elu(v, 0.7)], 1)
        x = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        x = self.ln(x)
        x = nn.functional.softplus(self.fc(x)) * torch.sigmoid(x[:, :4]) - x[:, 3:].abs().mean(1, keepdim=True)
        return nn.functional.log_softmax(x, -1)


def torch_model(name, module, shape, opset, dynamic=True):
    torch.manual_seed(3)
    module = module()
    for m in module.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, std=0.2)
            nn.init.normal_(m.running_mean, std=0.2)
            nn.init.uniform_(m.running_var, 0.5, 1.5)
    module.eval()
    path = HERE / "tmp.onnx"
    torch.onnx.export(
        module,
        (torch.randn(1, *shape),),
        str(path),
        input_names=["image"],
        output_names=["scores"],
        opset_version=opset,
        dynamic_axes={"image": {0: "N"}} if dynamic else None,
        dynamo=False,
        keep_initializers_as_inputs=opset < 9,
    )
    model = onnx.load(path)
    path.unlink()
    save(name, model, rng.standard_normal((3 if dynamic else 1, *shape)))


def by_hand(name, nodes, x, y, weights, opset, batch, ir_version=7):
    """A model of nodes; float16 weights and doubles stay as they are."""
    initializers = [numpy_helper.from_array(v, k) for k, v in weights.items()]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
        initializers,
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, producer_name="hand")
    save(name, model, rng.standard_normal([batch, *x[1:]]))


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs, [output], name=f"n_{output}", **attributes)


def f32(*shape):
    return (rng.standard_normal(shape) * 0.4).astype(np.float32)


def main():
    for opset in (9, 11, 13, 17):
        torch_model(f"torch_cnn_{opset}", Cnn, (1, 9, 9), opset)
    torch_model("torch_cnn_fixed_batch", Cnn, (1, 9, 9), 13, dynamic=False)
    for opset in (14, 17, 20):
        torch_model(f"torch_modern_{opset}", Modern, (2, 6, 6), opset)

    # TensorFlow's style: automatic padding, weights transposed in the graph, a matrix product and an addition.
    by_hand(
        "auto_pad",
        [
            node("Conv", ["x", "w1", "b1"], "c1", auto_pad="SAME_UPPER", strides=[2, 2], kernel_shape=[3, 2]),
            node("Conv", ["c1", "w2"], "c2", auto_pad="SAME_LOWER"),
            node("Relu", ["c2"], "r"),
            node("AveragePool", ["r"], "a", auto_pad="SAME_UPPER", kernel_shape=[2, 2], strides=[2, 2]),
            node("MaxPool", ["a"], "m", auto_pad="VALID", kernel_shape=[2, 1]),
            node("Transpose", ["m"], "t", perm=[0, 2, 3, 1]),
            node("Reshape", ["t", "shape"], "f"),
            node("MatMul", ["f", "w3"], "p"),
            node("Add", ["p", "b3"], "y"),
        ],
        ["N", 2, 9, 7],
        ["N", 3],
        {
            "w1": f32(4, 2, 3, 2), "b1": f32(4), "w2": f32(3, 4, 2, 2), "shape": np.array([-1, 12], np.int64),
            "w3": f32(12, 3), "b3": f32(3),
        },
        opset=13,
        batch=2,
    )
    # Opset 11: softmax over all axes from the first on; alpha and beta; halves and doubles.
    by_hand(
        "old_softmax",
        [
            node("Softmax", ["x"], "s"),
            node("Flatten", ["s"], "f"),
            node("Cast", ["half"], "w", to=TensorProto.FLOAT),
            node("Gemm", ["f", "w", "c"], "g", alpha=0.5, beta=2.0),
            node("Clip", ["g", "low"], "y"),
        ],
        ["N", 2, 3],
        ["N", 4],
        {"half": f32(6, 4).astype(np.float16), "c": f32(1, 4), "low": np.array(-0.3, np.float32)},
        opset=11,
        batch=3,
    )
    # Opset 8, batch size 1 in the file: what a reader may take for any batch size.
    by_hand(
        "opset8",
        [
            node("BatchNormalization", ["x", "s", "b", "m", "v"], "n", epsilon=1e-3),
            node("Pad", ["n"], "p", mode="edge", pads=[0, 0, 1, 0, 0, 0, 0, 2]),
            node("LRN", ["p"], "l", size=3, alpha=0.3, beta=0.6, bias=1.5),
            node("Clip", ["l"], "c", min=-0.8, max=0.9),
            node("Dropout", ["c"], "d", ratio=0.4),
            node("ReduceMean", ["d"], "r", axes=[3], keepdims=0),
            node("Unsqueeze", ["r"], "u", axes=[3]),
            node("GlobalMaxPool", ["u"], "g"),
            node("Squeeze", ["g"], "q", axes=[2, 3]),
            node("Slice", ["q"], "y", axes=[1], starts=[1], ends=[4]),
        ],
        [1, 4, 3, 2],
        [1, 3],
        {"s": f32(4), "b": f32(4), "m": f32(4), "v": np.abs(f32(4)) + 0.5},
        opset=8,
        batch=1,
        ir_version=4,
    )
    # The last opset: axes as inputs, part of a padding, splits, norms, shapes computed from shapes.
    by_hand(
        "opset21",
        [
            node("Pad", ["x", "pads", "value", "pad_axes"], "p"),
            node("GroupNormalization", ["p", "gs", "gb"], "n", num_groups=2, epsilon=1e-4),
            helper.make_node("Split", ["n"], ["a", "b"], name="split", axis=1, num_outputs=2),
            node("Gelu", ["a"], "ga", approximate="tanh"),
            node("HardSigmoid", ["b"], "hb"),
            node("Mul", ["ga", "hb"], "m"),
            node("AveragePool", ["m"], "v", kernel_shape=[2, 2], dilations=[2, 1], count_include_pad=1, pads=[1, 0, 0, 1]),
            node("Shape", ["v"], "dims"),
            node("Gather", ["dims", "zero"], "first"),
            node("Unsqueeze", ["first", "zeros"], "first1"),
            node("Concat", ["first1", "rest"], "shape", axis=0),
            node("Reshape", ["v", "shape"], "f"),
            node("ReduceMax", ["f", "last"], "y", keepdims=0),
        ],
        ["N", 4, 4, 3],
        ["N", 2],
        {
            "pads": np.array([1, 2], np.int64), "value": np.array(0.25, np.float32), "pad_axes": np.array([3], np.int64),
            "gs": f32(4) + 1, "gb": f32(4), "zero": np.array(0, np.int64), "zeros": np.array([0], np.int64),
            "rest": np.array([2, -1], np.int64), "last": np.array([-1], np.int64),
        },
        opset=21,
        batch=2,
        ir_version=10,
    )


    refused()


def refused():
    """Files that a reader has to refuse; they are not run."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 5, 5])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [
        node("Relu", ["x"], "r"),
        node("Einsum", ["r"], "e", equation="nchw->nhwc"),
        node("Softmax", ["e"], "lost"),
        node("MaxPool", ["r"], "pool", kernel_shape=[9, 9]),
        helper.make_node("FancyNorm", ["r"], ["f"], domain="com.example"),
        node("LeakyRelu", ["r"], "l", alpha=0.1, beta=0.5),
        node("Resize", ["r", "", "scales"], "big", mode="cubic"),
        node("Add", ["r", "l"], "y"),
    ]
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    graph = helper.make_graph(nodes, "refused", [x], [y], [scales])
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.example", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=7)
    (HERE / "refused.onnx").write_bytes(model.SerializeToString())

    w = helper.make_tensor("w", TensorProto.FLOAT, [4, 4, 1, 1], np.zeros(64, np.uint8).tobytes(), raw=True)
    w.ClearField("raw_data")
    w.data_location = TensorProto.EXTERNAL
    w.external_data.add(key="location", value="weights.bin")
    graph = helper.make_graph([node("Conv", ["x", "w"], "y")], "external", [x], [y], [w])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    (HERE / "external.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
