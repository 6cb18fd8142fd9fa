"""The folders of an evaluation: one for every configuration of fills and of scores."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from eval import generate, score
from eval.contestants import Contestant
from eval.data.dataset import DataSet
from eval.settings import Settings


class Folders:
    """Folders below `out`, and the configurations that they belong to."""

    def __init__(self, out: Path, settings: Settings, dataset: DataSet, device: str) -> None:
        self.out, self.settings, self.dataset, self.device = out, settings, dataset, device

    def fill_config(self, contestant: Contestant) -> dict:
        """Everything that a contestant's fills depend on."""
        return generate.configuration(
            contestant, self.dataset, self.settings.batch, self.device, self.settings.dtype or "float32"
        )

    def fills(self, contestant: Contestant) -> Path:
        """Where a contestant's fills lie."""
        return generate.folder_of(self.out, self.fill_config(contestant))

    def real_features(self) -> tuple[Path, dict]:
        """Of the photos themselves: the folder and its configuration."""
        config = {**score.configuration(self.settings.metrics, self.device), "data": self.dataset.identity()}
        return score.scores_folder(self.out, "real-pictures", config), config

    def scores(self, contestant: Contestant) -> tuple[Path, dict]:
        """Of a contestant's fills: the folder and its configuration."""
        config = {**score.configuration(self.settings.metrics, self.device), "fills": self.fills(contestant).name}
        return score.scores_folder(self.out, contestant.name, config), config

    def pictures(self, contestants: Iterable[Contestant], image_ids: Iterable[str]) -> list[str]:
        """Files of fills, as paths below the output folder."""
        image_ids = list(image_ids)
        return [
            str((self.fills(contestant) / "composited" / f"{image_id}.png").relative_to(self.out))
            for contestant in contestants
            for image_id in image_ids
        ]
