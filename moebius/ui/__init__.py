"""The page: Gradio parts around the library. Only this package imports gradio."""
