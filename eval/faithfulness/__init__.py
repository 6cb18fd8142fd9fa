"""What programs do to a photo file beside the hole: `python -m eval faithfulness`."""
