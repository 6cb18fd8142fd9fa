"""The chunked form of gated linear attention against the recurrence that defines it, one position after the other."""

import pytest
import torch

from moebius.models.gla import GatedLinearAttention, gated_linear_attention
from tests.helpers.deterministic import normal, seeded

INF = float("inf")


def recurrent(q, k, v, log_decay):
    """S_t = exp(g_t) S_{t-1} + k_tᵀ v_t, o_t = q_t S_t / √d_k (arXiv:2312.06635, eq. 3), in float64."""
    q, k, v, log_decay = (x.double() for x in (q, k, v, log_decay))
    state, out = torch.zeros(*q.shape[:2], q.shape[-1], v.shape[-1], dtype=torch.float64), []
    for t in range(q.shape[2]):
        state = log_decay[:, :, t, :, None].exp() * state + k[:, :, t, :, None] * v[:, :, t, None, :]
        out.append((q[:, :, t, None, :] @ state).squeeze(-2) * q.shape[-1] ** -0.5)
    return torch.stack(out, dim=2)


def inputs(n: int, gates: str, seed: int = 1):
    q, k, v = normal(seed, 2, 3, n, 8), normal(seed + 1, 2, 3, n, 8), normal(seed + 2, 2, 3, n, 12)
    draw = torch.rand(2, 3, n, 8, generator=torch.Generator().manual_seed(seed))
    return (
        q,
        k,
        v,
        {
            "zero": torch.zeros_like(draw),
            "near zero": -1e-6 * draw,
            "as published": -0.05 * draw,
            "fast": -5 * draw,
            "near -inf": -1e30 * draw,
            "-inf": torch.full_like(draw, -INF),
            "mixed": torch.where(draw < 0.1, -INF, torch.where(draw < 0.2, torch.tensor(-1e6), -0.05 * draw)),
        }[gates],
    )


ALL_GATES = ["zero", "near zero", "as published", "fast", "near -inf", "-inf", "mixed"]


@pytest.mark.parametrize("gates", ALL_GATES)
@pytest.mark.parametrize("n", [1, 31, 64, 150])
def test_chunked_and_recurrent_forms_agree(n, gates):
    tensors = inputs(n, gates)
    reference = recurrent(*tensors)
    for chunk_size in (1, 16, 32, 64):
        ours = gated_linear_attention(*tensors, chunk_size=chunk_size)
        assert ours.dtype == torch.float32
        assert (ours - reference).norm() < 1e-5 * reference.norm()
        assert (ours - reference).abs().max() < 1e-5 * reference.abs().max()


@pytest.mark.parametrize("gates", ALL_GATES)
def test_gradients_agree_with_the_recurrence(gates):
    weight = normal(9, 2, 3, 70, 12)

    def gradients(attend):
        tensors = [x.clone().requires_grad_() for x in inputs(70, gates)]
        (attend(*tensors) * weight).sum().backward()
        return [x.grad for x in tensors]

    for ours, reference in zip(gradients(gated_linear_attention), gradients(recurrent), strict=True):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-4 * max(1.0, float(reference.abs().max())))


def test_gradients_are_those_of_finite_differences():
    tensors = [x[:1, :1, :6, :2].double().requires_grad_() for x in inputs(6, "fast")]
    assert torch.autograd.gradcheck(lambda *x: gated_linear_attention(*x, chunk_size=4), tensors)


def test_a_hand_worked_row():
    one = torch.ones(1, 1, 3, 1)
    values, halves = torch.tensor([1.0, 10.0, 100.0]).view(1, 1, 3, 1), torch.full((1, 1, 3, 1), 0.5).log()
    out = gated_linear_attention(one, one, values, halves)
    torch.testing.assert_close(out.flatten(), torch.tensor([1.0, 10.5, 105.25]))


def test_half_precision_is_computed_in_float32():
    q, k, v, g = inputs(64, "as published")
    halves = [x.bfloat16() for x in (q, k, v)]
    out = gated_linear_attention(*halves, g)
    assert out.dtype == torch.bfloat16
    exact = gated_linear_attention(*(x.float() for x in halves), g)
    torch.testing.assert_close(out, exact.bfloat16(), rtol=0, atol=0)


@seeded(0)
def test_the_layer_is_causal_in_raster_order():
    layer = GatedLinearAttention(32)
    x = normal(1, 1, 40, 32)
    changed = x.clone()
    changed[:, 25] += 1
    with torch.no_grad():
        before, after = layer(x), layer(changed)
    torch.testing.assert_close(before[:, :25], after[:, :25], rtol=1e-5, atol=1e-6)
    assert (before[:, 25:] != after[:, 25:]).any(dim=-1).all()


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="power of two, got 24"):
        gated_linear_attention(*inputs(8, "zero"), chunk_size=24)
    with pytest.raises(ValueError, match="divisible by 2 · heads .16., got 24"):
        GatedLinearAttention(24)
    layer = GatedLinearAttention(32)
    with pytest.raises(ValueError, match="neither"):
        layer(torch.zeros(1, 4, 32), encoder_hidden_states=torch.zeros(1, 4, 32))
    layer.kernel = "fla"
    with pytest.raises(ValueError, match="needs a CUDA device"):
        layer(torch.zeros(1, 4, 32))


@pytest.mark.gpu
@seeded(0)
def test_flash_linear_attention_gives_the_same():
    pytest.importorskip("fla")
    layer = GatedLinearAttention(320).cuda()
    x = normal(1, 2, 4096, 320).cuda()
    with torch.no_grad():
        ours = layer(x)
        layer.kernel = "fla"
        torch.testing.assert_close(layer(x), ours, rtol=1e-2, atol=1e-2 * float(ours.abs().max()))
