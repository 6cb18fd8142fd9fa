"""Gated linear attention (Yang et al. 2023, arXiv:2312.06635) in plain torch, chunk by chunk.

Within a chunk positions attend to each other by matrix products; between chunks a state is carried. Every decay is
a sum of log gates over a stretch of positions, made by adding alone: nothing positive is ever exponentiated and no
large sums are subtracted, so gates near 0, near -inf and -inf itself are exact, forward and backward.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHUNK_SIZE = 32
"""Measured at n = 4096, 1024, 256 and 64, see benchmarks/gated_linear_attention.md."""

KERNELS = ("torch", "fla")


def gated_linear_attention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, chunk_size: int = CHUNK_SIZE) -> Tensor:
    """Causal: S_t = exp(log_decay_t) · S_{t-1} + k_tᵀ v_t, o_t = (q_t / √d_k) S_t, from S_0 = 0.

    Args:
        q, k, log_decay: (B, H, n, d_k); log_decay at most 0, -inf allowed.
        v: (B, H, n, d_v).
        chunk_size: positions in a chunk, a power of two; changes speed and memory, not the result.

    Returns:
        (B, H, n, d_v) in v's type; computed in float32, in float64 for float64 inputs.
    """
    if chunk_size < 1 or chunk_size & (chunk_size - 1):
        raise ValueError(f"chunk_size must be a power of two, got {chunk_size}")
    n, kind = v.shape[-2], torch.promote_types(v.dtype, torch.float32)
    padding = (0, 0, 0, -n % chunk_size)  # zero keys add nothing to a state, zero log gates keep it
    with torch.autocast(q.device.type, enabled=False):
        chunked = [F.pad(x.to(kind), padding).unflatten(-2, (-1, chunk_size)) for x in (q, k, v, log_decay)]
        queries, keys, values, gates = chunked  # (B, H, N, C, d)
        queries = queries * q.shape[-1] ** -0.5
        since = gates.cumsum(-2)  # from the chunk's start to t
        added = (keys * _until_end(gates).exp()).mT @ values  # (B, H, N, d_k, d_v), what each chunk adds to the state
        states = _carry(since[..., -1, :].exp(), added)
        out = (queries * since.exp()) @ states + _scores(queries, keys, gates) @ values
    return out.flatten(-3, -2)[..., :n, :].to(v.dtype)


def _until_end(gates: Tensor) -> Tensor:
    """Log gates (..., C, d) -> their sums over the positions after t, (..., C, d)."""
    after = F.pad(gates[..., 1:, :], (0, 0, 0, 1))
    return after.flip(-2).cumsum(-2).flip(-2)


def _carry(decays: Tensor, added: Tensor) -> Tensor:
    """Decays (B, H, N, d_k) and additions (B, H, N, d_k, d_v) of chunks -> the state before each, as `added`."""
    state, before = torch.zeros_like(added[..., 0, :, :]), []
    for decay, new in zip(decays.unsqueeze(-1).unbind(-3), added.unbind(-3), strict=True):
        before.append(state)
        state = decay * state + new
    return torch.stack(before, dim=-3)


def _scores(queries: Tensor, keys: Tensor, gates: Tensor) -> Tensor:
    """Each (..., C, d) -> (..., C, C): Σ_d q_t k_s exp(g_{s+1} + … + g_t) where s <= t, else 0.

    By halves: queries of the second half meet keys of the first at the boundary, to which both decay; each half by
    itself is the same problem, half as long.
    """
    size = queries.shape[-2]
    if size == 1:
        return (queries * keys).sum(-1, keepdim=True)
    q, k, g = (x.unflatten(-2, (2, size // 2)) for x in (queries, keys, gates))  # (..., 2, C/2, d)
    within = _scores(q, k, g)  # (..., 2, C/2, C/2)
    arriving = q[..., 1, :, :] * g[..., 1, :, :].cumsum(-2).exp()
    leaving = k[..., 0, :, :] * _until_end(g[..., 0, :, :]).exp()
    first = F.pad(within[..., 0, :, :], (0, size // 2))
    second = torch.cat([arriving @ leaving.mT, within[..., 1, :, :]], dim=-1)
    return torch.cat([first, second], dim=-2)


class GatedLinearAttention(nn.Module):
    """Self-attention's place-holder in PixelHacker (arXiv:2504.20438): positions in raster order, no bias but one.

    Names of parameters are the published ones. `kernel = "fla"` runs flash-linear-attention's Triton kernel
    instead, on CUDA alone; it is never chosen by itself.

    Args:
        channels: width of the input; keys have half of it, values all of it.
        heads: of queries, keys and values alike.
        gate_rank: width of the bottleneck from which the gates are made.
        gate_normalizer: divides the log gates, which keeps the decay slow.
    """

    def __init__(self, channels: int, heads: int = 8, gate_rank: int = 16, gate_normalizer: float = 16.0):
        super().__init__()
        if channels % (2 * heads):
            raise ValueError(f"channels must be divisible by 2 · heads ({2 * heads}), got {channels}")
        self.heads, self.gate_normalizer, self.kernel = heads, gate_normalizer, "torch"
        self.q_proj = nn.Linear(channels, channels // 2, bias=False)
        self.k_proj = nn.Linear(channels, channels // 2, bias=False)
        self.v_proj = nn.Linear(channels, channels, bias=False)
        self.g_proj = nn.Linear(channels, channels, bias=False)
        self.gk_proj = nn.Sequential(
            nn.Linear(channels, gate_rank, bias=False), nn.Linear(gate_rank, channels // 2, bias=True)
        )
        self.g_norm_swish_gate = nn.RMSNorm(channels // heads, eps=1e-6)
        self.o_proj = nn.Linear(channels, channels, bias=False)

    def forward(self, hidden_states: Tensor, encoder_hidden_states: None = None, attention_mask: None = None) -> Tensor:
        """(B, n, C) -> (B, n, C); the other two arguments stand in diffusers' call and have no meaning here."""
        if encoder_hidden_states is not None or attention_mask is not None:
            raise ValueError("gated linear attention knows neither encoder_hidden_states nor attention_mask")
        q, k, v, gate = (
            projection(hidden_states).unflatten(-1, (self.heads, -1))
            for projection in (self.q_proj, self.k_proj, self.v_proj, self.gk_proj)
        )  # (B, n, H, d)
        log_decay = F.logsigmoid(gate.float()) / self.gate_normalizer
        if self.kernel == "fla":
            out = _flash_linear_attention(q, k, v, log_decay)
        else:
            heads_first = (x.transpose(1, 2) for x in (q, k, v, log_decay))
            out = gated_linear_attention(*heads_first).transpose(1, 2)  # (B, n, H, d_v)
        out = self.g_norm_swish_gate(out).flatten(-2) * F.silu(self.g_proj(hidden_states))
        return self.o_proj(out)


def _flash_linear_attention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """The same by flash-linear-attention (pip install flash-linear-attention): (B, n, H, d) -> (B, n, H, d_v)."""
    if q.device.type != "cuda":
        raise ValueError(f'kernel "fla" needs a CUDA device, the tensors are on {q.device}; use kernel "torch"')
    from fla.ops.gla import chunk_gla

    return chunk_gla(q, k, v, log_decay)[0]
