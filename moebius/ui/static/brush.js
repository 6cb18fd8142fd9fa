// What Gradio's image editor lacks: brush sizes, changes of the whole mask that can be undone, keys, two fingers.
//
// It works on `window.editor`, which Gradio's editor leaves there: its layers are textures, its command manager undoes
// and redoes whatever has `execute` and `undo`. Gradio is pinned, and tests/ui/test_brush_browser.py tells when that
// changes. Masks are Uint8Array, 1 = repaint, row by row.
(tint) => {
    const STEP = 1.25, SMALLEST = 1, FIRST_SHARE = 1 / 20, LARGEST_SHARE = 1 / 3, GROW_SHARE = 1 / 200;
    const ONE_PIXEL = 0.71; // the least radius of a disc that holds the middle of some pixel wherever it lies
    const find = (selector) => document.querySelector(selector);
    const shown = (element) => Boolean(element && element.offsetParent !== null);
    const editor = () => (shown(find("#brush canvas")) && window.editor?.layer_manager && window.editor.width > 16 ? window.editor : null);
    const tool = (name) => (editor()?.tools instanceof Map ? editor().tools.get(name) : null);
    const short = () => Math.min(window.editor.width, window.editor.height);

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

    // ---- masks in the editor ----

    function read(layer) {
        const {app, width, height} = editor();
        const frame = new app.screen.constructor(0, 0, width, height);
        const {pixels} = app.renderer.extract.pixels({target: layer.container, resolution: 1, frame});
        return new Uint8Array(width * height).map((_, at) => (pixels[4 * at + 3] > 0 ? 1 : 0));
    }

    function write(id, mask) {
        const {app, layer_manager, width, height} = editor();
        const layer = layer_manager.get_layers().find((one) => one.id === id);
        if (!layer || mask.length !== width * height) return; // of a photo that is gone
        const canvas = Object.assign(document.createElement("canvas"), {width, height});
        const image = new ImageData(width, height);
        mask.forEach((one, at) => one && image.data.set(tint, 4 * at));
        canvas.getContext("2d").putImageData(image, 0, 0);
        const target = layer_manager.get_layer_textures(id).draw;
        const texture = target.constructor.from(canvas, true);
        texture.source.scaleMode = "nearest";
        const sprite = new layer.container.children[0].constructor(texture);
        app.renderer.render({container: sprite, target, clear: true});
        sprite.destroy();
        texture.destroy(true);
        editor().notify("change");
    }

    const masks = () => editor().layer_manager.get_layers().map((layer) => [layer.id, read(layer)]);

    /** The whole mask: layers united. */
    function mask() {
        const [first, ...others] = masks().map(([, one]) => one);
        return others.reduce((sum, one) => sum.map((value, at) => value | one[at]), first);
    }

    /** Put another mask in place of what is painted, as one step that can be undone. */
    async function replace(changed) {
        const {command_manager, context} = editor();
        const before = masks();
        const after = before.map(([id], at) => [id, at === before.length - 1 ? changed : new Uint8Array(changed.length)]);
        const put = (every) => async () => every.forEach(([id, one]) => write(id, one));
        await command_manager.execute({name: "Mask", execute: put(after), undo: put(before)}, context);
        show(true);
        tool("brush").notify("change"); // Gradio sends what it was given until it hears of a stroke
    }

    function change(name) {
        if (editor()) replace(CHANGES[name](mask(), editor().width, editor().height, growth()));
    }

    const growth = () => Math.max(1, Math.round(short() * GROW_SHARE));

    /** A hidden mask lies below the photo, and so is filled all the same. */
    const hidden = () => Boolean(editor()?.layer_manager.get_layers().some((layer) => layer.container.zIndex < -1));

    function show(visible) {
        editor()?.layer_manager.get_layers().forEach((layer, at) => (layer.container.zIndex = visible ? at : -2 - at));
        editor()?.wake_render_loop();
        find("#mask-tools [data-do=hide]")?.setAttribute("aria-pressed", String(hidden()));
    }

    // ---- the brush's size, a diameter in pixels of the picture that is painted on ----

    let diameter = 0, of = "";
    const largest = () => Math.max(SMALLEST, Math.round(short() * LARGEST_SHARE));

    function size(wanted) {
        if (!editor() || !tool("brush")) return;
        const picture = `${window.editor.width}×${window.editor.height}`;
        if (picture !== of) diameter = Math.max(SMALLEST, Math.round(short() * FIRST_SHARE));
        of = picture;
        if (wanted) diameter = Math.round(Math.min(largest(), Math.max(SMALLEST, wanted)));
        const radius = Math.max(ONE_PIXEL, diameter / 2);
        continuous(tool("brush").brush_textures);
        tool("brush").set_brush_size(radius);
        tool("brush").set_eraser_size(radius);
        const slider = find("#brush-size");
        slider.value = largest() > 1 ? (100 * Math.log(diameter)) / Math.log(largest()) : 0;
        slider.setAttribute("aria-valuetext", `${diameter} pixels`);
        find("#brush-size + output").textContent = `${diameter} px`;
    }

    /** Gradio sets discs at least two pixels apart; a hair would be a dotted line. */
    function continuous(textures) {
        const kind = textures && Object.getPrototypeOf(textures);
        if (!kind || kind.draw_segment.continuous) return;
        const draw = kind.draw_segment;
        kind.draw_segment = function (x0, y0, x1, y1, radius, ...rest) {
            const pieces = radius < 2 ? Math.max(1, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / (radius / 2))) : 1;
            for (let k = 0; k < pieces; k++) {
                const [from, to] = [k / pieces, (k + 1) / pieces];
                draw.call(this, x0 + (x1 - x0) * from, y0 + (y1 - y0) * from, x0 + (x1 - x0) * to, y0 + (y1 - y0) * to, radius, ...rest);
            }
        };
        kind.draw_segment.continuous = true;
    }

    const larger = () => size(Math.max(diameter + 1, diameter * STEP));
    const smaller = () => size(Math.min(diameter - 1, diameter / STEP) || SMALLEST);

    // ---- the original over the result ----

    const hold = (on) => find("#slider")?.classList.toggle("original", on);

    // ---- undo ----

    /** Nothing before the last picture: for Gradio a photo that comes in is a step, and undo would take it away. */
    function watch() {
        const manager = window.editor?.command_manager;
        if (!manager) return requestAnimationFrame(watch);
        manager.current_history.subscribe((at) => {
            if (["Draw", "Mask"].includes(at.command?.name)) return;
            requestAnimationFrame(() => size()); // a brush that suits the picture, and says how large it is
            if (!at.previous) return;
            at.previous = null;
            queueMicrotask(() => manager.current_history.update((same) => same));
        });
    }
    watch();

    // ---- events ----

    const press = (selector) => shown(find(selector)) && find(selector).click();
    const KEYS = {
        "[": smaller,
        "]": larger,
        b: () => press('#brush button[aria-label="Brush"]'),
        e: () => press('#brush button[aria-label="Erase"]'),
        s: () => press("#mask-tools [data-do=select]"),
        x: () => show(hidden()),
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
            if (back) editor()?.undo();
            if (forth) editor()?.redo();
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
        if (name === "hide") show(hidden());
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
    let start = null; // of a pinch; the editor draws later than it is told, so nothing is read from it in between

    function pinch() {
        const now = [...fingers.values()], box = editor().app.canvas.getBoundingClientRect();
        if (now.length !== 2) return void (start = null);
        if (!start) {
            const {scale, x, y} = editor().image_container;
            return void (start = {fingers: now, scale: scale.x, x, y});
        }
        const least = Math.min(1, tool("zoom").calculate_min_zoom(editor().width, editor().height));
        const scale = Math.min(LARGEST_ZOOM, Math.max(least, (start.scale * apart(now)) / apart(start.fingers)));
        const was = middle(start.fingers), is = middle(now);
        const place = (axis, edge) => is[axis] - box[edge] - ((was[axis] - box[edge] - start[axis]) * scale) / start.scale;
        editor().set_image_properties({scale, position: {x: place("x", "left"), y: place("y", "top")}, animate: false});
    }

    const painting = (event) => event.target.matches?.("#brush canvas");
    document.addEventListener("pointerdown", (event) => {
        if (!painting(event) || !editor()) return;
        size();
        if (hidden()) show(true);
        if (event.pointerType !== "touch") return;
        fingers.set(event.pointerId, {x: event.clientX, y: event.clientY});
        if (fingers.size < 2) return;
        event.stopPropagation();
        const brush = tool("brush");
        if (brush.is_drawing) {
            brush.is_drawing = false; // the first finger's stroke is dropped, not committed
            brush.brush_textures.initialize_textures();
        }
        pinching = true;
        start = null;
        pinch();
    }, true);
    document.addEventListener("pointermove", (event) => {
        if (painting(event)) size();
        if (!pinching || !fingers.has(event.pointerId)) return;
        event.stopPropagation();
        fingers.set(event.pointerId, {x: event.clientX, y: event.clientY});
        if (editor()) pinch();
    }, true);
    for (const ended of ["pointerup", "pointercancel"]) document.addEventListener(ended, (event) => {
        if (!fingers.delete(event.pointerId) || !pinching) return;
        event.stopPropagation();
        pinching = fingers.size > 0; // the finger that stays does not paint either
    }, true);

    window.moebius = {CHANGES, editor, tool, mask, replace, size: () => diameter};
}
