"""How the page looks: Gradio's plain theme in warm greys, the visitor's own fonts, and `style.css`."""

from __future__ import annotations

import gradio as gr

from moebius.files import packaged

STYLE = packaged("ui", "static", "style.css")


def make_theme() -> gr.themes.Base:
    """Only fonts of the visitor's computer, so that nothing is fetched from elsewhere."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    )
    return theme.set(
        body_background_fill="*neutral_100",
        body_background_fill_dark="#161412",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#211e1b",
        background_fill_secondary="*neutral_50",
        background_fill_secondary_dark="#292522",
        block_background_fill="#ffffff",
        block_background_fill_dark="#211e1b",
        block_border_color="*neutral_200",
        block_border_color_dark="#36312d",
        border_color_primary_dark="#36312d",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_text_color="*neutral_500",
        block_title_text_weight="600",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_hover="*neutral_50",
        button_secondary_background_fill_dark="#292522",
        button_secondary_background_fill_hover_dark="#36312d",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="#4a443f",
        button_border_width="1px",
        button_large_text_weight="600",
        input_background_fill="*neutral_50",
        input_background_fill_dark="#292522",
        slider_color="*primary_600",
    )
