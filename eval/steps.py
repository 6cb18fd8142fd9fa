"""The steps of an evaluation: generate, score, time, report. Each finds what is done and does the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from eval import cost, generate, score, store, timing
from eval.contestants import Contestant, resolve
from eval.data.dataset import DataSet, scan
from eval.report import render, sheets, summary
from eval.settings import Settings
from eval.workers import Workers
from moebius.files import read_json
from moebius.report import drawing

RESULTS, TIMING = "results.json", "timing.json"


class Evaluation:
    """One set of settings on one data set, in one folder.

    Args:
        contestants: who takes part; None: `settings.models`, from registry and controls.
        quiet: no progress on the terminal.
    """

    def __init__(
        self,
        settings: Settings,
        out: Path,
        contestants: list[Contestant] | None = None,
        workers: Workers | None = None,
        quiet: bool = False,
    ) -> None:
        self.settings, self.out = settings, Path(out)
        self.workers = workers or Workers.from_environment()
        self.quiet = quiet or not self.workers.first
        self.device = self._device()
        self.contestants = contestants if contestants is not None else self._resolve()
        if not self.contestants:
            raise ValueError("no model: say with --models which to evaluate")
        self.dataset = self._dataset()

    def generate(self) -> None:
        """Fills of every contestant."""
        for contestant in self.contestants:
            config = self._fill_config(contestant)
            folder = generate.folder_of(self.out, config)
            generate.generate(contestant, self.dataset, folder, config, self.workers, self.quiet)
        self.workers.wait()

    def check_metrics(self) -> None:
        """Load the metrics' networks: what is missing is said before hours of filling, not after."""
        self._networks()

    def score(self) -> None:
        """Scores of every fill and features of every picture."""
        folder, config = self._real_place()
        score.real_features(self.dataset, folder, config, self._networks, self.workers, self.quiet)
        for contestant in self.contestants:
            fills = generate.folder_of(self.out, self._fill_config(contestant))
            folder, config = self._score_place(contestant)
            score.score_fills(
                fills, self.dataset, folder, config, self._networks, self.workers, contestant.name, self.quiet
            )
        self.workers.wait()

    def time(self) -> None:
        """Times, by the first process alone, so that no other one disturbs it."""
        if self.workers.first:
            told = timing.measure(
                self.contestants,
                self.dataset,
                self.device,
                self.settings.rounds,
                tuple(self.settings.time_batches),
                self.quiet,
            )
            told["fills"] = {contestant.name: self._fills(contestant).name for contestant in self.contestants}
            store.write_json(self.out / TIMING, told)
        self.workers.wait()

    def timed(self) -> bool:
        """Whether timing.json is about these very fills."""
        path = self.out / TIMING
        if not path.is_file():
            return False
        told = read_json(path)
        same = {contestant.name: self._fills(contestant).name for contestant in self.contestants}
        return told["fills"] == same and told["rounds"] == self.settings.rounds

    def report(self) -> dict | None:
        """results.json, results.md and results.html; the results on the first process, None on the others."""
        real = score.gather(self._real_place()[0], self.dataset, self.workers)
        name = self.settings.reference or self.contestants[0].name
        reference = self._gather(next(contestant for contestant in self.contestants if contestant.name == name))
        real_set = summary.RealSet(real.composited) if self.workers.first else None
        told = []
        for contestant in self.contestants:  # one at a time, so that memory holds the rows of two at most
            scores = self._gather(contestant)
            if self.workers.first:
                told.append(self._told(contestant, scores, real_set, reference))
        results = self._results(name, told, real.composited.shape[1]) if self.workers.first else None
        self.workers.collect(self.out, self._shown(results))
        if self.workers.first:
            store.write_json(self.out / RESULTS, results)
            times = read_json(self.out / TIMING) if self.timed() else None
            render.write(self.out, read_json(self.out / RESULTS), times, self.dataset,
                         {contestant.name: self._fills(contestant) for contestant in self.contestants})  # fmt: skip
        self.workers.wait()
        return results

    def sheet(self) -> list[Path]:
        """Sheets of fills: the first of the set, unselected, and each contestant's worst; the files written."""
        scores = {contestant.name: self._gather(contestant) for contestant in self.contestants}
        fills = {contestant.name: self._fills(contestant) for contestant in self.contestants}
        figure = summary.figures(self.settings.metrics)["pictures"][0]
        chosen = None
        if self.workers.first:
            scores = {name: [row["composited"] for row in found.rows] for name, found in scores.items()}
            chosen = sheets.choose(self.dataset, scores, figure)
        chosen = self.workers.share(chosen)
        shown = {self.dataset.samples[index].id for sheet in chosen for index in sheet.places}
        self.workers.collect(self.out, self._pictures(fills.values(), sorted(shown)))
        written = []
        for sheet in chosen if self.workers.first else ():
            entries = list(sheets.entries(self.dataset, sheet.places, fills, scores, figure.key))
            written.append(self.out / sheet.file)
            picture = drawing.grid(sheet.title, ["hole outlined", *fills], entries)
            store.write(written[-1], drawing.jpeg(picture, sheets.QUALITY, optimize=True))
        self.workers.wait()
        return written

    def run(self, with_timing: bool = True) -> dict | None:
        self.check_metrics()
        self.generate()
        self.score()
        if with_timing and not self.workers.share(self.timed()):
            self.time()
        return self.report()

    # ---- what belongs where ----

    def _device(self) -> str:
        import torch

        if self.settings.device:
            return self.settings.device
        if torch.cuda.is_available():
            index = self.workers.local_rank % torch.cuda.device_count()
            torch.cuda.set_device(index)
            return f"cuda:{index}"
        return "mps" if torch.backends.mps.is_available() else "cpu"

    def _resolve(self) -> list[Contestant]:
        options = dataclasses.replace(self.settings.options, device=self.device)
        return resolve(self.settings.models, options)

    def _dataset(self) -> DataSet:
        cache_file, request = self.out / "data.json", self.settings.request
        if self.workers.first:
            dataset = scan(request, cache_file, self.quiet)
        self.workers.wait()
        return dataset if self.workers.first else scan(request, cache_file, quiet=True)

    def _fill_config(self, contestant: Contestant) -> dict:
        return generate.configuration(
            contestant, self.dataset, self.settings.batch, self.device, self.settings.dtype or "float32"
        )

    def _fills(self, contestant: Contestant) -> Path:
        return generate.folder_of(self.out, self._fill_config(contestant))

    def _real_place(self) -> tuple[Path, dict]:
        config = {**self.settings.metrics.configuration(self.device), "data": self.dataset.identity()}
        return score.scores_folder(self.out, "real-pictures", config), config

    def _score_place(self, contestant: Contestant) -> tuple[Path, dict]:
        config = {**self.settings.metrics.configuration(self.device), "fills": self._fills(contestant).name}
        return score.scores_folder(self.out, contestant.name, config), config

    @cached_property
    def _loaded_networks(self) -> score.Networks:
        return score.Networks(self.settings.metrics, self.device)

    def _networks(self) -> score.Networks:
        return self._loaded_networks

    def _shown(self, results: dict | None) -> list[str]:
        """Files of the gallery, below the output folder; the same list on every process."""
        names = None
        if results is not None:
            names = [
                name
                for contestant, told in zip(self.contestants, results["models"], strict=True)
                for image_ids in told["gallery"].values()
                for name in self._pictures([self._fills(contestant)], image_ids)
            ]
        return self.workers.share(names)

    def _pictures(self, folders: Iterable[Path], image_ids: list[str]) -> list[str]:
        """Files of fills, below the output folder."""
        return [
            str((folder / "composited" / f"{image_id}.png").relative_to(self.out))
            for folder in folders
            for image_id in image_ids
        ]

    def _gather(self, contestant: Contestant) -> score.Scores | None:
        """On every process at once; None on all but the first."""
        return score.gather(self._score_place(contestant)[0], self.dataset, self.workers)

    def _told(
        self, contestant: Contestant, scores: score.Scores, real: summary.RealSet, reference: score.Scores
    ) -> dict:
        """One contestant's part of the results."""
        rows = [row["composited"] for row in reference.rows]
        told = summary.contestant_figures(contestant, self.settings.metrics, self.dataset, scores, real, rows)
        fills = self._fills(contestant)
        return told | {"fills": fills.name, **read_json(fills / generate.LOADED)}

    def _results(self, reference: str, told: list[dict], width: int) -> dict:
        metrics = self.settings.metrics
        shown = summary.figures(metrics)
        return {
            "schema": 1,
            "data": self.dataset.describe(),
            "figures": {scope: [vars(figure) for figure in found] for scope, found in shown.items()},
            "features": {
                "network": metrics.features,
                "recipe": self._networks().extractor.recipe,
                "pictures": len(self.dataset.samples),
            },
            "perceptual": metrics.distance_key,
            "intervals": "95 %, bootstrap over photos, 2,000 resamples, percentile",
            "reference": reference,
            "models": told,
            "warnings": summary.warnings(metrics, self.dataset, width),
            "paper": render.paper(self.dataset.request.protocol),
            "batch": self.settings.batch,
            "hardware": cost.hardware(self.device),
            "versions": cost.versions(),
            "commit": cost.commit(),
        }
