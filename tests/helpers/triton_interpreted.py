"""Local-λ's Triton kernel in Triton's interpreter, which is chosen before Triton is imported: a process of its own.

Prints a JSON list: relative errors in float32 and bfloat16 of one case after the other.
"""

import os

os.environ["TRITON_INTERPRET"] = "1"

import json

import torch
import torch.nn.functional as F

from moebius.models import lambda_layers
from moebius.models.fused import lambda_layers as fused_lambda
from moebius.models.fused import local_kernel
from tests.helpers.deterministic import fill_, normal

CASES = [  # pictures, height, width, heads, depth, window
    (1, 4, 4, 1, 3, 7),
    (2, 4, 7, 3, 5, 15),
    (1, 9, 13, 3, 20, 15),
    (1, 8, 16, 8, 4, 15),
    (1, 5, 16, 8, 40, 7),
]


@torch.no_grad()
def layer_error(b: int, height: int, width: int, heads: int, depth: int, window: int) -> float:
    """The whole fused layer with the kernel against the trained layer, float32."""
    layer = fill_(lambda_layers.LocalLambda(heads * depth, heads, window)).eval()
    fast = fused_lambda.LocalLambda(layer)
    fast.kernel, fused_lambda._triton = "triton", local_kernel.local_lambda  # without the question for the device
    x = normal(1, b, heads * depth, height, width)
    return _relative(fast(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), layer(x))


def bfloat16_error(b: int, height: int, width: int, heads: int, depth: int, window: int) -> float:
    """bfloat16 in and out against sums in float64, cut where products take bfloat16: the weights, the result."""
    q, v = normal(1, b, height, width, heads, depth).bfloat16(), normal(2, b, height, width, depth).bfloat16()
    relative, content = normal(3, window * window, depth).bfloat16(), normal(4, b, depth, depth)
    weights = _cut(q.double() @ relative.double().T)  # (b, H, W, h, δx·δy)
    reach = window // 2
    padded = F.pad(v.double(), (0, 0, reach, reach, reach, reach))
    around = padded.unfold(1, window, 1).unfold(2, window, 1)  # (b, H, W, k, δy, δx)
    around = around.permute(0, 1, 2, 5, 4, 3).reshape(b, height, width, window * window, depth)
    expected = weights @ around + q.double() @ content.bfloat16().double()[:, None, None]
    out = local_kernel.local_lambda(q, v, relative, content)
    assert out.dtype == torch.bfloat16
    return _relative(out, _cut(expected))


def _cut(x: torch.Tensor) -> torch.Tensor:
    """To bfloat16 towards zero, as the interpreter does where a GPU rounds, in float64."""
    return (x.float().view(torch.int32) & -0x10000).view(torch.float32).double()


def _relative(ours: torch.Tensor, right: torch.Tensor) -> float:
    return float((ours.double() - right.double()).norm() / right.double().norm())


if __name__ == "__main__":
    print(json.dumps([[layer_error(*case), bfloat16_error(*case)] for case in CASES]))  # noqa: T201
