"""Load networks from weight files: read without running pickled code, rename published keys, load strictly.

`moebius.weights.locate` finds the files, `moebius.weights.hub` fetches them.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moebius.files import read_json
from moebius.weights import WeightsError, first_line
from moebius.weights.denoiser import WeightFiles
from moebius.weights.verify import verify

if TYPE_CHECKING:
    import torch
    from diffusers import AutoencoderKL

    from moebius.models.pixelhacker import PixelHackerUNet
    from moebius.models.unet import MoebiusUNet

State = Mapping[str, "torch.Tensor"]


def convert_student(state_dict: State) -> dict[str, torch.Tensor]:
    """Rename published parameters to those of `MoebiusUNet`, by its `PUBLISHED_RENAMES`; shapes are the same.

    Unknown names are kept, so that a strict load reports them.

    Raises:
        WeightsError: two published names become one.
    """
    from moebius.models.unet import PUBLISHED_RENAMES

    return _renamed(state_dict, PUBLISHED_RENAMES)


def convert_pixelhacker(state_dict: State) -> dict[str, torch.Tensor]:
    """Like `convert_student`, for `PixelHackerUNet`."""
    from moebius.models.pixelhacker import PUBLISHED_RENAMES

    return _renamed(state_dict, PUBLISHED_RENAMES)


def _renamed(state_dict: State, renames: tuple[tuple[str, str], ...]) -> dict[str, torch.Tensor]:
    converted: dict[str, torch.Tensor] = {}
    for key, tensor in state_dict.items():
        name = key
        for published, ours in renames:
            name = name.replace(published, ours)
        if name in converted:
            raise WeightsError(f"the state dict holds {name} twice, with and without its prefix")
        converted[name] = tensor
    return converted


def convert_autoencoder(state_dict: State) -> dict[str, torch.Tensor]:
    """Rename attention layers from before diffusers 0.15; newer names are kept."""
    today = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
    converted = {}
    for key, tensor in state_dict.items():
        head, _, leaf = key.rpartition(".")
        layer, _, old = head.rpartition(".")
        converted[f"{layer}.{today[old]}.{leaf}" if ".attentions." in key and old in today else key] = tensor
    return converted


def load_denoiser(files: WeightFiles, dtype: torch.dtype | None = None) -> MoebiusUNet | PixelHackerUNet:
    """Load the denoiser of these files, in eval mode on the CPU. `dtype` None keeps the stored precision.

    Raises:
        WeightsError: the file is damaged or is not this network's; names the first missing, extra and
        misshapen key.
    """
    from moebius.models.pixelhacker import PixelHackerUNet
    from moebius.models.unet import MoebiusUNet

    if files.layout == "diffusers":
        verify(files.denoiser.parent.parent)
    config = files.denoiser.with_name("config.json")
    published = files.layout == "published"
    kind, convert = {
        "moebius": (MoebiusUNet, convert_student),
        "pixelhacker": (PixelHackerUNet, convert_pixelhacker),
    }[files.network]
    return _load(
        kind,
        read_json(config, WeightsError) if config.is_file() or not published else {},
        files.denoiser,
        convert if published else dict,
        dtype,
    )


def load_autoencoder(files: WeightFiles, dtype: torch.dtype | None = None) -> AutoencoderKL:
    """Load the autoencoder, in eval mode on the CPU, like `load_denoiser`."""
    from diffusers import AutoencoderKL

    from moebius.models.block_autoencoder import BlockAutoencoder

    config = read_json(files.autoencoder.with_name("config.json"), WeightsError)
    kind = BlockAutoencoder if config.get("_class_name") == BlockAutoencoder.__name__ else AutoencoderKL
    return _load(kind, config, files.autoencoder, convert_autoencoder, dtype)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in a .safetensors or .bin file, on the CPU. A pickle may hold only tensors.

    Raises:
        WeightsError: not a state dict, damaged, a pickle with more than tensors, a Git LFS pointer.
    """
    with path.open("rb") as file:
        if file.read(24).startswith(b"version https://git-lfs"):
            raise WeightsError(f"{path} is only a Git LFS pointer; fetch the file itself with `git lfs pull`")
    try:
        state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is damaged or holds more than tensors; it is not opened: such a file can run code"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise WeightsError(f"{path} cannot be read, it is damaged or incomplete: {first_line(error)}") from error
    import torch

    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path} is not a state dict: a mapping of names to tensors is needed")
    return dict(state)


def _read_safetensors(path: Path) -> State:
    from safetensors.torch import load_file

    return load_file(path, device="cpu", backend="pread")


def _read_pickle(path: Path) -> State:
    import torch

    # Not mapped: the pages of a mapped file stay in memory until its last tensor is gone.
    return torch.load(path, map_location="cpu", weights_only=True, mmap=False)


def _load(
    kind: Any,
    config: dict,
    path: Path,
    convert: Callable[[State], dict[str, torch.Tensor]],
    dtype: torch.dtype | None,
) -> torch.nn.Module:
    import torch

    with torch.device("meta"):  # no memory and no random numbers for parameters that the file replaces
        model = kind.from_config(config)
    stored = read_state(path)
    names = convert({key: key for key in stored})
    state = convert(stored)
    del stored
    _check(path, kind.__name__, state, model.state_dict(), names)
    owned = {}
    for key in list(state):  # one by one, so that stored and converted weights are never both in memory
        tensor = state.pop(key)
        owned[key] = tensor.to(dtype or tensor.dtype) if tensor.is_floating_point() else tensor
    model.load_state_dict(owned, strict=True, assign=True)
    return model.requires_grad_(False).eval()


def _check(path: Path, kind: str, state: State, expected: State, names: dict[str, str]) -> None:
    """Raises WeightsError with the number and the first of missing, extra, misshapen and non-float tensors.

    names: our names to those in the file, which the message uses.
    """
    missing = [key for key in expected if key not in state]
    extra = [key for key in state if key not in expected]
    shared = [key for key in expected if key in state]
    misshapen = [key for key in shared if state[key].shape != expected[key].shape]
    integer = [key for key in shared if expected[key].is_floating_point() and not state[key].is_floating_point()]
    faults = []
    if missing:
        faults.append(f"{len(missing)} missing, first {missing[0]}")
    if extra:
        faults.append(f"{len(extra)} unexpected, first {names[extra[0]]}")
    if misshapen:
        key = misshapen[0]
        shapes = f"{list(state[key].shape)} instead of {list(expected[key].shape)}"
        faults.append(f"{len(misshapen)} of another shape, first {names[key]}: {shapes}")
    if integer:
        faults.append(f"{len(integer)} not floating point, first {names[integer[0]]}: {state[integer[0]].dtype}")
    if faults:
        raise WeightsError(f"{path} does not fit {kind}: {'; '.join(faults)}")
