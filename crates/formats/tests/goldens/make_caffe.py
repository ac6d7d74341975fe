"""Makes `caffe/`: small networks as `.prototxt` and `.caffemodel`, inputs, and the outputs that OpenCV's reader of Caffe
computes, or PyTorch where OpenCV has no such layer.

usage: make_caffe.py     (needs numpy, protobuf, torch and opencv-python-headless below 5; made with OpenCV 4.14)

The messages are declared here, as far as they are needed, with their numbers in the public schema; no other code reads
or writes these files.
"""

import os

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "caffe")
os.makedirs(HERE, exist_ok=True)
rng = np.random.default_rng(11)

# --- the schema, as far as numbers need it ---------------------------------------------------------------------------
file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
T = descriptor_pb2.FieldDescriptorProto


def declare(name, fields):
    m = file.message_type.add(name=name)
    for number, field, kind, repeated in fields:
        f = m.field.add(name=field, number=number, label=T.LABEL_REPEATED if repeated else T.LABEL_OPTIONAL)
        if isinstance(kind, str):
            f.type, f.type_name = T.TYPE_MESSAGE, ".caffe." + kind
        else:
            f.type = kind
            if repeated and kind in (T.TYPE_FLOAT, T.TYPE_DOUBLE, T.TYPE_INT64):
                f.options.packed = True


declare("BlobShape", [(1, "dim", T.TYPE_INT64, True)])
declare("BlobProto", [
    (1, "num", T.TYPE_INT32, False), (2, "channels", T.TYPE_INT32, False), (3, "height", T.TYPE_INT32, False),
    (4, "width", T.TYPE_INT32, False), (5, "data", T.TYPE_FLOAT, True), (7, "shape", "BlobShape", False),
    (8, "double_data", T.TYPE_DOUBLE, True),
])
declare("LayerParameter", [
    (1, "name", T.TYPE_STRING, False), (2, "type", T.TYPE_STRING, False), (7, "blobs", "BlobProto", True),
])
declare("V0LayerParameter", [(1, "name", T.TYPE_STRING, False), (50, "blobs", "BlobProto", True)])
declare("V1LayerParameter", [
    (4, "name", T.TYPE_STRING, False), (5, "type", T.TYPE_INT32, False), (6, "blobs", "BlobProto", True),
    (1, "layer", "V0LayerParameter", False),
])
declare("NetParameter", [
    (1, "name", T.TYPE_STRING, False), (100, "layer", "LayerParameter", True), (2, "layers", "V1LayerParameter", True),
])
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
Net = message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def draw(*shape):
    fan = int(np.prod(shape[1:])) or 1
    return (rng.standard_normal(shape) * fan**-0.5).astype(np.float32)


def blob(b, a, form):
    """`new`: shape and floats; `old`: four extents; `double`: shape and doubles."""
    if form == "old":
        b.num, b.channels, b.height, b.width = [1] * (4 - a.ndim) + list(a.shape)
    else:
        b.shape.dim.extend(a.shape)
    (b.double_data if form == "double" else b.data).extend(float(v) for v in a.reshape(-1))


def write(name, text, arrays, form="new", generation=2, split=False):
    """`arrays`: a dictionary from layers to arrays."""
    net = Net(name=name)
    for layer, all in arrays.items():
        if generation == 2:
            m = net.layer.add(name=layer)
        elif generation == 1:
            m = net.layers.add(name=layer)
        else:
            m = net.layers.add().layer
            m.name = layer
        for a in all:
            blob(m.blobs.add(), np.asarray(a, np.float32), form)
    with open(os.path.join(HERE, name + ".prototxt"), "w") as f:
        f.write(text)
    with open(os.path.join(HERE, name + ".caffemodel"), "wb") as f:
        f.write(net.SerializeToString())


def save(name, x, y):
    np.save(os.path.join(HERE, name + ".x.npy"), x.astype(np.float32))
    np.save(os.path.join(HERE, name + ".y.npy"), np.asarray(y, np.float32))
    print(name, x.shape, np.asarray(y).shape)


def opencv(name, x):
    path = os.path.join(HERE, name)
    net = cv2.dnn.readNetFromCaffe(path + ".prototxt", path + ".caffemodel")
    net.setInput(x)
    return net.forward()


