"""Writes operations.txt: outputs and gradients of PyTorch, in 64 bits, for ../pytorch.rs.

    python operations.py > operations.txt

A case is the line `op NAME attribute=value …`, a line `in TYPE SHAPE numbers…` per input, `out SHAPE numbers…`, `dy numbers…`
and a line `grad numbers…` per float input (`-` for none).
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)


def numbers(t):
    return " ".join(repr(round(v, 12)) if isinstance(v, float) else str(v) for v in t.detach().reshape(-1).tolist())


def shape(t):
    return ",".join(map(str, t.shape)) or "-"


def case(op, f, *inputs, grads=None):
    inputs = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    y = f(*inputs)
    dy = torch.randn_like(y).round(decimals=3)
    y.backward(dy)
    print("op", op)
    for x in inputs:
        kind = "f32" if x.is_floating_point() else "i32"
        print("in", kind, shape(x), numbers(x))
    print("out", shape(y), numbers(y))
    print("dy", numbers(dy))
    for i, x in enumerate(inputs):
        if x.is_floating_point():
            print("grad", "-" if x.grad is None or (grads is not None and i not in grads) else numbers(x.grad))


def r(*s):
    # Three decimals, so that the numbers in the file are the numbers.
    return torch.randn(*s).round(decimals=3).to(torch.float32).double()


def window(i, k, s, d, p, ceil=False):
    j = lambda v: ",".join(map(str, v))
    return f"in{j(i)}/k{j(k)}/s{j(s)}/d{j(d)}/p{','.join(f'{a}:{a}' for a in p)}" + ("/ceil" if ceil else "")


kinks = torch.tensor([[-4.0, -3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 3.0, 5.5, 6.0, 7.0, -7.5]])
case("leaky_relu slope=0.25", lambda x: F.leaky_relu(x, 0.25), kinks)
case("prelu", F.prelu, r(2, 3, 2), r(3))
case("prelu", F.prelu, kinks.reshape(1, 12), r(1))
case("elu alpha=0.5", lambda x: F.elu(x, 0.5), kinks)
case("selu", F.selu, kinks)
case("gelu", F.gelu, kinks)
case("silu", F.silu, kinks)
case("softplus", F.softplus, kinks)
case("clip min=0 max=6", F.relu6, kinks)
case("clip min=-1 max=1", F.hardtanh, kinks)
case("hard_sigmoid", F.hardsigmoid, kinks)
case("hard_swish", F.hardswish, kinks + 0.125)
case("softmax axis=1", lambda x: F.softmax(x, 1), r(2, 3, 2))
case("log_softmax axis=1", lambda x: F.log_softmax(x, 1), r(2, 5))

case("conv geometry=ci4/co6/g2/" + window([7, 6], [3, 2], [2, 1], [1, 2], [1, 2]),
     lambda x, w: F.conv2d(x, w, None, (2, 1), (1, 2), (1, 2), 2), r(2, 4, 7, 6), r(6, 2, 3, 2))
case("conv geometry=ci1/co2/g1/" + window([3, 4, 4], [2, 2, 3], [1, 2, 1], [1, 1, 1], [0, 1, 1]),
     lambda x, w: F.conv3d(x, w, None, (1, 2, 1), (0, 1, 1)), r(1, 1, 3, 4, 4), r(2, 1, 2, 2, 3))


def transposed(x, w, s, p, extra, d, g):
    y = F.conv_transpose2d(x, w, None, s, p, extra, g, d)
    i = list(y.shape[2:])
    case(f"conv_transpose geometry=ci{y.shape[1]}/co{x.shape[1]}/g{g}/" + window(i, list(w.shape[2:]), s, d, p),
         lambda x, w: F.conv_transpose2d(x, w, None, s, p, extra, g, d), x, w)


transposed(r(1, 4, 3, 3), r(4, 1, 3, 2), (2, 1), (1, 0), (1, 0), (1, 1), 2)
transposed(r(2, 2, 3, 2), r(2, 3, 2, 2), (2, 2), (0, 0), (0, 0), (2, 1), 1)

w = window([7, 6], [3, 3], [2, 2], [1, 1], [1, 1])
case("max_pool window=" + w, lambda x: F.max_pool2d(x, 3, 2, 1), r(1, 2, 7, 6))
case("max_pool window=" + window([8], [3], [1], [2], [1]), lambda x: F.max_pool1d(x, 3, 1, 1, 2), r(2, 1, 8))
case("max_pool window=" + window([6, 5], [3, 2], [2, 2], [1, 1], [0, 0], True),
     lambda x: F.max_pool2d(x, (3, 2), 2, ceil_mode=True), r(1, 1, 6, 5))
case(f"avg_pool window={w} divisor=count_include_pad", lambda x: F.avg_pool2d(x, 3, 2, 1), r(1, 2, 7, 6))
w = window([6, 5], [3, 2], [2, 2], [1, 1], [1, 1], True)
for divisor, include in [("count_include_pad", True), ("count_exclude_pad", False)]:
    case(f"avg_pool window={w} divisor={divisor}",
         lambda x: F.avg_pool2d(x, (3, 2), 2, 1, True, include), r(1, 1, 6, 5))
case("lp_pool p=2 window=" + window([4, 4], [2, 2], [2, 2], [1, 1], [0, 0]), lambda x: F.lp_pool2d(x, 2, 2, 2), r(1, 2, 4, 4))
case("lp_pool p=3 window=" + window([5], [3], [1], [1], [0]), lambda x: F.lp_pool1d(x, 3, 3, 1), r(1, 2, 5).abs() + 0.125)
case("global_avg_pool", lambda x: F.adaptive_avg_pool2d(x, 1), r(2, 2, 3, 2))
case("global_max_pool", lambda x: F.adaptive_max_pool2d(x, 1), r(2, 2, 3, 2))
case("adaptive_avg_pool output=3,2", lambda x: F.adaptive_avg_pool2d(x, (3, 2)), r(1, 2, 7, 5))
case("adaptive_avg_pool output=5", lambda x: F.adaptive_avg_pool1d(x, 5), r(1, 1, 3))
case("adaptive_max_pool output=3,2", lambda x: F.adaptive_max_pool2d(x, (3, 2)), r(1, 2, 7, 5))
case("unfold window=" + window([5, 4], [2, 3], [2, 1], [1, 1], [1, 0]),
     lambda x: F.unfold(x, (2, 3), 1, (1, 0), (2, 1)), r(1, 2, 5, 4))
case("upsample_nearest scale=2,3", lambda x: F.interpolate(x, scale_factor=(2, 3)), r(1, 2, 2, 2))
for mode, name in [("constant", "constant"), ("reflect", "reflect"), ("replicate", "replicate"), ("circular", "circular")]:
    case(f"pad mode={name} value=0 pads=0:0,0:0,1:2,2:1", lambda x: F.pad(x, (2, 1, 1, 2), mode), r(1, 1, 4, 3))

for size in (5, 4):
    case(f"local_response_norm size={size} alpha=0.5 beta=0.75 k=2",
         lambda x: F.local_response_norm(x, size, 0.5, 0.75, 2.0), r(1, 6, 2, 2))
case("layer_norm dims=2 eps=0.001", lambda x, a, b: F.layer_norm(x, (3, 4), a, b, 1e-3), r(2, 3, 4), r(3, 4), r(3, 4))
case("group_norm groups=2 eps=0.00001", lambda x, a, b: F.group_norm(x, 2, a, b), r(2, 4, 3), r(4), r(4))
case("instance_norm eps=0.00001", lambda x, a, b: F.instance_norm(x, None, None, a, b), r(2, 3, 2, 2), r(3), r(3))
case("batch_norm_inference eps=0.00001", lambda x, a, b, m, v: F.batch_norm(x, m.detach(), v.detach(), a, b),
     r(2, 3, 2), r(3), r(3), r(3), r(3).abs() + 0.5, grads=(0, 1, 2))
case("batch_norm eps=0.001 momentum=0.25",
     lambda x, a, b, m, v: F.batch_norm(x, m.detach().clone(), v.detach().clone(), a, b, True, 0.25, 1e-3),
     r(3, 2, 2), r(2), r(2), r(2), r(2).abs() + 0.5, grads=(0, 1, 2))

one = torch.tensor
case("l1_loss", F.l1_loss, one([1.0, 2.0, -0.5]), one([1.0, -1.0, 0.5]))
case("mse_loss", F.mse_loss, r(3, 2), r(3, 2))
case("huber_loss delta=0.5", lambda y, t: F.huber_loss(y, t, delta=0.5), one([1.0, 2.0, -0.5, 0.25]), one([1.0, -1.0, 0.0, 0.0]))
case("multi_margin_loss margin=0.5", lambda x, t: F.multi_margin_loss(x, t, margin=0.5), r(3, 4), one([1, 3, 0]))
case("logistic_loss", F.binary_cross_entropy_with_logits, one([0.0, 3.0, -40.0, 50.0]), one([1.0, 0.25, 0.0, 1.0]))
for e in (0.0, 0.25):
    case(f"cross_entropy label_smoothing={e:g}", lambda x, t: F.cross_entropy(x, t, label_smoothing=e), r(3, 5), one([1, 4, 0]))
    case(f"cross_entropy label_smoothing={e:g}", lambda x, t: F.cross_entropy(x, t, label_smoothing=e),
         r(2, 3, 2, 2), torch.randint(3, (2, 2, 2)))
    case(f"cross_entropy_soft label_smoothing={e:g}", lambda x, t: F.cross_entropy(x, t, label_smoothing=e),
         r(3, 4), F.softmax(r(3, 4), 1).round(decimals=3))

for k, size in ((3, (2, 3, 7)), (1, (1, 2, 4))):
    case(f"k_max_pool k={k}", lambda x: x.gather(2, x.topk(k, 2).indices.sort(2).values), r(*size))
# Of equal elements the first ones are taken.
case("k_max_pool k=2", lambda x: x[:, :, [1, 2]], one([[[1.0, 3.0, 3.0, 3.0, -2.0]]]))
