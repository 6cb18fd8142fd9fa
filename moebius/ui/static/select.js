// A click that selects an object: its place goes to the server, and the mask that comes back is added to what is
// painted, or taken away.
//
// It needs gradio_editor.js. Gradio's hidden button #select-ask sends `place()`, and its answer comes to `found` or `failed`.
() => {
    const STILL_PX = 8; // so far a finger may move while it taps
    const editor = window.moebiusEditor;
    const find = (selector) => document.querySelector(selector);
    const button = () => find("#mask-tools [data-do=select]");
    const on = () => button()?.getAttribute("aria-pressed") === "true";
    const say = (text) => (find("#select-said").textContent = text);

    const clicks = []; // not answered yet; the first is being looked for
    let down = null; // where the mouse or the only finger went down

    function turn(wanted) {
        button().setAttribute("aria-pressed", String(wanted));
        editor.showCursor(!wanted);
        say("");
    }

    function ask() {
        say(clicks.length > 1 ? `Looking for ${clicks.length} objects…` : "Looking for the object…");
        find("#select-ask").click();
    }

    function clicked(event) {
        const at = editor.inside(event);
        if (!at) return;
        const erase = event.altKey || event.shiftKey || editor.erases();
        clicks.push({...at, erase, picture: editor.picture()});
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
        const {erase, picture} = clicks[0], size = editor.size();
        const object = size && picture === editor.picture() ? await pixels(file, size.width, size.height) : null;
        if (object && picture === editor.picture()) {
            const put = erase ? (one, at) => one & (1 - object[at]) : (one, at) => one | object[at];
            await editor.replace(editor.mask().map(put));
            const share = (100 * object.reduce((sum, one) => sum + one, 0)) / object.length;
            say(`${erase ? "Removed" : "Added"}: ${share < 1 ? "less than 1" : Math.round(share)} % of the photo.`);
        } else say("");
        clicks.shift();
        if (clicks.length) ask();
    }

    function failed() {
        clicks.length = 0;
        say("");
    }

    document.addEventListener("click", (event) => event.target.closest("#mask-tools [data-do=select]") && turn(!on()));

    const painting = (event) => on() && event.target.matches?.("#brush canvas") && editor.size();
    document.addEventListener("pointerdown", (event) => {
        if (!painting(event)) return;
        event.stopPropagation(); // nothing is painted
        down = event.isPrimary && event.button === 0 ? event : null; // a second finger zooms
    }, true);
    document.addEventListener("pointermove", (event) => painting(event) && editor.showCursor(false), true);
    document.addEventListener("pointerup", (event) => {
        const from = down;
        if (!painting(event) || !from || from.pointerId !== event.pointerId) return;
        down = null;
        if (Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) <= STILL_PX) clicked(event);
    }, true);

    window.moebiusSelect = {place: () => [clicks[0].x, clicks[0].y], found, failed, waiting: () => clicks.length};
}
