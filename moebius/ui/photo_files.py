"""Photo files of visitors: opened and written in a process of their own, see `moebius.photo.worker`."""

from __future__ import annotations

from moebius.photo.worker import PhotoWorker

WORKER = PhotoWorker()
"""Of the whole page; it is started by `app.py`, or by the first file."""

open_photo = WORKER.open_photo
open_mask = WORKER.open_mask
encode_photo = WORKER.encode_photo
