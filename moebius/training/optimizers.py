"""Optimizers: Muon for matrices and AdamW for all other parameters; learning rate; moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from moebius.training.config import Optimizer


class Optimizers:
    """The optimizers of a network's parameters.

    torch.optim.Muon takes two-dimensional parameters only. Most of the student's matrices are weights of 1×1
    convolutions, (out, in, 1, 1); Muon gets two-dimensional views of these, which share their memory, and before a step
    the same views of their gradients. Depthwise and 3×3 kernels, vectors and embeddings go to AdamW.
    """

    def __init__(self, network: nn.Module, config: Optimizer, steps: int):
        """steps: of the whole run; the learning rate decays before the last one, see `config.decay_steps`."""
        matrices, others = split(network) if config.matrices == "muon" else ([], list(network.parameters()))
        self.config, self.steps = config, steps
        self.views = [(weight, nn.Parameter(weight.detach().flatten(1))) for weight in matrices]
        for weight, view in self.views:
            if view.data_ptr() != weight.data_ptr():
                raise ValueError(f"Muon needs matrices that lie in rows, got strides {weight.stride()}")
        self.adamw = torch.optim.AdamW(
            others,
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=others[0].device.type in ("cpu", "cuda"),
        )
        self.muon = None
        if matrices:
            self.muon = torch.optim.Muon(
                [view for _, view in self.views],
                lr=config.learning_rate,
                momentum=config.momentum,
                weight_decay=config.weight_decay,
                adjust_lr_fn=config.muon_scale,
            )

    def step(self, number: int) -> None:
        """One step with the current gradients; `number` counts from 0."""
        rate = learning_rate(self.config, number, self.steps)
        for weight, view in self.views:
            view.grad = None if weight.grad is None else weight.grad.flatten(1)
        for optimizer in self._all():
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()

    def state_dict(self) -> list[dict]:
        return [optimizer.state_dict() for optimizer in self._all()]

    def load_state_dict(self, states: list[dict]) -> None:
        for optimizer, state in zip(self._all(), states, strict=True):
            optimizer.load_state_dict(state)

    def _all(self) -> list[torch.optim.Optimizer]:
        return [self.adamw] if self.muon is None else [self.muon, self.adamw]


def learning_rate(config: Optimizer, number: int, steps: int) -> float:
    """Learning rate of step `number`, counted from 0, of `steps`: linear warm-up, constant, linear decay
    (arXiv:2405.18392).

    It depends only on the step, so a checkpoint need not keep it.
    """
    up = (number + 1) / max(1, config.warmup_steps)
    down = (steps - number) / max(1, config.decay_steps)
    return config.learning_rate * max(0.0, min(1.0, up, down))


def split(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """A network's matrices, those of linear layers and 1×1 convolutions without groups, and its other parameters."""
    matrices = [
        module.weight
        for module in network.modules()
        if isinstance(module, nn.Linear)
        or (isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1)
    ]
    chosen = {id(weight) for weight in matrices}
    return matrices, [parameter for parameter in network.parameters() if id(parameter) not in chosen]


class EMA:
    """Exponential moving average of a network's parameters and running statistics; counters are copied.

    diffusers' `EMAModel`: step n, counted from 1, keeps min(decay, n / (9 + n)) of the average, the first step none. It
    averages what requires a gradient and copies everything else, so running statistics are given to it as tensors that
    require one and share the network's memory.
    """

    def __init__(self, network: nn.Module, decay: float):
        self._live = [
            tensor.detach().requires_grad_(tensor.is_floating_point()) for tensor in network.state_dict().values()
        ]
        self._average = EMAModel(self._live, decay=decay, foreach=True)

    def update(self) -> None:
        """Update the average with the network's weights, after a step."""
        self._average.step(self._live)

    def copy_to(self, network: nn.Module) -> nn.Module:
        """Write the average into a network of the same kind, and return it."""
        self._average.copy_to(network.state_dict().values())
        return network

    def state_dict(self) -> dict[str, Any]:
        return self._average.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._average.load_state_dict(state)
        self._average.to(self._live[0].device)


def clip(parameters: Iterable[Tensor], norm: float) -> float:
    """Scale all gradients down to the total `norm`, unless it is 0; returns their norm before."""
    return float(nn.utils.clip_grad_norm_(parameters, norm or float("inf")))
