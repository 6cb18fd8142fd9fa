// What can be made of a result: variants to choose from, and a brush that paints the original back. The server makes the
// file anew after each stroke; until it has, nothing can be downloaded.
(page) => {
    const {canvas, state, masks} = page, {find} = canvas;
    let on = false, sending = null; // sending: the result whose file is being made
    const body = document.body.classList;

    // ---- the restore brush ----

    const active = () => on && state.shown && !state.busy;

    function toggle() {
        on = !on;
        canvas.set({wipe: null});
        find("#restore-line").textContent = on ? "Paint where the original should be seen again; the eraser takes that away." : "";
    }

    /** What is restored of the result that is shown, to paint on. */
    function layer() {
        const {result} = state;
        if (!result.restored) {
            result.restored = new Uint8Array(state.width * state.height);
            result.history = new masks.History(result.restored);
            result.cover = Object.assign(document.createElement("canvas"), {width: state.width, height: state.height});
        }
        return result.restored;
    }

    /** Show the original where it is restored, in a box. */
    function uncover([left, top, right, bottom]) {
        const {before, cover, restored} = state.result, context = cover.getContext("2d");
        context.clearRect(left, top, right - left, bottom - top);
        const mask = new ImageData(right - left, bottom - top);
        for (let y = top, at = 3; y < bottom; y++) {
            for (let x = left; x < right; x++, at += 4) mask.data[at] = 255 * restored[y * state.width + x];
        }
        context.putImageData(mask, left, top);
        context.save();
        context.beginPath();
        context.rect(left, top, right - left, bottom - top);
        context.clip();
        context.globalCompositeOperation = "source-in";
        context.drawImage(before, 0, 0, state.width, state.height);
        context.restore();
        canvas.draw();
    }

    /** Another state of what is restored. */
    function put(restored) {
        state.result.restored = restored;
        uncover([0, 0, state.width, state.height]);
    }

    function commit() {
        if (state.result.history.add(state.result.restored)) send();
    }

    /** One step back or forth; false: there is none. */
    function step(name) {
        const restored = on && state.result?.history?.[name]();
        if (!restored) return false;
        put(restored);
        send();
        return true;
    }

    const steps = (name) => (on && state.result?.history?.[name].length) || 0;

    function send() {
        const idle = !sending;
        sending = {result: state.result, as: state.result.history.now};
        pending(true);
        if (idle) page.trigger("restore-ask");
    }

    const layers = () => page.layers(masks.unpack(sending.as, state.width * state.height));

    /** `files`: pictures before and after, of the file that is there now. */
    async function restored(files) {
        const {result, as} = sending;
        sending = null;
        if (state.result === result && result.history.now !== as) return send(); // painted on meanwhile
        pending(false);
        const after = files?.length === 2 && (await page.picture(files[1]));
        if (after) result.after = after;
        canvas.draw();
    }

    function failed() {
        sending = null;
        pending(false);
    }

    function pending(now) {
        body.toggle("restoring", now);
        find("#restore-line").textContent = now ? "Writing the file …" : on ? "Restored; the file is written." : "";
    }

    document.addEventListener("click", (event) => {
        if (!sending || !event.target.closest("#download, [data-do=patch]")) return;
        event.preventDefault();
        event.stopImmediatePropagation();
    }, true);

    // ---- variants ----

    let variants = [];

    /** `files`: pictures of the photo and of each result of the same mask. */
    async function varied(files) {
        const {result} = state, mask = result?.mask;
        const [, ...afters] = await Promise.all((files ?? []).map(page.picture));
        if (state.result !== result || !mask) return;
        if (afters.length > 1) variants = afters.map((after, at) => (at ? {before: result.before, after, mask} : result));
        canvas.show(true);
    }

    function choose(index) {
        if (!variants[index] || sending) return;
        state.result = variants[index];
        canvas.show(true);
        page.variant = index;
        page.trigger("variant-ask");
    }

    /** Which of the variants is shown; none: there are no variants. */
    function shown() {
        if (!variants.includes(state.result)) variants = [];
        return {count: variants.length, at: variants.indexOf(state.result)};
    }

    const off = () => on && toggle();

    page.results = {toggle, off, active, layer, uncover, put, commit, step, steps, layers, restored, failed, varied, choose, shown, restoring: () => on};
}
