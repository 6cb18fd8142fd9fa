// What pointers do on the canvas: paint, erase, draw rectangles and outlines, select, move and zoom the picture, wipe.
(page) => {
    const SMALLEST = 1, FIRST_SHARE = 1 / 20, LARGEST_SHARE = 1 / 3, STEP = 1.25, STILL_PX = 8;
    const ONE_PIXEL = 0.71; // the least radius of a disc that holds the middle of some pixel wherever it lies
    const {canvas, state, masks, views} = page;
    const TOOLS = ["brush", "eraser", "rectangle", "lasso", "select"];

    let tool = "brush", diameter = 0, space = false;
    const pointers = new Map(); // on the canvas, in pixels of the stage
    let stroke = null; // {erase, points, before}: what is being painted
    let moving = null; // "pan", "pinch" or "wipe"

    const short = () => Math.min(state.width, state.height);
    const largest = () => Math.max(SMALLEST, Math.round(short() * LARGEST_SHARE));

    /** A diameter in pixels of the picture that is painted on. */
    function size(wanted) {
        diameter = Math.round(Math.min(largest(), Math.max(SMALLEST, wanted)));
        if (state.cursor) state.cursor.radius = radius();
        page.refresh?.();
        canvas.draw();
    }

    const radius = () => Math.max(ONE_PIXEL, diameter / 2);
    const larger = () => size(Math.max(diameter + 1, diameter * STEP));
    const smaller = () => size(Math.min(diameter - 1, diameter / STEP));
    const firstSize = () => size(short() * FIRST_SHARE);

    function choose(name) {
        tool = name;
        Object.assign(state, {cursor: null, draft: null});
        page.refresh?.();
        canvas.draw();
    }

    /** Where an event is on the stage. */
    function place(event) {
        const {left, top} = canvas.element().getBoundingClientRect();
        return {x: event.clientX - left, y: event.clientY - top};
    }

    const inside = ({x, y}) => x >= 0 && y >= 0 && x < state.width && y < state.height;

    // ---- painting ----

    const layer = () => (stroke.restores ? state.result.restored : state.mask);
    const seen = (box) => (stroke.restores ? page.results.uncover(box) : canvas.tint(box));

    function begin(at, erase) {
        const restores = page.results.active();
        if (state.shown && !restores) page.keepResult();
        page.proposal.drop();
        state.hidden = false;
        stroke = {erase, restores, points: [at], before: (restores ? page.results.layer() : state.mask).slice()};
        goOn(at);
    }

    function goOn(at) {
        const {points, erase} = stroke, last = points[points.length - 1];
        points.push(at);
        if (["rectangle", "select"].includes(tool)) state.draft = [points[0], {x: at.x, y: points[0].y}, at, {x: points[0].x, y: at.y}];
        else if (tool === "lasso") state.draft = points;
        else {
            const touched = masks.line(layer(), state.width, state.height, last, at, radius(), erase ? 0 : 1);
            if (touched) seen(touched);
        }
        canvas.draw();
    }

    function end() {
        const {points, erase} = stroke, value = erase ? 0 : 1, at = points[points.length - 1];
        let touched = null;
        if (tool === "rectangle") touched = masks.rectangle(layer(), state.width, state.height, points[0], at, value);
        if (tool === "lasso") touched = masks.polygon(layer(), state.width, state.height, points, value);
        if (touched) seen(touched);
        const {restores} = stroke;
        [stroke, state.draft] = [null, null];
        if (restores) page.results.commit();
        else canvas.commit();
    }

    /** A click selects what lies there, a drag what lies in its box. */
    function chooseObject(at) {
        const {erase, points} = stroke, boxed = state.draft;
        [stroke, state.draft] = [null, null];
        canvas.draw();
        if (boxed) page.select.boxed(points[0], at, erase);
        else if (inside(points[0])) page.select.clicked(points[0], erase);
    }

    /** The first finger's, when a second one comes. */
    function drop() {
        if (!stroke) return;
        const {restores, before} = stroke;
        [stroke, state.draft] = [null, null];
        if (restores) return page.results.put(before);
        state.mask = before;
        canvas.tint([0, 0, state.width, state.height]);
    }

    // ---- pointers ----

    function down(event) {
        if (!state.photo) return;
        const at = place(event), on = views.toPicture(state.view, at);
        canvas.element().setPointerCapture(event.pointerId);
        pointers.set(event.pointerId, at);
        if (pointers.size === 2) {
            drop();
            moving = "pinch";
        }
        if (pointers.size > 1 || moving) return;
        if (event.button === 1 || (space && event.button === 0)) {
            moving = "pan";
            canvas.set({held: false});
        } else if (event.button !== 0 || state.busy) return;
        else if (state.shown && state.wipe !== null) {
            moving = "wipe";
            wipe(on);
        } else if (tool === "select") stroke = {erase: event.altKey, points: [on], from: at, before: state.mask};
        else begin(on, tool === "eraser" || event.altKey);
        if (event.button === 1) event.preventDefault();
    }

    function move(event) {
        if (!state.photo) return;
        const at = place(event), on = views.toPicture(state.view, at), before = pointers.get(event.pointerId);
        if (event.pointerType !== "touch" && ["brush", "eraser"].includes(tool)) {
            state.cursor = inside(on) && !space ? {...on, radius: radius()} : null;
            canvas.draw();
        }
        if (!before) return;
        if (moving === "pinch" && pointers.size === 2) {
            const [still] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, one]) => one);
            const apart = (one) => Math.max(1, Math.hypot(one.x - still.x, one.y - still.y));
            const middle = (one) => ({x: (one.x + still.x) / 2, y: (one.y + still.y) / 2});
            canvas.look((view, picture, room) => views.zoom(view, apart(at) / apart(before), middle(before), middle(at), picture, room));
        } else if (moving === "pan") canvas.look((view, picture, room) => views.zoom(view, 1, before, at, picture, room));
        else if (moving === "wipe") wipe(on);
        else if (stroke && tool === "select") {
            if (Math.hypot(at.x - stroke.from.x, at.y - stroke.from.y) > STILL_PX || state.draft) goOn(on);
        } else if (stroke) {
            const every = event.getCoalescedEvents?.() ?? [];
            for (const one of every.length ? every : [event]) goOn(views.toPicture(state.view, place(one)));
        }
        pointers.set(event.pointerId, at);
    }

    function up(event) {
        const at = place(event);
        if (!pointers.has(event.pointerId)) return;
        pointers.delete(event.pointerId);
        if (stroke && tool === "select" && event.type === "pointerup") chooseObject(views.toPicture(state.view, at));
        else if (stroke && event.type === "pointerup") end();
        else drop();
        if (!pointers.size) moving = null; // the finger that stays does not paint either
    }

    const wipe = ({x}) => canvas.set({wipe: Math.min(1, Math.max(0, x / state.width))});

    function wheel(event) {
        if (!state.photo) return;
        event.preventDefault();
        const pixels = event.deltaY * (event.deltaMode === 1 ? 30 : 1), at = place(event);
        canvas.look((view, picture, room) => views.zoom(view, Math.exp(-pixels / 400), at, at, picture, room));
    }

    const element = canvas.element();
    element.addEventListener("pointerdown", down);
    element.addEventListener("pointermove", move);
    for (const ended of ["pointerup", "pointercancel"]) element.addEventListener(ended, up);
    element.addEventListener("pointerleave", () => canvas.set({cursor: null}));
    element.addEventListener("wheel", wheel, {passive: false});
    element.addEventListener("contextmenu", (event) => event.pointerType === "touch" && event.preventDefault());

    page.tools = {
        ...{TOOLS, choose, size, larger, smaller, firstSize, largest, inside},
        current: () => tool,
        diameter: () => diameter,
        /** While the space bar is down, a drag moves the picture, and the original is shown. */
        space: (on) => (space = on),
    };
}
