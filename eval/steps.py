"""The steps of an evaluation. Each step does only what is not done yet.

| step     | reads                                 | writes                                            |
|----------|---------------------------------------|---------------------------------------------------|
| generate | photos, masks, models                 | fills/MODEL-…/composited/ID.png                   |
| score    | photos, masks, fills                  | scores/MODEL-…/chunk-….npz, scores/real-pictures-… |
| time     | models, the first photos              | timing.json                                       |
| report   | scores, fills of the gallery, timing  | results.json, results.md, results.html            |
| sheet    | scores, fills that are shown          | sheet-first.jpg, sheet-worst-MODEL.jpg            |

Every process of several runs the same steps; the first one alone times, and writes what is not a fill or a score.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path

from eval import generate, provenance, score, store, timing
from eval.contestants import Contestant, resolve
from eval.data.dataset import DataSet, scan
from eval.folders import Folders
from eval.judge import Networks
from eval.metrics.intervals import Bootstrap
from eval.report import render, sheets, summary
from eval.report.figures import Figure, figures, tested_on, validation_of
from eval.score import Scores
from eval.settings import Settings
from eval.workers import Workers
from moebius.files import read_json
from moebius.presentation import drawing
from moebius.presentation.results import SCHEMA

MIN_PICTURES = 2
"""Of a set: a covariance needs them."""
RESULTS, TIMING = "results.json", "timing.json"


class Evaluation:
    """One set of settings on one data set, in one folder.

    Args:
        contestants: who takes part; None: `settings.models`, from registry and controls.
        quiet: no progress on the terminal.

    Raises:
        ValueError: there is no model, no usable picture, or a model cannot run here.
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
        if settings.request.pairs and (copies := [one.name for one in self.contestants if one.returns_input]):
            raise ValueError(
                f"{', '.join(copies)} would return the object: of pairs, the picture that models see is not the truth"
            )
        if len(self.dataset.samples) < MIN_PICTURES:
            raise ValueError(f"1 usable picture; sets are compared, so there must be at least {MIN_PICTURES}")
        self.folders = Folders(self.out, settings, self.dataset, self.device)

    # ---- steps ----

    def run(self, with_timing: bool = True) -> dict | None:
        """Run all steps and return the result of `report`. Missing networks of metrics fail at the start, not at the
        end."""
        self._networks()
        self.generate()
        self.score()
        if with_timing and not self.workers.share(self.timed()):
            self.time()
        return self.report()

    def generate(self) -> None:
        """Fills of every contestant."""
        for contestant in self.contestants:
            config, folder = self.folders.fill_config(contestant), self.folders.fills(contestant)
            generate.generate(contestant, self.dataset, folder, config, self.workers, self.quiet)
        self.workers.wait()

    def score(self) -> None:
        """Scores of every fill and features of every picture."""
        folder, config = self.folders.real_features()
        score.real_features(self.dataset, folder, config, self._networks, self.workers, self.quiet)
        for contestant in self.contestants:
            fills = self.folders.fills(contestant)
            folder, config = self.folders.scores(contestant)
            score.score_fills(
                fills, self.dataset, folder, config, self._networks, self.workers, contestant.name, self.quiet
            )
        self.workers.wait()

    def time(self) -> None:
        """Measure times in the first process, while the others wait."""
        if self.workers.first:
            batches, rounds = tuple(self.settings.time_batches), self.settings.rounds
            times = timing.measure(self.contestants, self.dataset, self.device, rounds, batches, self.quiet)
            store.write_json(self.out / TIMING, times | {"fills": self._fill_names()})
        self.workers.wait()

    def timed(self) -> bool:
        """Whether timing.json belongs to these fills."""
        path = self.out / TIMING
        if not path.is_file():
            return False
        times = read_json(path)
        return times["fills"] == self._fill_names() and times["rounds"] == self.settings.rounds

    def report(self) -> dict | None:
        """Write the report; its results on the first process, None on the others."""
        real = score.gather(self.folders.real_features()[0], self.dataset, self.workers)
        reference = self._reference()
        compared_with = self._scores(reference)
        real_sets = summary.RealSets(real) if self.workers.first else None
        models = []
        for contestant in self.contestants:  # one at a time, so that memory holds the rows of two at most
            scores = self._scores(contestant)
            if self.workers.first:
                models.append(self._figures(contestant, scores, real_sets, compared_with))
        results = None
        if self.workers.first:
            bootstrap = Bootstrap([sample.group for sample in self.dataset.samples])
            width, invented = real.composited.shape[1], summary.values(bootstrap.interval(real_sets.invented))
            results = self._results(reference.name, models, width, invented)
        self.workers.collect(self.out, self.workers.share(self._gallery_files(results)))
        if self.workers.first:
            store.write_json(self.out / RESULTS, results)
            times = read_json(self.out / TIMING) if self.timed() else None
            fills = {contestant.name: self.folders.fills(contestant) for contestant in self.contestants}
            render.write(self.out, read_json(self.out / RESULTS), times, self.dataset, fills)
        self.workers.wait()
        return results

    def sheet(self) -> list[Path]:
        """Sheets of fills: the first of the set, unselected, and each contestant's worst; the files written."""
        gathered = {contestant.name: self._scores(contestant) for contestant in self.contestants}
        figure = self.shown["pictures"][0]
        chosen, scores = None, {}
        if self.workers.first:
            scores = {name: [row["composited"] for row in found.rows] for name, found in gathered.items()}
            chosen = sheets.choose(self.dataset, scores, figure)
        chosen = self.workers.share(chosen)
        shown = {self.dataset.samples[index].id for sheet in chosen for index in sheet.places}
        self.workers.collect(self.out, self.folders.pictures(self.contestants, sorted(shown)))
        written = []
        if self.workers.first:
            fills = {contestant.name: self.folders.fills(contestant) for contestant in self.contestants}
            for sheet in chosen:
                entries = list(sheets.entries(self.dataset, sheet.places, fills, scores, figure.key))
                picture = drawing.grid(sheet.title, ["hole outlined", *fills], entries)
                written.append(self.out / sheet.file)
                store.write(written[-1], drawing.jpeg(picture, sheets.QUALITY, optimize=True))
        self.workers.wait()
        return written

    # ---- what the steps work with ----

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

    @cached_property
    def _validation(self) -> dict | None:
        """Which metrics order fills as people do."""
        return validation_of(self.out)

    @cached_property
    def shown(self) -> dict[str, list[Figure]]:
        """The figures of the report."""
        return figures(self.settings.metrics, bool(self.dataset.request.pairs), self._validation)

    @cached_property
    def _loaded_networks(self) -> Networks:
        return Networks(self.settings.metrics, self.device)

    def _networks(self) -> Networks:
        """Of the metrics, loaded once, when they are first asked for."""
        return self._loaded_networks

    def _reference(self) -> Contestant:
        """The contestant that the others are compared with."""
        name = self.settings.reference or self.contestants[0].name
        return next(contestant for contestant in self.contestants if contestant.name == name)

    def _fill_names(self) -> dict[str, str]:
        """The folder of every contestant's fills, which stands for its configuration."""
        return {contestant.name: self.folders.fills(contestant).name for contestant in self.contestants}

    def _scores(self, contestant: Contestant) -> Scores | None:
        """To be called on every process at once; None on all but the first."""
        return score.gather(self.folders.scores(contestant)[0], self.dataset, self.workers)

    # ---- results ----

    def _gallery_files(self, results: dict | None) -> list[str] | None:
        """Fills that the report shows, as paths below the output folder."""
        if results is None:
            return None
        return [
            file
            for contestant, model in zip(self.contestants, results["models"], strict=True)
            for image_ids in model["gallery"].values()
            for file in self.folders.pictures([contestant], image_ids)
        ]

    def _figures(self, contestant: Contestant, scores: Scores, real: summary.RealSets, compared_with: Scores) -> dict:
        """One contestant's part of the results."""
        rows = [row["composited"] for row in compared_with.rows]
        figures = summary.contestant_figures(
            contestant, self.settings.metrics, self.shown["pictures"], self.dataset, scores, real, rows
        )
        fills = self.folders.fills(contestant)
        return figures | {"fills": fills.name, **read_json(fills / generate.LOADED)}

    def _results(self, reference: str, models: list[dict], width: int, truth_invented: dict) -> dict:
        """The content of results.json; `width`: of a feature vector; `truth_invented`: what a classifier takes for
        objects in the pictures themselves."""
        metrics = self.settings.metrics
        return {
            "schema": SCHEMA,
            "data": self.dataset.describe(),
            "figures": {scope: [vars(figure) for figure in found] for scope, found in self.shown.items()},
            "tested": tested_on(self._validation) if self._validation else None,
            "features": {
                "network": metrics.features,
                "recipe": self._networks().extractor.recipe,
                "pictures": len(self.dataset.samples),
            },
            "second": {"network": metrics.second, "recipe": self._networks().second.recipe},
            "perceptual": metrics.distance_key,
            "truth_invented": truth_invented,
            "intervals": "95 %, bootstrap over photos, 2,000 resamples, percentile",
            "reference": reference,
            "models": models,
            "warnings": summary.warnings(metrics, self.dataset, width),
            "paper": render.paper(self.dataset.request.protocol),
            "batch": self.settings.batch,
            "hardware": provenance.hardware(self.device),
            "versions": provenance.versions(),
            "commit": provenance.commit(),
        }
