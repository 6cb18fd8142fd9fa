// A click that selects an object: its place goes to the server, and the mask that comes back is added to what is
// painted, or taken away.
//
// It needs brush.js. Gradio's hidden button #select-ask sends `place()`, and its answer comes to `found` or `failed`.
() => {
    const STILL_PX = 8; // so far a finger may move while it taps
    const find = (selector) => document.querySelector(selector);
    const button = () => find("#mask-tools [data-do=select]");
    const on = () => button()?.getAttribute("aria-pressed") === "true";
    const say = (text) => (find("#select-said").textContent = text);

    const clicks = []; // not answered yet; the first is being looked for
    let down = null; // where the mouse or the only finger went down

    function turn(wanted) {
        button().setAttribute("aria-pressed", String(wanted));
        moebius.tool("brush")?.brush_cursor?.set_active(!wanted);
        say("");
    }

    /** Where in the picture, as shares of its width and height; null: beside it. */
    function inside(event) {
        const {app, width, height, image_container} = moebius.editor();
        const {left, top} = app.canvas.getBoundingClientRect();
        const pixel = image_container.toLocal({x: event.clientX - left, y: event.clientY - top});
        const at = {x: pixel.x / width, y: pixel.y / height};
        return Math.min(at.x, at.y) >= 0 && Math.max(at.x, at.y) < 1 ? at : null;
    }

    /** By which a picture is told from the next: each has layers of its own. */
    const picture = () => moebius.editor()?.layer_manager.get_layers().map((layer) => layer.id).join();

    function ask() {
        say(clicks.length > 1 ? `Looking for ${clicks.length} objects…` : "Looking for the object…");
        find("#select-ask").click();
    }

    function clicked(event) {
        const at = inside(event);
        if (!at) return;
        const erase = event.altKey || event.shiftKey || moebius.tool("brush")?.state.mode === "erase";
        clicks.push({...at, erase, picture: picture()});
        if (clicks.length === 1) ask();
    }

    async function pixels(file, width, height) {
        const image = Object.assign(new Image(), {src: file.url});
        await image.decode();
        if (image.naturalWidth !== width || image.naturalHeight !== height) return null;
        const canvas = Object.assign(document.createElement("canvas"), {width, height});
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        const {data} = context.getImageData(0, 0, width, height);
        return new Uint8Array(width * height).map((_, at) => (data[4 * at] > 127 ? 1 : 0));
    }

    async function found(file) {
        const {erase, picture: of} = clicks[0], editor = moebius.editor();
        const object = editor && of === picture() ? await pixels(file, editor.width, editor.height) : null;
        if (object && of === picture()) {
            const put = erase ? (one, at) => one & (1 - object[at]) : (one, at) => one | object[at];
            await moebius.replace(moebius.mask().map(put));
            const share = (100 * object.reduce((sum, one) => sum + one, 0)) / object.length;
            say(`${erase ? "Taken away" : "Added"}: ${share < 1 ? "less than 1" : Math.round(share)} % of the photo.`);
        } else say("");
        clicks.shift();
        if (clicks.length) ask();
    }

    function failed() {
        clicks.length = 0;
        say("");
    }

    document.addEventListener("click", (event) => event.target.closest("#mask-tools [data-do=select]") && turn(!on()));

    const painting = (event) => on() && event.target.matches?.("#brush canvas") && moebius.editor();
    document.addEventListener("pointerdown", (event) => {
        if (!painting(event)) return;
        event.stopPropagation(); // nothing is painted
        down = event.isPrimary && event.button === 0 ? event : null; // a second finger zooms
    }, true);
    document.addEventListener("pointermove", (event) => painting(event) && moebius.tool("brush").brush_cursor.set_active(false), true);
    document.addEventListener("pointerup", (event) => {
        const from = down;
        if (!painting(event) || !from || from.pointerId !== event.pointerId) return;
        down = null;
        if (Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) <= STILL_PX) clicked(event);
    }, true);

    window.moebiusSelect = {place: () => [clicks[0].x, clicks[0].y], found, failed, waiting: () => clicks.length};
}
