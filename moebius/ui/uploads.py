"""What callers may send as a file: what they uploaded.

An address would be fetched by the server, of any size and before our limits look at it.
"""

from __future__ import annotations

import gradio as gr

from moebius.photo import photo_file
from moebius.units import memory_size

UPLOADED = "/gradio_api/file="
"""In the address that Gradio gives an uploaded file, before its path."""
REFUSED = "addresses of files are not fetched here; upload the file, or give it as data:…;base64,…"


def keep_local(inputs: list) -> None:
    """Take files that were uploaded by their paths, in place, and refuse others.

    Args:
        inputs: of a call, as JSON has them. A file is an object with a `path`; that of an uploaded one may also be its
            address, which agents are given. Gradio then checks that it lies in the upload folder.

    Raises:
        gr.Error: a file is given by another address.
    """
    todo = [inputs]
    while todo:  # no recursion: callers choose the depth
        node = todo.pop()
        if isinstance(node, dict):
            path = node.get("path")
            if isinstance(path, str) and path.lower().startswith(("http://", "https://")):
                if UPLOADED not in path:
                    raise gr.Error(REFUSED, title="That did not work", print_exception=False)
                node["path"] = path.split(UPLOADED, 1)[1]
            todo += node.values()
        elif isinstance(node, list | tuple):
            todo += node


def check_data(arguments: object) -> None:
    """Raises ValueError where a `data:` URL among an agent's arguments holds more than `photo_file.max_bytes`."""
    limit = photo_file.max_bytes()
    todo = [arguments]
    while todo:
        node = todo.pop()
        if isinstance(node, dict | list):
            todo += node.values() if isinstance(node, dict) else node
        elif isinstance(node, str) and node.startswith("data:"):
            size = (len(node) - node.find(",") - 1) * 3 // 4
            if size > limit:
                raise ValueError(f"the file has about {memory_size(size)}; at most {memory_size(limit)} are taken here")
