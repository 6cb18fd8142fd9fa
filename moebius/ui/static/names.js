// What Gradio leaves unsaid. Names of thumbnails for screen readers: it calls them by their numbers, but what each is
// stands in its caption. Radios as one group each, in which arrow keys move. Commands in messages as commands.
(page) => {
    function name() {
        for (const item of document.querySelectorAll("#steps .thumbnail-item, #many-photos .thumbnail-item")) {
            const caption = (item.querySelector(".caption-label") ?? item.parentElement.querySelector(".caption-label"))?.textContent.trim().replace("\n", ", ");
            if (caption && item.getAttribute("aria-label") !== caption) item.setAttribute("aria-label", caption);
        }
        page.markUnpainted();
        for (const group of ["model", "mask-for"]) {
            for (const radio of document.querySelectorAll(`#${group} input[type=radio]`)) radio.name = group;
        }
        for (const text of document.querySelectorAll('[data-testid="toast-text"]')) {
            if (text.textContent.includes("`")) text.innerHTML = text.innerHTML.replace(/`([^`]+)`/g, "<code>$1</code>");
        }
    }

    new MutationObserver(name).observe(document.body, {childList: true, subtree: true, characterData: true});
    name();
}
