"""Two and three processes on uneven shares give what one gives, on one disk and on several."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from moebius.files import read_json
from tests.helpers.evaluation_runs import short_run, statuses

ROOT = Path(__file__).parents[2]
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}


def torchrun(processes: int, *words: str) -> subprocess.CompletedProcess:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [*launcher, *words], cwd=ROOT, env={**ALONE, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )


@pytest.mark.slow
def test_two_and_three_uneven_processes_equal_one(pictures, tmp_path):
    """In chunks of two, seven pictures are four chunks: uneven over two and over three processes."""
    options = short_run(pictures)
    runs = [
        {"arguments": [*options, str(tmp_path / str(count))], "processes": count, "chunk": 2} for count in (1, 2, 3)
    ]
    assert statuses(runs) == [[0], [0, 0], [0, 0, 0]]
    alone = read_json(tmp_path / "1" / "results.json")
    for count in (2, 3):
        assert read_json(tmp_path / str(count) / "results.json") == alone
        scored = list((tmp_path / str(count) / "scores").rglob("chunk-*.npz"))
        assert len(scored) == 3 * 4  # real pictures and two models


def test_files_reach_the_first_process_from_other_disks(tmp_path):
    script = tmp_path / "collect.py"
    script.write_text(
        "import json, sys; from pathlib import Path; from eval.workers import Workers\n"
        "workers = Workers.from_environment(); root = Path(sys.argv[1]) / str(workers.rank); root.mkdir()\n"
        "names = [f'part-{index}' for index in range(5)]\n"
        "for index in workers.mine(5): (root / names[index]).write_bytes(bytes([index]) * 1000)\n"
        "workers.collect(root, names); answer = workers.share({'from': workers.rank}); workers.close()\n"
        "(root / 'answer.json').write_text(json.dumps(answer))\n"
    )
    done = torchrun(2, str(script), str(tmp_path))
    assert done.returncode == 0, done.stderr
    for index in range(5):
        assert (tmp_path / "0" / f"part-{index}").read_bytes() == bytes([index]) * 1000
    assert not (tmp_path / "1" / "part-0").exists()
    assert json.loads((tmp_path / "1" / "answer.json").read_text()) == {"from": 0}
