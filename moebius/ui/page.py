"""The page: one large canvas; the tabs say whether it is for one photo or for many."""

from __future__ import annotations

import atexit
from pathlib import Path

import gradio as gr

from moebius import environment
from moebius.photo import photo_file
from moebius.ui import html, theme
from moebius.ui.batch.filling import FillActions
from moebius.ui.batch.page import batch_files, batch_panel, wire_batch
from moebius.ui.compare.actions import CompareActions
from moebius.ui.compare.page import comparison_panel, wire_compare
from moebius.ui.components import page_script
from moebius.ui.edit import EditActions, EditedFile, save_button, wire_edit
from moebius.ui.fill.actions import Actions
from moebius.ui.fill.page import photo_panel, result_panel, wire_fill
from moebius.ui.fill.proposals import ProposalActions, wire_proposals
from moebius.ui.fill.select import SelectActions, wire_select
from moebius.ui.gradio_internals import Page, document_only
from moebius.ui.http_api import ENDPOINTS, SCRIPTED, Tools, forget_sent, wire_tools
from moebius.ui.results import results_tab
from moebius.ui.session import IDLE_S, MAX_SESSIONS
from moebius.ui.vote import is_on, vote_tab


def build_app(weights_folder: Path | None = None, edited: EditedFile | None = None) -> gr.Blocks:
    """The whole page, not yet served.

    Args:
        weights_folder: as `registry.LoadOptions.weights`.
        edited: the photo that it opens with and writes over; None: there is none.
    """
    actions = Actions(weights_folder)
    compare_actions = CompareActions(actions)
    atexit.register(actions.sessions.close_all)
    actions.sessions.keep_forgetting(also=forget_sent)
    with Page(title="Moebius", analytics_enabled=False, delete_cache=(600, IDLE_S)) as page:
        gr.HTML(html.HEADER, elem_id="header", padding=False)
        if environment.SPACE_ID.read():
            gr.DuplicateButton(elem_id="duplicate")
        save = save_button() if edited else None
        with gr.Row(elem_id="work", equal_height=False):
            with gr.Tabs(elem_id="tabs"):
                with gr.Tab("One photo", elem_id="fill-tab"):
                    result = result_panel()
                with gr.Tab("Many photos", elem_id="many-tab"):
                    batch = batch_panel()
                with gr.Tab("Results", elem_id="results-tab"):
                    results_tab(page)
                if is_on():
                    with gr.Tab("Vote", elem_id="vote-tab"):
                        vote_tab(page)
            with gr.Column(elem_id="photo-side", min_width=300):
                files = batch_files()
                photo = photo_panel()
            comparison = comparison_panel()

        wire_fill(page, actions, photo, result)
        wire_batch(FillActions(actions), files, batch, photo)
        wire_select(page, SelectActions(actions), photo.select)
        wire_proposals(ProposalActions(actions.options, actions.sessions), photo)
        wire_compare(page, compare_actions, photo, result, comparison)
        page.load(None, js=page_script())
        if edited and save:
            wire_edit(page, EditActions(actions, edited), photo, save)
        else:
            page.unload(actions.leave)
        wire_tools(Tools(actions, compare_actions))
        document_only(page, (*ENDPOINTS, *SCRIPTED))
    return page


def launch_options() -> dict:
    """What `launch` needs for the page besides an address."""
    return {
        "theme": theme.make_theme(),
        "css_paths": theme.STYLE,
        "max_file_size": photo_file.max_bytes(),
        # Gradio keeps the page's whole configuration for every visitor, 0.2 MB, and by default for the last 10,000
        "state_session_capacity": MAX_SESSIONS,
        "footer_links": [],
        "run_history": False,
        "show_error": True,  # what Gradio refuses by itself is told as well; our own errors are plain in any case
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": True,
        "enable_monitoring": False,
    }
