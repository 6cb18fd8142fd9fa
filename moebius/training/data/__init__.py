"""What training learns from: pictures, masks, latents, finished fills."""
