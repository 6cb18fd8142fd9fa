// The canvas: photo, result and mask in one place. It holds what is shown, and draws it when something has changed.
(page) => {
    const RED = [255, 82, 66, 150], DARK_RED = [176, 24, 20, 165], GREY = [28, 25, 23, 120], DARK_GREY = [28, 25, 23, 165];
    const BLUE = [40, 132, 255, 165], DARK_BLUE = [12, 62, 170, 175], PALE = [255, 255, 255, 60], DARK_PALE = [28, 25, 23, 90];
    const find = (selector) => document.querySelector(selector);
    const stage = () => find("#stage"), canvas = () => find("#canvas");

    const state = {
        scene: null, // as the server sends it; null: no photo
        photo: null, // the picture that is painted on
        width: 0, height: 0, // of that picture and of the mask
        mask: null, history: null,
        proposal: null, // a mask that may take the place of what is painted
        result: null, // {before, after}: pictures of the last fill, at any size
        shown: false, // whether the result is shown
        held: false, wipe: null, // the original over all of it; over the left of it, up to this share
        hidden: false, busy: false,
        view: null, fitted: true,
        cursor: null, draft: null, // in pixels of the picture: where the brush is, what is being dragged
    };
    let overlay = null, asked = false;
    const ring = {picture: null, of: null, radius: 0}; // what a mask is grown by, and which mask
    const smaller = new WeakMap(); // of pictures larger than the mask, copies of its size: quick to draw

    const room = () => ({width: stage().clientWidth, height: stage().clientHeight});
    const size = () => ({width: state.width, height: state.height});

    // ---- the mask, as it is seen ----

    /** Stripes, which are seen on a red photo too. Of a proposal: what it keeps red, what it adds blue, the rest pale. */
    function tint([left, top, right, bottom]) {
        if (!overlay) return;
        const image = new ImageData(right - left, bottom - top), stripe = Math.max(4, Math.round(Math.max(state.width, state.height) / 160));
        const {mask, proposal, width} = state, painted = state.busy ? [GREY, DARK_GREY] : [RED, DARK_RED];
        for (let y = top, at = 0; y < bottom; y++) {
            for (let x = left, place = y * width + left; x < right; x++, place++, at += 4) {
                const is = mask[place], will = proposal ? proposal[place] : is;
                if (!is && !will) continue;
                const colours = is === will ? painted : will ? [BLUE, DARK_BLUE] : [PALE, DARK_PALE];
                image.data.set(colours[(x + y) % (2 * stripe) < stripe ? 0 : 1], at);
            }
        }
        overlay.getContext("2d").putImageData(image, left, top);
        draw();
    }

    const tintAll = () => state.mask && tint([0, 0, state.width, state.height]);

    // ---- drawing ----

    function draw() {
        if (asked) return;
        asked = true;
        requestAnimationFrame(() => {
            asked = false;
            paint();
        });
    }

    function paint() {
        const target = canvas(), {width, height} = room(), ratio = window.devicePixelRatio || 1;
        if (!target || !width) return;
        page.proposal?.place();
        if (target.width !== Math.round(width * ratio) || target.height !== Math.round(height * ratio)) {
            [target.width, target.height] = [Math.round(width * ratio), Math.round(height * ratio)];
        }
        const context = target.getContext("2d"), {view} = state;
        context.setTransform(1, 0, 0, 1, 0, 0);
        context.clearRect(0, 0, target.width, target.height);
        if (!state.photo || !view) return;
        context.setTransform(view.scale * ratio, 0, 0, view.scale * ratio, view.x * ratio, view.y * ratio);
        context.imageSmoothingQuality = "high";
        const whole = (picture) => context.drawImage(view.scale * ratio > 1 ? picture : copy(picture), 0, 0, state.width, state.height);
        const result = state.result && (state.shown || state.held);
        whole(result ? state.result.before : state.photo);
        if (result && !state.held) {
            context.save();
            if (state.wipe !== null) {
                context.beginPath();
                context.rect(state.wipe * state.width, 0, state.width, state.height);
                context.clip();
            }
            whole(state.result.after);
            if (state.result.cover) whole(state.result.cover);
            context.restore();
            if (state.wipe !== null) edge(context, state.wipe * state.width, 1 / view.scale);
        }
        if (!state.hidden && (!result || state.busy) && !state.held) {
            context.imageSmoothingEnabled = view.scale < 2;
            const around = !state.proposal && !state.busy && grown();
            context.globalAlpha = 0.4;
            if (around) whole(around);
            context.globalAlpha = 1;
            whole(overlay);
        }
        if (state.draft) outline(context, state.draft, 1 / view.scale);
        if (state.cursor && !state.busy && state.wipe === null) disc(context, state.cursor, 1 / view.scale);
    }

    /** The mask as it will be filled, in one colour; null: as it is painted. A mask file is not grown. */
    function grown() {
        const now = state.history?.now, share = Number(find("#grow input[type=number]")?.value ?? 0) / 100;
        if (!share || !now || now === state.given) return null;
        const radius = share * Math.sqrt(state.mask.reduce((sum, one) => sum + one, 0));
        if (ring.of === now && ring.radius === radius && radius) return ring.picture;
        const picture = Object.assign(document.createElement("canvas"), size()), context = picture.getContext("2d");
        for (let at = 0; at < 24; at++) {
            const far = radius / (1 + (at % 3 === 2)), angle = (at * Math.PI) / 12;
            context.drawImage(overlay, far * Math.cos(angle), far * Math.sin(angle));
        }
        context.globalCompositeOperation = "source-in";
        context.fillStyle = `rgb(${RED.slice(0, 3).join(" ")})`;
        context.fillRect(0, 0, picture.width, picture.height);
        Object.assign(ring, {picture, of: now, radius});
        return picture;
    }

    function copy(picture) {
        if (!(picture.naturalWidth > state.width)) return picture;
        if (!smaller.has(picture)) {
            const small = Object.assign(document.createElement("canvas"), size()), context = small.getContext("2d");
            context.imageSmoothingQuality = "high";
            context.drawImage(picture, 0, 0, state.width, state.height);
            smaller.set(picture, small);
        }
        return smaller.get(picture);
    }

    /** The wipe's edge with its handle. `pixel`: one of the page. */
    function edge(context, x, pixel) {
        context.fillStyle = "white";
        context.shadowColor = "rgb(0 0 0 / 0.6)";
        context.shadowBlur = 4;
        context.fillRect(x - pixel, 0, 2 * pixel, state.height);
        context.beginPath();
        context.arc(x, state.height / 2, 15 * pixel, 0, 2 * Math.PI);
        context.fill();
        context.shadowBlur = 0;
    }

    function twice(context, pixel, path) {
        for (const [colour, width] of [["rgb(0 0 0 / 0.65)", 3], ["white", 1.3]]) {
            context.strokeStyle = colour;
            context.lineWidth = width * pixel;
            context.beginPath();
            path();
            context.stroke();
        }
    }

    const disc = (context, {x, y, radius}, pixel) => twice(context, pixel, () => context.arc(x, y, Math.max(radius, 2 * pixel), 0, 2 * Math.PI));

    function outline(context, points, pixel) {
        twice(context, pixel, () => {
            points.forEach(({x, y}, index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
            context.closePath();
        });
    }

    // ---- what is shown ----

    /** Another picture, with nothing painted on it. */
    function open(scene, photo) {
        Object.assign(state, {scene, photo, width: photo.naturalWidth, height: photo.naturalHeight});
        Object.assign(state, {result: null, shown: false, held: false, wipe: null, hidden: false, fitted: true, cursor: null, draft: null, proposal: null});
        overlay = Object.assign(document.createElement("canvas"), size());
        stage().style.setProperty("--aspect", state.width / state.height);
        blank();
        fit();
    }

    function close() {
        Object.assign(state, {scene: null, photo: null, mask: null, history: null, proposal: null, result: null, shown: false, view: null});
        changed();
    }

    /** Nothing is painted, and nothing can be undone. */
    function blank() {
        state.mask = new Uint8Array(state.width * state.height);
        state.history = new page.masks.History(state.mask);
        tintAll();
        changed();
    }

    /** Put another mask in place of what is painted, as one step that can be undone. */
    function replace(mask) {
        Object.assign(state, {mask, proposal: null, hidden: false});
        commit();
        tintAll();
    }

    /** What was painted is one step. */
    function commit() {
        if (!state.history.add(state.mask)) return;
        changed();
        page.edited?.();
    }

    function step(name) {
        const mask = !state.busy && state.history?.[name]();
        if (!mask) return;
        Object.assign(state, {mask, proposal: null, shown: false, wipe: null});
        tintAll();
        changed();
        page.edited?.();
    }

    /** Undo takes back what was restored, then ends a look at the result; redo comes back to it. */
    function undo() {
        if (state.shown && !state.busy) return page.results.step("undo") || show(false);
        step("undo");
    }

    function redo() {
        if (state.shown && !state.busy && page.results.step("redo")) return;
        if (state.result && !state.shown && state.result.mask === state.history?.now) return show(true);
        step("redo");
    }

    function showResult(before, after) {
        page.results.off();
        Object.assign(state, {result: {before, after, mask: state.history.now}, wipe: null, held: false});
        show(true);
    }

    function show(result) {
        Object.assign(state, {shown: result, wipe: null, held: false});
        changed();
    }

    /** The result becomes the picture that is painted on. */
    function keep() {
        const {after, cover} = state.result;
        state.photo = cover ? flat(after, cover) : after;
        state.shown = false;
        state.result = {...state.result, mask: null};
        blank();
    }

    /** Pictures over each other as one, of the mask's size. */
    function flat(...pictures) {
        const one = Object.assign(document.createElement("canvas"), size()), context = one.getContext("2d");
        context.imageSmoothingQuality = "high";
        for (const picture of pictures) context.drawImage(picture, 0, 0, state.width, state.height);
        return one;
    }

    function set(values) {
        const {busy, proposal} = state;
        Object.assign(state, values);
        if (busy !== state.busy || proposal !== state.proposal) tintAll();
        changed();
    }

    // ---- where it is shown ----

    function fit() {
        state.fitted = true;
        state.view = state.photo && page.views.fit(size(), room());
        changed();
    }

    /** `change`: from the view, the picture's size and the room for it to another view. */
    function look(change) {
        if (!state.view) return;
        state.view = change(state.view, size(), room());
        state.fitted = state.view.scale <= page.views.fit(size(), room()).scale * 1.001;
        changed();
    }

    function resized() {
        if (!state.photo || !room().width) return;
        if (state.fitted || !state.view) state.view = page.views.fit(size(), room());
        else state.view = page.views.within(state.view, size(), room());
        draw();
    }

    /** Tell the tools, and draw. */
    function changed() {
        page.refresh?.();
        draw();
    }

    page.state = state;
    page.canvas = {find, stage, element: canvas, open, close, replace, commit, undo, redo, showResult, keep, set, show, tint, draw, fit, look, blank};
    page.mask = () => state.mask ?? new Uint8Array(0);
    new ResizeObserver(resized).observe(stage());
}
