// Between canvas and server: photos and results come in, the mask goes out. Gradio's hidden buttons carry it.
(page) => {
    const {canvas, state, tools} = page, {find} = canvas;
    const PAUSE_MS = 700;
    let serial = 0, keeping = null, opening = null, arriving = null, stopped = false, waiting = 0, runs = 0;

    /** Press one of the buttons that nobody sees. */
    const trigger = (id) => (find(`#${id} button`) ?? find(`#${id}`)).click();

    const say = (text) => (find("#note").textContent = text);

    const {root, api_prefix: prefix = ""} = window.gradio_config;
    const served = (path) => ({url: `${root}${prefix}/file=${path}`});

    /** A file of the server's as a picture. */
    async function picture(file) {
        const image = Object.assign(new Image(), {src: file.url});
        await image.decode();
        return image;
    }

    /** A mask's picture as a mask: what is not transparent. */
    async function pixels(file, of = (data, at) => data[4 * at + 3] > 0) {
        const image = await picture(file), {width, height} = state;
        if (image.naturalWidth !== width || image.naturalHeight !== height) return null;
        const context = Object.assign(document.createElement("canvas"), {width, height}).getContext("2d");
        context.drawImage(image, 0, 0);
        const {data} = context.getImageData(0, 0, width, height);
        return Uint8Array.from({length: width * height}, (_, at) => (of(data, at) ? 1 : 0));
    }

    // ---- in ----

    /** Show what the server says is there: another picture, another mask, or none. */
    function open(scene) {
        if (!scene) return canvas.close();
        if (scene.serial !== serial) opening = bring(scene);
    }

    async function bring(scene) {
        serial = scene.serial;
        const before = state.scene;
        if (keeping && scene.kept) { // it is shown already, and may have been painted on
            state.scene = scene;
            settled();
            return page.refresh();
        }
        if (!before || before.picture !== scene.picture) {
            const photo = await picture(served(scene.photo));
            if (serial !== scene.serial) return;
            document.body.classList.remove("compared");
            canvas.open(scene, photo);
            stopped = false;
            if (scene.many) canvas.stage().scrollIntoView({block: "nearest"});
            if (before?.size.join() !== scene.size.join()) tools.firstSize();
        }
        state.scene = scene;
        const mask = scene.mask && (await pixels(served(scene.mask)));
        if (mask && serial === scene.serial) {
            canvas.replace(mask);
            state.given = state.history.now;
            if (before?.picture !== scene.picture) state.history.past = []; // it came with the photo
        }
        say("");
        page.refresh();
        canvas.element().focus({preventScroll: true});
    }

    /** A result over the photo that it was made of. */
    const result = (files) => (arriving = bringResult(files));

    async function bringResult(files) {
        await opening;
        if (stopped || files?.length !== 2) return;
        const {scene} = state, [before, after] = await Promise.all(files.map(picture));
        if (scene !== state.scene) return; // another photo came meanwhile
        canvas.showResult(before, after);
        canvas.stage().scrollIntoView({block: "nearest"});
        canvas.element().focus({preventScroll: true});
    }

    /** What was made before, unless the visitor has begun meanwhile. */
    async function known(files) {
        await opening;
        if (!state.busy && !state.history?.past.length) await result(files);
    }

    /** Painting on a result takes it as the photo; the server is told, and nothing is sent before it has answered. */
    function keepResult() {
        if (state.scene.many) return canvas.show(false); // there the photo is filled again
        canvas.keep();
        page.kept = new Promise((done) => (keeping = done));
        trigger("again");
    }

    /** The server has answered, or cannot. */
    function settled() {
        keeping?.();
        keeping = null;
    }

    // ---- out ----

    function upload(blob, name) {
        const form = new FormData();
        form.append("files", blob, name);
        return fetch(`${root}${prefix}/upload`, {method: "POST", body: form}).then(async (answer) => {
            if (!answer.ok) throw new Error(answer.status === 413 ? "The file is too large for this page." : `The file could not be sent (${answer.status}).`);
            const [path] = await answer.json();
            return {path, ...served(path), orig_name: name, size: blob.size, mime_type: blob.type, meta: {_type: "gradio.FileData"}};
        });
    }

    /** What is painted, or another mask, as a file on the server: for Gradio, as the value of a `gr.File`. */
    async function layers(other = null) {
        await page.kept;
        await opening;
        if (!state.photo) return [];
        const {width, height} = state, mask = other ?? state.mask;
        const image = new ImageData(width, height), target = Object.assign(document.createElement("canvas"), {width, height});
        mask.forEach((one, at) => one && image.data.set([255, 82, 66, 140], 4 * at));
        target.getContext("2d").putImageData(image, 0, 0);
        const blob = await new Promise((done) => target.toBlob(done, "image/png"));
        return [await upload(blob, "layer.png")];
    }

    // ---- while it works ----

    /** The list of many photos follows the brush. */
    function edited() {
        clearTimeout(waiting);
        if (state.scene?.many) waiting = setTimeout(() => state.scene?.many && trigger("many-painted"), PAUSE_MS);
    }

    /** A button that is about to vanish hands the focus on. */
    function passFocus() {
        if (document.activeElement?.closest("#go, #stop, #compare-go, #compare-stop")) canvas.element().focus({preventScroll: true});
    }

    function busy() {
        stopped = false;
        runs++;
        passFocus();
        clearTimeout(waiting);
        canvas.set({busy: true, shown: false, wipe: null, held: false, cursor: null});
    }

    /** The columns come into sight. */
    function compare() {
        document.body.classList.add("compared");
        find("#compared").scrollIntoView({behavior: calm() ? "auto" : "smooth"});
    }

    const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
    /** Once the result is there: the mask is not seen red again meanwhile. */
    async function idle() {
        const run = runs;
        await arriving?.catch(() => {});
        if (run === runs) canvas.set({busy: false});
    }

    function stop() {
        stopped = true;
        passFocus();
        canvas.set({busy: false});
    }

    Object.assign(page, {open, result, known, keepResult, settled, trigger, edited, upload, layers, busy, idle, stop, compare, say, picture, pixels, kept: null});
}
