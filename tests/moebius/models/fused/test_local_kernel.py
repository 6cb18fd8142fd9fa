"""Local-λ's Triton kernel: in Triton's interpreter against the plain form, and compiled for a GPU that is not there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from moebius.bench import networks
from moebius.models import lambda_layers
from moebius.models.fused import lambda_layers as fused_lambda
from moebius.models.fused import local_kernel
from tests.helpers.deterministic import fill_, normal

ROOT = Path(__file__).parents[4]


@pytest.mark.slow
def test_interpreted_it_gives_what_the_plain_form_gives():
    """Odd heads, depths, grids; windows larger than the grid; float32 to 1e-5, bfloat16 but for ties."""
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.triton_interpreted"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    errors = json.loads(done.stdout)
    assert len(errors) == 5
    for float32, bfloat16 in errors:
        assert float32 < 1e-5 and bfloat16 < 2e-4


@pytest.mark.parametrize(("kind", "precision"), [("bf16", "ieee"), ("fp32", "tf32x3")])
def test_it_compiles_for_a_gpu_at_the_published_depth(kind, precision, tmp_path, monkeypatch):
    """To machine code of compute capability 9.0, with products on tensor cores and no more memory than a block has."""
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    sizes = {
        "HEADS": 8,
        "DEPTH": 160,
        "WINDOW": 15,
        "TILE": 8,
        "CHUNK": 16,
        "ROWS": 64,
        "CHANNELS": 256,
        "NEAR": 16,
        "SPAN": 32,
        "PRECISION": precision,
        "WIDEN": False,
    }
    types = {name: f"*{kind}" for name in ("q", "v", "relative", "content", "out")}
    types |= {name: "i32" for name in ("height", "width", "v_stride")} | {name: "constexpr" for name in sizes}
    source = ASTSource(fn=local_kernel._kernel, signature=types, constexprs=sizes)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 8})
    assert "mma" in made.asm["ptx"] and len(made.asm["cubin"]) > 1000
    assert made.metadata.shared < 227 * 1024


def test_without_triton_or_a_gpu_it_says_so(monkeypatch):
    network = networks.network("moebius", "cpu", torch.float32, tiny=True).fuse()
    sample, ids = normal(1, 1, 9, 8, 8), torch.arange(10)[None]
    before = network(sample, 500, ids).sample
    with pytest.raises(ValueError, match="unknown kernel 'cuda'; choose from torch, triton"):
        network.set_local_kernel("cuda")
    monkeypatch.setattr(local_kernel, "triton", None)
    with pytest.raises(ValueError, match="needs Triton, which is not installed"):
        network.set_local_kernel("triton")
    torch.testing.assert_close(network(sample, 500, ids).sample, before, rtol=0, atol=0)
    monkeypatch.setattr(local_kernel, "triton", object())
    network.set_local_kernel("triton")
    with pytest.raises(ValueError, match="needs a CUDA device"):
        network(sample, 500, ids)
    network.set_local_kernel("torch")
    torch.testing.assert_close(network(sample, 500, ids).sample, before, rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize(("side", "depth"), [(64, 40), (32, 80), (16, 160)])
@torch.no_grad()
def test_on_a_gpu_it_gives_what_torch_gives(kind, tolerance, side, depth):
    layer = fill_(lambda_layers.LocalLambda(8 * depth)).eval()
    fast, x = fused_lambda.LocalLambda(layer).cuda(), normal(1, 2, side, side, 8 * depth).cuda()
    expected = fast(x)
    fast, x = fast.to(kind), x.to(kind)
    fast.kernel = "triton"
    ours = fast(x).float()
    assert float((ours - expected).norm() / expected.norm()) < tolerance
