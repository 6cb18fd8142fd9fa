"""What the page says about many photos, as HTML. Pure functions; whatever comes from outside is escaped."""

from __future__ import annotations

from html import escape

from moebius import environment
from moebius.photo import photo_file
from moebius.ui.batch.entry import Entry
from moebius.ui.batch.photo_batch import UNPAINTED, PhotoBatch
from moebius.ui.html import without_folders
from moebius.units import counted, memory_size

STEPS = """
<ol class="steps"><li><b>Drop your photos</b><span>Masks too, if you have them: IMG_1_mask.png for IMG_1.jpg, white =
repaint.</span></li>
<li><b>Paint over what should go</b><span>Once for all, as with a camera on a tripod, or on each photo.</span></li>
<li><b>Press Fill all</b><span>You get a ZIP: same sizes, same formats, changed only where you painted.</span></li></ol>
"""

MASK_FOR = [("One for all photos", "all"), ("Each photo its own", "each")]
MASK_FOR_INFO = "One for all fits photos of the same size. A photo with a mask of its own, or a mask file, keeps it."


def limits() -> str:
    """What may be dropped."""
    return (
        f"<p class='about'>Up to {environment.MAX_BATCH.read():,} photos of {memory_size(photo_file.max_bytes())}, "
        f"together {memory_size(environment.MAX_BATCH_BYTES.read())}. They are deleted when you close the page.</p>"
    )


def caption(batch: PhotoBatch, entry: Entry) -> str:
    """Name and state of a photo in the list, two lines of text."""
    return f"{entry.name}\n{_state(batch, entry)}"


def heading(batch: PhotoBatch, model_line: str = "") -> str:
    """How far it is, what failed. `model_line`: the model's line, as HTML."""
    listed = batch.listed()
    if not listed:
        return STEPS
    tally = batch.tally
    if tally is None or (not batch.running and all(entry.outcome is None for entry in listed)):
        ready = sum(batch.mask_of(entry)[0] is not None for entry in listed)
        text = f"<b>{counted(len(listed), 'photo')}</b>, {'all' if ready == len(listed) else ready} with a mask."
        if ready < len(listed):
            text += " Click one to paint on it."
        missing = [entry for entry in listed if entry.refused or _has_wrong_mask(batch, entry)]
    elif batch.running:
        text = f"<b>{tally.place} of {tally.total} done</b>, {tally.left()}."
        missing = [entry for entry in listed if entry.outcome and entry.outcome.state == "failed"]
    else:
        filled = len(batch.results())
        skipped = [entry for entry in listed if entry.outcome is None and batch.why_skipped(entry)]
        text = f"<b>{filled} of {counted(len(listed) - len(skipped), 'photo')} filled.</b>"
        if tally.place < tally.total:
            text += " Stopped; Fill all resumes with the rest."
        elif tally.finished:
            text += f" {tally.finished} were finished before and left as they are."
        if skipped:
            text += f" {len(skipped)} skipped: no mask."
        missing = [entry for entry in listed if entry.outcome and entry.outcome.state == "failed"]
        missing += [entry for entry in skipped if batch.why_skipped(entry) not in UNPAINTED]
    if batch.shared and batch.shared.name and batch.mask_for == "all":
        text += f" Mask for all: {escape(batch.shared.name)}."
    reasons = "".join(f"<li>{escape(_reason(batch, entry))}</li>" for entry in missing)
    failed = f"<ul class='failed'>{reasons}</ul>" if reasons else ""
    return f"<div class='facts' role='status'><p>{text} {model_line}</p>{failed}</div>"


def model_line(title: str, seed: int | None) -> str:
    """The model of a run."""
    return f"Model: <b>{escape(title)}</b>{'' if seed is None else f', seed {seed}'}."


def _state(batch: PhotoBatch, entry: Entry) -> str:
    mask, why = batch.mask_of(entry)
    skipped = batch.why_skipped(entry)
    if entry.refused or entry.outcome and entry.outcome.state == "failed":
        return "✗ failed"
    if entry.outcome:
        return "✓ filled" if entry.outcome.item.mask == mask else "✓ filled · mask changed"
    if skipped and (batch.running or batch.results()):
        return "skipped: no mask" if why in UNPAINTED else "skipped: another size"
    if batch.running:
        return "waiting"
    if _has_wrong_mask(batch, entry):
        return "✗ mask does not fit"
    if mask is None:
        return "no mask" if why in UNPAINTED else "another size"
    if entry.painted:
        return "✓ painted"
    return "✓ own mask" if batch.has_own(entry) else "✓ mask"


def _has_wrong_mask(batch: PhotoBatch, entry: Entry) -> bool:
    """Whether a mask file came for it that cannot be used."""
    return batch.mask_of(entry)[0] is None and not batch.why_skipped(entry)


def _reason(batch: PhotoBatch, entry: Entry) -> str:
    if _has_wrong_mask(batch, entry) and entry.outcome is None:
        text = batch.mask_of(entry)[1]
    else:
        text = entry.refused or batch.why_missing(entry)
    text = without_folders(text)
    return text if text.startswith(entry.name) else f"{entry.name}: {text}"
