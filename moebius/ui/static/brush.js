// What Gradio's image editor lacks: brush sizes, changes of the whole mask that can be undone, keys, two fingers.
//
// It needs gradio_editor.js. Masks are Uint8Array, 1 = repaint, row by row.
() => {
    const STEP = 1.25, SMALLEST = 1, FIRST_SHARE = 1 / 20, LARGEST_SHARE = 1 / 3, GROW_SHARE = 1 / 200;
    const ONE_PIXEL = 0.71; // the least radius of a disc that holds the middle of some pixel wherever it lies
    const editor = window.moebiusEditor;
    const find = (selector) => document.querySelector(selector);
    const shown = (element) => Boolean(element && element.offsetParent !== null);
    const short = () => Math.min(editor.size().width, editor.size().height);

    // ---- masks, pure ----

    /** Every pixel within `radius` of the mask, by Euclid; beyond the picture's edge is nothing. */
    function grow(mask, width, height, radius) {
        const far = radius + 1, along = new Uint16Array(mask.length).fill(far); // distance within the column
        for (let x = 0; x < width; x++) {
            for (let y = 0, last = far; y < height; y++) {
                last = mask[y * width + x] ? 0 : Math.min(far, last + 1);
                along[y * width + x] = last;
            }
            for (let y = height - 1, last = far; y >= 0; y--) {
                last = mask[y * width + x] ? 0 : Math.min(far, last + 1);
                along[y * width + x] = Math.min(last, along[y * width + x]);
            }
        }
        const out = new Uint8Array(mask.length);
        for (let y = 0; y < height; y++) {
            for (let x = 0; x < width; x++) {
                const from = Math.max(0, x - radius), to = Math.min(width - 1, x + radius);
                for (let at = from; at <= to && !out[y * width + x]; at++) {
                    const rows = along[y * width + at];
                    if (rows < far && rows * rows + (at - x) * (at - x) <= radius * radius) out[y * width + x] = 1;
                }
            }
        }
        return out;
    }

    const invert = (mask) => mask.map((one) => 1 - one);
    const CHANGES = {
        grow: (mask, width, height, radius) => grow(mask, width, height, radius),
        shrink: (mask, width, height, radius) => invert(grow(invert(mask), width, height, radius)),
        invert,
        clear: (mask) => new Uint8Array(mask.length),
    };

    function change(name) {
        const picture = editor.size();
        if (picture) editor.replace(CHANGES[name](editor.mask(), picture.width, picture.height, growth()));
    }

    const growth = () => Math.max(1, Math.round(short() * GROW_SHARE));

    // ---- the brush's size, a diameter in pixels of the picture that is painted on ----

    let diameter = 0, of = "";
    const largest = () => Math.max(SMALLEST, Math.round(short() * LARGEST_SHARE));

    function size(wanted) {
        if (!editor.size() || !editor.hasBrush()) return;
        const picture = `${editor.size().width}×${editor.size().height}`;
        if (picture !== of) diameter = Math.max(SMALLEST, Math.round(short() * FIRST_SHARE));
        of = picture;
        if (wanted) diameter = Math.round(Math.min(largest(), Math.max(SMALLEST, wanted)));
        editor.setBrush(Math.max(ONE_PIXEL, diameter / 2));
        const slider = find("#brush-size");
        slider.value = largest() > 1 ? (100 * Math.log(diameter)) / Math.log(largest()) : 0;
        slider.setAttribute("aria-valuetext", `${diameter} pixels`);
        find("#brush-size + output").textContent = `${diameter} px`;
    }

    const larger = () => size(Math.max(diameter + 1, diameter * STEP));
    const smaller = () => size(Math.min(diameter - 1, diameter / STEP) || SMALLEST);

    // ---- the original over the result ----

    const hold = (on) => find("#slider")?.classList.toggle("original", on);

    editor.watch(() => size()); // a brush that suits the picture, and says how large it is

    // ---- events ----

    const press = (selector) => shown(find(selector)) && find(selector).click();
    const KEYS = {
        "[": smaller,
        "]": larger,
        b: () => press('#brush button[aria-label="Brush"]'),
        e: () => press('#brush button[aria-label="Erase"]'),
        s: () => press("#mask-tools [data-do=select]"),
        x: () => editor.show(editor.hidden()),
        i: () => change("invert"),
        "+": () => change("grow"),
        "-": () => change("shrink"),
        Enter: () => press("#go button, button#go") || press("#compare-go button, button#compare-go") || press("#many-go button, button#many-go"),
        Escape: () => press("#stop button, button#stop") || press("#compare-stop button, button#compare-stop") || press("#many-stop button, button#many-stop"),
        " ": () => hold(true),
    };

    /** Whether a key belongs to what has the focus. */
    function taken(event) {
        const at = event.target;
        if (at.isContentEditable || at.matches("textarea, select, [role=textbox], [role=combobox], [role=listbox]")) return true;
        if (at.matches("input:not([type=range], [type=radio], [type=checkbox], [type=file])")) return true;
        return ["Enter", " "].includes(event.key) && at.matches("button, a, summary, input, label, [role], [tabindex]");
    }

    document.addEventListener("keydown", (event) => {
        if (taken(event) || event.altKey || !shown(find("#paint"))) return;
        const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
        if (event.ctrlKey || event.metaKey) {
            const back = key === "z" && !event.shiftKey, forth = key === "y" || (key === "z" && event.shiftKey);
            if (back) editor.undo();
            if (forth) editor.redo();
            if (back || forth) event.preventDefault();
        } else if (KEYS[key] && !(event.repeat && !"[]+-".includes(key))) {
            event.preventDefault();
            KEYS[key]();
        } else if (key === " ") event.preventDefault();
    });
    document.addEventListener("keydown", (event) => {
        if (!["Delete", "Backspace"].includes(event.key) || !event.target.closest?.("#many-photos .thumbnail-item.selected")) return;
        event.preventDefault();
        press("#many-remove button, button#many-remove");
    });
    document.addEventListener("keyup", (event) => event.key === " " && hold(false));
    window.addEventListener("blur", () => hold(false));

    document.addEventListener("click", (event) => {
        const name = event.target.closest("#mask-tools [data-do]")?.dataset.do;
        if (name === "hide") editor.show(editor.hidden());
        else if (CHANGES[name]) change(name);
    });
    document.addEventListener("input", (event) => event.target.id === "brush-size" && size(largest() ** (event.target.value / 100)));
    document.addEventListener("pointerdown", (event) => event.target.closest("#original") && hold(true));
    for (const ended of ["pointerup", "pointercancel"]) document.addEventListener(ended, () => hold(false));
    document.addEventListener("contextmenu", (event) => event.target.closest("#original") && event.preventDefault());
    document.addEventListener("keydown", (event) => event.key === " " && event.target.closest?.("#original") && hold(true));

    // Before Gradio hears of a pointer: the brush gets its size, a hidden mask comes back, two fingers do not paint.
    const fingers = new Map();
    let pinching = false;

    const middle = ([a, b]) => ({x: (a.x + b.x) / 2, y: (a.y + b.y) / 2});
    const apart = ([a, b]) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    const LARGEST_ZOOM = 10;
    let start = null; // of a pinch; the editor draws with its next frame, so nothing is read from it in between

    function pinch() {
        const now = [...fingers.values()], box = editor.canvasBox();
        if (now.length !== 2) return void (start = null);
        if (!start) return void (start = {fingers: now, ...editor.view()});
        const scale = Math.min(LARGEST_ZOOM, Math.max(editor.minScale(), (start.scale * apart(now)) / apart(start.fingers)));
        const was = middle(start.fingers), is = middle(now);
        const place = (axis, edge) => is[axis] - box[edge] - ((was[axis] - box[edge] - start[axis]) * scale) / start.scale;
        editor.setView({scale, x: place("x", "left"), y: place("y", "top")});
    }

    const painting = (event) => event.target.matches?.("#brush canvas");
    document.addEventListener("pointerdown", (event) => {
        if (!painting(event) || !editor.size()) return;
        size();
        if (editor.hidden()) editor.show(true);
        if (event.pointerType !== "touch") return;
        fingers.set(event.pointerId, {x: event.clientX, y: event.clientY});
        if (fingers.size < 2) return;
        event.stopPropagation();
        editor.dropStroke(); // the first finger's
        pinching = true;
        start = null;
        pinch();
    }, true);
    document.addEventListener("pointermove", (event) => {
        if (painting(event)) size();
        if (!pinching || !fingers.has(event.pointerId)) return;
        event.stopPropagation();
        fingers.set(event.pointerId, {x: event.clientX, y: event.clientY});
        if (editor.size()) pinch();
    }, true);
    for (const ended of ["pointerup", "pointercancel"]) document.addEventListener(ended, (event) => {
        if (!fingers.delete(event.pointerId) || !pinching) return;
        event.stopPropagation();
        pinching = fingers.size > 0; // the finger that stays does not paint either
    }, true);

    window.moebius = {CHANGES, mask: editor.mask, size: () => diameter};
}
