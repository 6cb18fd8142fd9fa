"""Networks fused for inference: the same functions with constants folded in, channels last."""