def layer(name, kind, bottom, top, body="", old=False):
    bottoms = " ".join(f'bottom: "{b}"' for b in bottom.split())
    tops = " ".join(f'top: "{t}"' for t in top.split())
    quoted = kind if old else f'"{kind}"'
    return f'{"layers" if old else "layer"} {{\n  name: "{name}"\n  type: {quoted}\n  {bottoms}\n  {tops}\n  {body}\n}}\n'


def image(c, h, w):
    return rng.standard_normal((2, c, h, w)).astype(np.float32)


# --- a classifier in today's form: groups, LRN, padding of all kinds, in place --------------------------------------
text = 'name: "modern"\n' + """\
# comments, and extents of one image: the first is the batch
layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 1 dim: 3 dim: 17 dim: 15 } } }
""" + layer("conv1", "Convolution", "data", "conv1", """convolution_param {
    num_output: 8  kernel_size: 3  stride: 2  pad_h: 1  pad_w: 0
    weight_filler { type: "xavier" }  bias_filler { type: "constant" value: 0.2 }
  }
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 }""") \
    + layer("bn1", "BatchNorm", "conv1", "conv1", "batch_norm_param { use_global_stats: true eps: 1e-3 }") \
    + layer("scale1", "Scale", "conv1", "conv1", "scale_param { bias_term: true }") \
    + layer("relu1", "ReLU", "conv1", "conv1", "relu_param { negative_slope: 0.1 }") \
    + layer("norm1", "LRN", "conv1", "norm1", "lrn_param { local_size: 5 alpha: 0.5 beta: 0.75 }") \
    + layer("pool1", "Pooling", "norm1", "pool1", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }") \
    + layer("conv2", "Convolution", "pool1", "conv2", """convolution_param {
    num_output: 8 kernel_h: 3 kernel_w: 1 pad: 1 group: 4 bias_term: false }""") \
    + layer("prelu2", "PReLU", "conv2", "conv2") \
    + layer("pool2", "Pooling", "conv2", "pool2", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }") \
    + layer("drop", "Dropout", "pool2", "pool2", "dropout_param { dropout_ratio: 0.4 }") \
    + layer("fc", "InnerProduct", "pool2", "fc", "inner_product_param { num_output: 5 }") \
    + layer("prob", "Softmax", "fc", "prob")
conv1 = draw(8, 3, 3, 3)
factor = 0.25  # mean and variance are stored times this
mean, var = draw(8, 1)[:, 0] * 0.1, np.abs(draw(8, 1)[:, 0]) + 0.2
arrays = {
    "conv1": [conv1, draw(8, 1)[:, 0]],
    "bn1": [mean * factor, var * factor, [factor]],
    "scale1": [1 + draw(8, 1)[:, 0] * 0.2, draw(8, 1)[:, 0] * 0.2],
    "conv2": [draw(8, 2, 3, 1)],
    "prelu2": [np.abs(draw(8, 1)[:, 0]) * 0.2],
}
x = image(3, 17, 15)
arrays["fc"] = [draw(5, 8 * 3 * 3), draw(5, 1)[:, 0]]
write("modern", text, arrays)
save("modern", x, opencv("modern", x))

# --- the form before: `layers`, types in capitals, `input_dim`, old extents -------------------------------------------
text = 'name: "older"\ninput: "data"\ninput_dim: 1\ninput_dim: 2\ninput_dim: 9\ninput_dim: 8\n' \
    + layer("a", "CONVOLUTION", "data", "a", "blobs_lr: 1 blobs_lr: 2\n  convolution_param { num_output: 4 kernel_size: 3 pad: 1 }", True) \
    + layer("a_relu", "RELU", "a", "a", "", True) \
    + layer("b", "CONVOLUTION", "data", "b", "convolution_param { num_output: 6 kernel_size: 1 }", True) \
    + layer("b_abs", "ABSVAL", "b", "b", "", True) \
    + layer("join", "CONCAT", "a b", "join", "concat_param { concat_dim: 1 }", True) \
    + layer("cut", "SLICE", "join", "left right", "slice_param { slice_dim: 1 slice_point: 5 }", True) \
    + layer("sum", "ELTWISE", "left right", "sum", "eltwise_param { operation: SUM coeff: 1 coeff: -0.5 }", True) \
    + layer("power", "POWER", "sum", "power", "power_param { power: 2 scale: 0.5 shift: 1 }", True) \
    + layer("pool", "POOLING", "power", "pool", "pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 }", True) \
    + layer("tanh", "TANH", "pool", "tanh", "", True) \
    + layer("ip", "INNER_PRODUCT", "tanh", "ip", "inner_product_param { num_output: 4 }", True)
arrays = {"a": [draw(4, 2, 3, 3), draw(4, 1)[:, 0]], "b": [draw(6, 2, 1, 1), draw(6, 1)[:, 0]]}
arrays["ip"] = [draw(4, 5 * 5 * 5), draw(4, 1)[:, 0]]
write("older", text, arrays, "old", 1)
x = image(2, 9, 8)
save("older", x, opencv("older", x))

# --- the first form: settings in one message, padding as a layer ------------------------------------------------------
text = """\
name: "oldest"
input: 'data'
input_dim: 1 input_dim: 2 input_dim: 9 input_dim: 9
layers { layer { name: "pad1" type: "padding" pad: 1 } bottom: "data" top: "pad1" }
layers { layer { name: "conv1" type: "conv" num_output: 4 kernelsize: 3 stride: 2 biasterm: true
  weight_filler { type: "gaussian" std: 0.01 } blobs_lr: 1. blobs_lr: 2. } bottom: "pad1" top: "conv1" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "norm1" type: "lrn" local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } bottom: "conv1" top: "norm1" }
