"""Many photos: paired with masks, filled, recorded so that a stopped batch resumes."""
