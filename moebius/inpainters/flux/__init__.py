"""FLUX.1 Fill as an `Inpainter`: [dev] on this computer, [pro] hosted by its maker."""
