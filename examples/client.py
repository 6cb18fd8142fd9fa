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


def fill(client: Client, photo: Path, mask: Path, **settings) -> tuple[Path, str]:
    """The filled photo, in its own format with its metadata, as a file; and what the page says about it, as HTML.

    Args:
        mask: a picture of the photo's size; white = repaint.
        settings: of the page's `/fill`, by name (`client.view_api()` lists them); otherwise the page's defaults, and a
            seed by chance.

    Raises:
        gradio_client.exceptions.AppError: the page refused, with its reason.
    """
    client.predict(handle_file(photo), api_name="/load_photo")  # the page keeps it for this client alone
    editor = client.predict(handle_file(mask), api_name="/load_mask")
    layers = [handle_file(layer) for layer in editor["layers"]]
    _, download, facts, *_ = client.predict(layers, api_name="/fill", **{"seed": "", **settings})
    return Path(download["value"] if isinstance(download, dict) else download), facts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("mask", type=Path, help="same size as the photo; white = repaint")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--page", default="http://127.0.0.1:7860", help="address, or a Space's name")
    parser.add_argument("--model", default="auto")
    options = parser.parse_args()
    client = Client(options.page, verbose=False)
    result, facts = fill(client, options.photo, options.mask, model=options.model)
    shutil.copyfile(result, options.output)
    sys.stdout.write(f"{options.output}\n{facts}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
