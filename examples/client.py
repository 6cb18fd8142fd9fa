"""Fill a hole by a running page, from a script: `python examples/client.py photo.jpg mask.png -o filled.jpg`.

The page may run here (`python app.py`) or be a Space: `--page http://127.0.0.1:7860`, `--page user/space`. Needs
`pip install gradio_client` and nothing of this repository.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from gradio_client import Client, handle_file


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("mask", type=Path, help="same size as the photo; white = repaint")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--page", default="http://127.0.0.1:7860", help="address, or a Space's name")
    parser.add_argument("--model", default="auto")
    options = parser.parse_args()
    client = Client(options.page, verbose=False)
    shutil.copyfile(fill(client, options.photo, options.mask, model=options.model), options.output)
    sys.stdout.write(f"{options.output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
