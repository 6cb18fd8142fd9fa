// All that the page uses of Gradio's image editor without a promise: `window.editor`, which the editor leaves there.
// Its layers are textures; its command manager undoes and redoes whatever has `execute` and `undo`.
//
// Nothing else in the page touches `window.editor`. Gradio is pinned, and tests/ui/test_gradio_internals.py says what
// an upgrade has changed. Masks are Uint8Array, 1 = repaint, row by row.
(tint) => {
    const find = (selector) => document.querySelector(selector);

    /** Gradio's editor where it is visible and has a picture, else null. */
    function current() {
        const canvas = find("#brush canvas"), editor = window.editor;
        return canvas && canvas.offsetParent !== null && editor?.layer_manager && editor.width > 16 ? editor : null;
    }

    const tool = (name) => (current()?.tools instanceof Map ? current().tools.get(name) : null);
    const layers = () => current().layer_manager.get_layers();

    /** Width and height of the picture that is painted on, in its pixels; null: there is none. */
    const size = () => (current() ? {width: current().width, height: current().height} : null);

    /** Identifies the picture: each has layers of its own. */
    const picture = () => current() && layers().map((layer) => layer.id).join();

    // ---- masks ----

    function read(layer) {
        const {app, width, height} = current();
        const frame = new app.screen.constructor(0, 0, width, height);
        const {pixels} = app.renderer.extract.pixels({target: layer.container, resolution: 1, frame});
        return new Uint8Array(width * height).map((_, at) => (pixels[4 * at + 3] > 0 ? 1 : 0));
    }

    function write(id, mask) {
        const {app, layer_manager, width, height} = current();
        const layer = layers().find((one) => one.id === id);
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
        current().notify("change");
    }

    const masks = () => layers().map((layer) => [layer.id, read(layer)]);

    /** The whole mask: layers united. */
    function mask() {
        const [first, ...others] = masks().map(([, one]) => one);
        return others.reduce((sum, one) => sum.map((value, at) => value | one[at]), first);
    }

    /** Put another mask in place of what is painted, as one step that can be undone. */
    async function replace(changed) {
        const {command_manager, context} = current();
        const before = masks();
        const after = before.map(([id], at) => [id, at === before.length - 1 ? changed : new Uint8Array(changed.length)]);
        const put = (every) => async () => every.forEach(([id, one]) => write(id, one));
        await command_manager.execute({name: "Mask", execute: put(after), undo: put(before)}, context);
        show(true);
        tool("brush").notify("change"); // Gradio sends what it was given until it hears of a stroke
    }

    /** A hidden mask lies below the photo, and so is filled all the same. */
    const hidden = () => Boolean(current() && layers().some((layer) => layer.container.zIndex < -1));

    function show(visible) {
        if (current()) layers().forEach((layer, at) => (layer.container.zIndex = visible ? at : -2 - at));
        current()?.wake_render_loop();
        find("#mask-tools [data-do=hide]")?.setAttribute("aria-pressed", String(hidden()));
    }

    // ---- the brush ----

    /** `radius` in pixels of the picture, for brush and eraser. */
    function setBrush(radius) {
        const brush = tool("brush");
        continuous(brush.brush_textures);
        brush.set_brush_size(radius);
        brush.set_eraser_size(radius);
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

    const erases = () => tool("brush")?.state.mode === "erase";
    const showCursor = (visible) => tool("brush")?.brush_cursor?.set_active(visible);

    /** Drop the stroke that is being painted, without committing it. */
    function dropStroke() {
        const brush = tool("brush");
        if (!brush.is_drawing) return;
        brush.is_drawing = false;
        brush.brush_textures.initialize_textures();
    }

    // ---- zoom ----

    /** Where the picture lies on the canvas: pixels of the page for one of its own, and its upper left corner. */
    function view() {
        const {scale, x, y} = current().image_container;
        return {scale: scale.x, x, y};
    }

    /** The editor draws it with its next frame. */
    const setView = ({scale, x, y}) => current().set_image_properties({scale, position: {x, y}, animate: false});
    const minScale = () => Math.min(1, tool("zoom").calculate_min_zoom(current().width, current().height));
    const canvasBox = () => current().app.canvas.getBoundingClientRect();

    /** Where in the picture an event is, as shares of its width and height; null: beside it. */
    function inside(event) {
        const {width, height, image_container} = current(), {left, top} = canvasBox();
        const pixel = image_container.toLocal({x: event.clientX - left, y: event.clientY - top});
        const at = {x: pixel.x / width, y: pixel.y / height};
        return Math.min(at.x, at.y) >= 0 && Math.max(at.x, at.y) < 1 ? at : null;
    }

    // ---- undo ----

    const undo = () => current()?.undo();
    const redo = () => current()?.redo();

    /**
     * Call `opened` once for each picture that comes in, and let undo end there: for Gradio a photo is a step, and undo
     * would take it away.
     */
    function watch(opened) {
        const manager = window.editor?.command_manager;
        if (!manager) return requestAnimationFrame(() => watch(opened));
        manager.current_history.subscribe((at) => {
            if (["Draw", "Mask"].includes(at.command?.name)) return;
            requestAnimationFrame(opened);
            if (!at.previous) return;
            at.previous = null;
            queueMicrotask(() => manager.current_history.update((same) => same));
        });
    }

    window.moebiusEditor = {
        ...{size, picture, mask, replace, hidden, show, setBrush, erases, showCursor, dropStroke},
        ...{view, setView, minScale, canvasBox, inside, undo, redo, watch, hasBrush: () => Boolean(tool("brush"))},
    };
}
