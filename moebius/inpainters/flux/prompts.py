"""FLUX's prompts: encoded once, then kept in memory and on disk, so that the text encoders can be unloaded."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import FluxFillPipeline

from moebius import devices, environment
from moebius.files import sha256, write_atomic
from moebius.progress import without_library_bars
from moebius.weights.flux import FluxFiles

MAX_TOKENS = 512
ENCODERS_GPU_BYTES = 11_000_000_000
"""Both text encoders in bfloat16, and what they need to work."""

Embedding = tuple[torch.Tensor, torch.Tensor]
"""(1, 512, 4096) of T5 and (1, 768) of CLIP, on the CPU."""


class Prompts:
    """Embeddings by prompt; call it with a prompt to get the `Embedding`."""

    def __init__(self, files: FluxFiles, device: str, dtype: torch.dtype):
        self._files, self._device, self._dtype = files, device, dtype
        self._known: dict[str, Embedding] = {}

    def __call__(self, prompt: str) -> Embedding:
        """The embedding from memory, from the disk, or encoded now."""
        if prompt not in self._known:
            path = self._cache_file(prompt)
            if not path.is_file():
                _write(path, self._encode(prompt))
            self._known[prompt] = _read(path)
        return self._known[prompt]

    @torch.no_grad()
    def _encode(self, prompt: str) -> Embedding:
        """Load the text encoders, encode, and drop them."""
        with without_library_bars():
            encoders = FluxFillPipeline.from_pretrained(
                self._files.folder, transformer=None, vae=None, dtype=self._dtype, local_files_only=True
            )
        roomy = devices.free_memory(self._device).gpu_bytes > ENCODERS_GPU_BYTES
        device = self._device if roomy else "cpu"
        encoders.to(device)
        embeds, pooled, _ = encoders.encode_prompt(prompt, device=device, max_sequence_length=MAX_TOKENS)
        del encoders
        devices.release_memory()
        return embeds.cpu(), pooled.cpu()

    def _cache_file(self, prompt: str) -> Path:
        """Its name depends on prompt, type and the encoders' files, so other weights have other files."""
        known = [prompt, str(self._dtype), str(MAX_TOKENS)]
        for part in ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"):
            for path in sorted((self._files.folder / part).iterdir()):
                known.append(f"{part}/{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}")
        name = sha256("\n".join(known).encode())
        return environment.cache_folder() / "flux-prompts" / f"{name}.safetensors"


def _read(path: Path) -> Embedding:
    from safetensors.torch import load_file

    tensors = load_file(path)
    return tensors["embeds"], tensors["pooled"]


def _write(path: Path, embedding: Embedding) -> None:
    """Write the file whole or not at all: another process may read it."""
    from safetensors.torch import save

    data = save({"embeds": embedding[0].contiguous(), "pooled": embedding[1].contiguous()})
    write_atomic(path, data, sync=False, make_folder=True)
