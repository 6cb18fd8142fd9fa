// Names of thumbnails for screen readers: Gradio calls them by their numbers, but what each is stands in its caption.
() => {
    function name() {
        for (const item of document.querySelectorAll("#steps .thumbnail-item, #many-photos .thumbnail-item")) {
            const caption = (item.querySelector(".caption-label") ?? item.parentElement.querySelector(".caption-label"))?.textContent.trim().replace("\n", ", ");
            if (caption && item.getAttribute("aria-label") !== caption) item.setAttribute("aria-label", caption);
        }
    }

    new MutationObserver(name).observe(document.querySelector("#work"), {childList: true, subtree: true, characterData: true});
}
