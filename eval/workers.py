"""Several processes for one evaluation: they divide the work, wait for each other, and send files to the first one.

Started by `torchrun` or `accelerate launch`, which set RANK and WORLD_SIZE; without them there is one process.
Parts are whole files (one per chunk of pictures), so the numbers do not depend on how many processes there are.
Machines need not share a disk: files that the first process does not have are sent to it.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from eval import store
from moebius import environment

PORTION_BYTES = 64 << 20
"""About how much is sent at a time."""


class Workers:
    """This process among all of them."""

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank, self.size, self.local_rank = rank, size, local_rank

    @classmethod
    def from_environment(cls) -> Workers:
        """As `accelerate launch` or torchrun say. ValueError where their variables make no sense."""
        found = environment.processes()
        return cls(found.rank, found.count, found.local_rank)

    @property
    def first(self) -> bool:
        """Whether this process writes what there is once."""
        return self.rank == 0

    def mine(self, count: int) -> range:
        """Indices of the chunks that this process does."""
        return range(self.rank, count, self.size)

    def wait(self) -> None:
        """Return when every process has come this far."""
        if self.size > 1:
            self._group().barrier()

    def share(self, value: Any) -> Any:
        """The first process' value, on every process."""
        if self.size == 1:
            return value
        held = [value]
        self._group().broadcast_object_list(held, src=0)
        return held[0]

    def collect(self, root: Path, names: list[str]) -> None:
        """Bring files (paths below `root`) to the first process; where the disk is shared there is nothing to do.

        Every process must call it with the same names.
        """
        if self.size == 1:
            return
        group = self._group()
        missing = self.share([name for name in names if not (root / name).is_file()])
        here = [name for name in missing if (root / name).is_file()]
        while True:
            portion, weight = {}, 0
            while here and weight < PORTION_BYTES:
                portion[here[0]] = (root / here[0]).read_bytes()
                weight += len(portion[here.pop(0)])
            gathered: list[Any] | None = [None] * self.size if self.first else None
            group.gather_object((portion, bool(here)), gathered, dst=0)
            more = False
            if self.first:
                for files, _ in gathered:
                    for name, data in files.items():
                        store.write(root / name, data)
                more = any(left for _, left in gathered)
            if not self.share(more):
                return

    def close(self) -> None:
        """Leave the group of processes."""
        if self.size > 1:
            import torch.distributed as group

            if group.is_initialized():
                group.destroy_process_group()

    def _group(self) -> ModuleType:
        import torch.distributed as group

        if not group.is_initialized():
            # gloo: what is exchanged are small files and barriers, on every kind of machine; ranks wait for slow ones
            group.init_process_group("gloo", timeout=timedelta(days=7))
        return group
