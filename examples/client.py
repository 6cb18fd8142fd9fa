"""Fill a hole by a running page, from a script: `python examples/client.py photo.jpg mask.png -o filled.jpg`; or many
photos, with masks named `IMG_1_mask.png` among them: `python examples/client.py --many photos/* -o filled.zip`.

The page may run here (`python -m moebius serve`) or be a Space: `--page http://127.0.0.1:7860`, `--page user/space`.
Needs `pip install gradio_client` and nothing of this repository.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import httpx
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError


def fill(client: Client, photo: Path, mask: Path, **settings) -> Path:
    """The filled photo as a file, in its own format with its metadata.

    Args:
        mask: a picture of the photo's size; white = repaint.
        settings: of the page's `/inpaint`, by name: `model`, `seed`, `num_inference_steps`, … (`client.view_api()`
            lists them); otherwise the page's defaults, and a seed by chance.

    Raises:
        gradio_client.exceptions.AppError: the page refused, with its reason.
    """
    files = {"image": handle_file(photo), "mask_image": handle_file(mask)}
    return Path(client.predict(**files, **settings, api_name="/inpaint"))


def fill_many(client: Client, files: list[Path], model: str = "auto", **settings) -> tuple[Path, str]:
    """The filled photos as a ZIP, and what the page says of the run, as HTML. Photos that failed stop nothing: the ZIP
    then holds a list of them with the reasons.

    Args:
        files: photos, and a mask for each, named as the photo with `_mask.png` in place of its suffix.
        settings: of the page's `/fill_photos`, by name.

    Raises:
        gradio_client.exceptions.AppError: the page refused, with its reason.
        ValueError: no photo was filled.
    """
    client.predict([handle_file(file) for file in files], [], "each", api_name="/add_photos")
    said, _, archive = client.predict([], "each", model, **settings, api_name="/fill_photos")[:3]
    if not archive.get("value"):
        raise ValueError(f"nothing was filled: {said}")
    return Path(archive["value"]), said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", help="photo and mask of the same size; white = repaint")
    parser.add_argument("--many", action="store_true", help="any number of photos and masks; OUTPUT is a ZIP")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--page", default="http://127.0.0.1:7860", help="address, or a Space's name")
    parser.add_argument("--model", default="auto")
    options = parser.parse_args()
    if not options.many and len(options.files) != 2:
        parser.error(f"a photo and a mask are needed, got {len(options.files)} files; or say --many")
    if missing := [str(path) for path in options.files if not path.is_file()]:
        parser.error(f"there is no file {', '.join(missing)}")
    try:
        client = Client(options.page, verbose=False)
    except (OSError, ValueError, httpx.HTTPError) as error:
        parser.error(f"no page answers at {options.page} ({error}); start one with python -m moebius serve")
    try:
        if options.many:
            result, _ = fill_many(client, options.files, options.model)
        else:
            result = fill(client, *options.files, model=options.model)
        shutil.copyfile(result, options.output)
    except (AppError, OSError, ValueError, httpx.HTTPError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    sys.stdout.write(f"{options.output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
