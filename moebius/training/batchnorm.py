"""Batch normalisation over all processes, on any device: torch's own SyncBatchNorm refuses the CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class SumOverProcesses(torch.autograd.Function):
    """Σ over processes of a tensor; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """(B, C, ...) normalised by the mean and variance of every process's batch together, as if it were one.

    Mean first, then the mean of squared deviations from it, so that nothing large is subtracted from anything large.
    """

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim < 2:
            raise ValueError(f"expected (B, C, ...), got shape {tuple(x.shape)}")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
        wide = x.float()
        count = torch.tensor([wide.numel() / wide.shape[1]], device=x.device)
        sums = SumOverProcesses.apply(torch.cat([wide.sum(axes), count]))
        n = sums[-1]
        mean = sums[:-1] / n
        centred = wide - mean.view(shape)
        variance = SumOverProcesses.apply(centred.square().sum(axes)) / n
        with torch.no_grad():
            self.num_batches_tracked += 1
            if self.momentum:  # 0 while gradient checkpointing computes a block again
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * n / (n - 1), self.momentum)
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        return (normal * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)


def over_all_processes(network: nn.Module, device: torch.device) -> nn.Module:
    """The network with every batch normalisation replaced by one over all processes; names of parameters stay."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return _replaced(network)


def _replaced(module: nn.Module) -> nn.Module:
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        new = GlobalBatchNorm(module.num_features, module.eps, module.momentum)
        new.load_state_dict(module.state_dict())
        new.train(module.training)
        return new.to(next(module.parameters()).device)
    for name, child in module.named_children():
        setattr(module, name, _replaced(child))
    return module
