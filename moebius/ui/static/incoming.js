// How photos come in: chosen, dropped anywhere on the page, pasted, or one of the samples.
(page) => {
    const {canvas} = page, {find} = canvas;
    const PHOTO = /\.(jpe?g|png|webp|tiff?|heic|heif|hif|avif|bmp|gif)$/i;
    const many = () => Boolean(find("#many-tab-button[aria-selected=true]"));
    const isPhoto = (file) => file.type.startsWith("image/") || PHOTO.test(file.name);
    let incoming = null;

    /** Send a photo; what is there stays until the server has opened this one. */
    async function take(file) {
        page.say(`Reading ${file.name} …`);
        try {
            incoming = await page.upload(file, file.name);
            page.trigger("take");
        } catch (error) {
            page.say(error.message);
        }
    }

    /** As if they had been chosen there. */
    function give(input, files) {
        const chosen = new DataTransfer();
        for (const file of files) chosen.items.add(file);
        input.files = chosen.files;
        input.dispatchEvent(new Event("change", {bubbles: true}));
    }

    function takeAll(files) {
        const input = many() && find("#many-files input[type=file]");
        if (input) give(input, files);
        else if (files.length) take(files.find(isPhoto) ?? files[0]);
    }

    document.addEventListener("change", (event) => {
        if (event.target.id !== "photo-file") return;
        takeAll([...event.target.files]);
        event.target.value = "";
    });
    document.addEventListener("paste", (event) => {
        const file = [...(event.clipboardData?.files ?? [])].find(isPhoto);
        if (file) takeAll([file]);
    });
    const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let over = 0; // elements below the pointer that a file is dragged over
    const lit = (by) => {
        over = by ? Math.max(0, over + by) : 0;
        document.body.classList.toggle("dropping", over > 0);
    };
    document.addEventListener("dragenter", (event) => carries(event) && lit(1));
    document.addEventListener("dragleave", (event) => carries(event) && lit(-1));
    document.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
    document.addEventListener("drop", (event) => {
        if (!carries(event)) return;
        lit(0);
        event.preventDefault();
        event.stopImmediatePropagation();
        takeAll([...event.dataTransfer.files]);
    }, true);
    document.addEventListener("click", (event) => {
        const sample = event.target.closest("[data-sample]");
        if (!sample) return;
        page.sample = Number(sample.dataset.sample);
        page.say("Opening the sample …");
        page.trigger("take-sample");
    });

    page.files = {choose: () => find("#photo-file").click(), incoming: () => incoming};
}
