// How photos come in beside Gradio's own ways: pasted anywhere on the page, and as HEIC, which few browsers know.
() => {
    const HEIC = /\.(heic|heif|hif)$/i;
    const find = (selector) => document.querySelector(selector);
    const isUnknown = (file) => !file.type && HEIC.test(file.name);

    /** As if they had been chosen there. Gradio takes only files that the browser calls pictures, so HEIC gets its type. */
    function give(input, files) {
        const chosen = new DataTransfer();
        for (const file of files) {
            chosen.items.add(isUnknown(file) ? new File([file], file.name, {type: "image/heic"}) : file);
        }
        input.files = chosen.files;
        input.dispatchEvent(new Event("change", {bubbles: true}));
    }

    const photo = () => find("#photo input[type=file]");

    document.addEventListener("paste", (event) => {
        const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/") || isUnknown(one));
        const input = find("#many-tab-button[aria-selected=true]") ? find("#many-files input[type=file]") : photo();
        if (file && input) give(input, [file]);
    });
    document.addEventListener("change", (event) => {
        if (event.target !== photo() || ![...event.target.files].some(isUnknown)) return;
        event.stopImmediatePropagation();
        give(event.target, event.target.files);
    }, true);
    document.addEventListener("drop", (event) => {
        const files = [...(event.dataTransfer?.files ?? [])];
        if (!event.target.closest("#photo") || !files.some(isUnknown)) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        event.target.dispatchEvent(new DragEvent("dragleave", {bubbles: true})); // the frame is lit no more
        give(photo(), files);
    }, true);
    document.addEventListener("click", (event) => {
        // So that the dialog offers them; a phone turns them into JPEG by itself where it is not asked for them.
        if (event.target.closest("#photo") && photo() && matchMedia("(pointer: fine)").matches) {
            photo().accept = "image/*,.heic,.heif,.hif";
        }
    }, true);
}