layers { layer { name: "pool1" type: "pool" pool: AVE kernelsize: 2 stride: 2 } bottom: "norm1" top: "pool1" }
layers { layer { name: "fc" type: "innerproduct" num_output: 3 } bottom: "pool1" top: "fc" }
layers { layer { name: "prob" type: "softmax" } bottom: "fc" top: "prob" }
"""
arrays = {"conv1": [draw(4, 2, 3, 3), draw(4, 1)[:, 0]], "fc": [draw(3, 4 * 3 * 3), draw(3, 1)[:, 0]]}
write("oldest", text, arrays, "old", 0)
x = image(2, 9, 9)
t = torch.from_numpy(x)
w = {k: [torch.from_numpy(np.asarray(a)) for a in v] for k, v in arrays.items()}
y = F.relu(F.conv2d(t, *w["conv1"], stride=2, padding=1))
y = F.local_response_norm(y, 3, 0.1, 0.5, 2.0)  # OpenCV takes every k for 1
y = F.avg_pool2d(y, 2, 2, ceil_mode=True)
save("oldest", x, F.softmax(F.linear(y.flatten(1), *w["fc"]), 1).numpy())

# --- a training text: phases, data layers, losses, an output that is not the last ------------------------------------
text = """\
name: "train_val"
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 8 mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.017 }
  data_param { source: "train_lmdb" batch_size: 32 backend: LMDB }
}
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { mirror: false crop_size: 8 mean_value: [104, 117, 123] scale: 0.017 }
  data_param { source: "val_lmdb" batch_size: 50 backend: LMDB }
}
""" + layer("c", "Convolution", "data", "c", 'param { name: "shared" } convolution_param { num_output: 3 kernel_size: 3 pad: 1 bias_term: false }') \
    + layer("only", "Power", "c", "c", "power_param { scale: 7 } exclude { phase: TEST }") \
    + layer("d", "Convolution", "c", "d", 'param { name: "shared" } convolution_param { num_output: 3 kernel_size: 3 dilation: 2 pad: 2 bias_term: false }') \
    + layer("fc", "InnerProduct", "d", "fc", "inner_product_param { num_output: 4 transpose: true bias_term: false }") \
    + layer("acc", "Accuracy", "fc label", "acc", "include: < phase: TEST >") \
    + layer("loss", "SoftmaxWithLoss", "fc label", "loss") \
    + layer("quiet", "Silence", "c", "") .replace("  \n", "")
shared = draw(3, 3, 3, 3)
arrays = {"c": [shared], "d": [shared], "fc": [draw(4, 192).T]}
write("train_val", text, arrays, "double")
x = image(3, 8, 8)
t, w = torch.from_numpy(x), torch.from_numpy(shared)
y = F.conv2d(F.conv2d(t, w, padding=1), w, padding=2, dilation=2)
save("train_val", x, (y.flatten(1) @ torch.from_numpy(np.ascontiguousarray(arrays["fc"][0]))).numpy())

# --- the other layers, each once -------------------------------------------------------------------------------------
text = 'name: "others"\ninput: "x"\ninput_shape { dim: 4 dim: 6 dim: 7 dim: 5 }\n' \
    + layer("up", "Deconvolution", "x", "up", "convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 group: 2 }") \
    + layer("crop", "Crop", "up x", "crop", "crop_param { axis: 2 offset: 1 offset: 3 }") \
    + layer("within", "LRN", "crop", "within", "lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.7 beta: 0.6 }") \
    + layer("elu", "ELU", "within", "elu", "elu_param { alpha: 0.5 }") \
    + layer("bn", "BatchNorm", "elu", "bn") \
    + layer("split", "Split", "bn", "s1 s2") \
    + layer("sig", "Sigmoid", "s1", "sig") \
    + layer("bnll", "BNLL", "s2", "bnll") \
    + layer("prod", "Eltwise", "sig bnll", "prod", "eltwise_param { operation: PROD }") \
    + layer("exp", "Exp", "prod", "exp", "exp_param { base: 2 scale: 0.5 shift: 0.25 }") \
    + layer("log", "Log", "exp", "log", "log_param { base: 10 scale: 2 shift: 1 }") \
    + layer("clip", "Clip", "log", "clip", "clip_param { min: 0.1 max: 0.6 }") \
    + layer("swish", "Swish", "clip", "swish", "swish_param { beta: 1.5 }") \
    + layer("rows", "InnerProduct", "swish", "rows", "inner_product_param { num_output: 3 axis: 3 }") \
    + layer("mvn", "MVN", "rows", "mvn", "mvn_param { across_channels: true }") \
    + layer("cube", "Power", "mvn", "cube", "power_param { power: 3 }") \
    + layer("scale", "Scale", "cube", "scale", "scale_param { axis: 2 num_axes: 2 bias_term: true }") \
    + layer("bias", "Bias", "scale", "bias", "bias_param { axis: 1 }") \
    + layer("flat", "Flatten", "bias", "flat", "flatten_param { axis: 2 }") \
    + layer("fold", "Reshape", "flat", "fold", "reshape_param { shape { dim: 0 dim: -1 dim: 3 dim: 7 } }") \
    + layer("mean", "Reduction", "fold", "mean", "reduction_param { operation: MEAN axis: 3 coeff: 2 }") \
    + layer("tile", "Tile", "mean", "tile", "tile_param { axis: 1 tiles: 2 }") \
    + layer("perm", "Permute", "tile", "perm", "permute_param { order: 0 order: 2 order: 1 }") \
    + layer("step", "Threshold", "perm", "step", "threshold_param { threshold: 0.05 }") \
    + layer("max", "Eltwise", "perm step", "max", "eltwise_param { operation: MAX }")
arrays = {
    "up": [draw(6, 2, 4, 4), draw(4, 1)[:, 0]],
    "bn": [draw(4, 1)[:, 0] * 0.1, np.abs(draw(4, 1)[:, 0]) + 0.3, [1.0]],
    "rows": [draw(3, 5), draw(3, 1)[:, 0]],
    "scale": [1 + draw(7, 3) * 0.3, draw(7, 3) * 0.3],
    "bias": [draw(4, 1)[:, 0]],
}
write("others", text, arrays)
x = image(6, 7, 5)
t = torch.from_numpy(x)
w = {k: [torch.from_numpy(np.asarray(a, np.float32)) for a in v] for k, v in arrays.items()}
y = F.conv_transpose2d(t, *w["up"], stride=2, padding=1, groups=2)[:, :, 1:8, 3:8]
y = y * (1 + 0.7 * F.avg_pool2d(y * y, 3, 1, 1)) ** -0.6
y = F.elu(y, 0.5)
y = F.batch_norm(y, w["bn"][0], w["bn"][1], eps=1e-5)
y = torch.sigmoid(y) * F.softplus(y)
y = 2 ** (0.25 + 0.5 * y)
y = torch.log10(1 + 2 * y).clamp(0.1, 0.6)
y = y * torch.sigmoid(1.5 * y)
y = F.linear(y, *w["rows"])
y = y - y.mean((1, 2, 3), keepdim=True)
y = (y / ((y * y).mean((1, 2, 3), keepdim=True).sqrt() + 1e-9)) ** 3
y = y * w["scale"][0] + w["scale"][1] + w["bias"][0].reshape(4, 1, 1)
y = y.flatten(2).reshape(2, -1, 3, 7).mean(3) * 2
y = y.repeat(1, 2, 1).permute(0, 2, 1)
save("others", x, torch.maximum(y, (y > 0.05).float()).numpy())
