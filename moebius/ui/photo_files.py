"""Photo files of visitors: opened and written in processes of their own, see `moebius.photo.worker`."""

from __future__ import annotations

from moebius.photo import worker

WORKERS = worker.shared()
"""Of the whole page; the first is started by `app.py`, or by the first file."""

open_photo = WORKERS.open_photo
open_mask = WORKERS.open_mask
encode_photo = WORKERS.encode_photo
