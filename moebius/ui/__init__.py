"""The page: Gradio parts around the library. Only this package and `app.py` import gradio."""
