// Buttons, sliders and keys: what they do, and that they say how things stand.
(page) => {
    const {canvas, state, masks, tools} = page, {find} = canvas;
    const GROW_SHARE = 1 / 200, NAMES = {brush: "Brush", eraser: "Eraser", rectangle: "Rectangle", lasso: "Outline", select: "Select"};
    const visible = (element) => Boolean(element && element.offsetParent !== null);
    const buttons = (name) => document.querySelectorAll(`[data-do="${name}"]`);

    function change(name) {
        if (!state.mask || state.busy) return;
        if (state.shown) page.keepResult();
        const radius = Math.max(1, Math.round(Math.min(state.width, state.height) * GROW_SHARE));
        canvas.replace(masks.CHANGES[name](state.mask, state.width, state.height, radius));
    }

    /** The box of the mask that was filled; else of the one that is painted. */
    function filled() {
        const bits = state.result?.mask;
        return masks.bounds(bits ? masks.unpack(bits, state.mask.length) : state.mask, state.width, state.height);
    }

    function closer() {
        const box = filled();
        if (!state.fitted || !box) canvas.fit();
        else canvas.look((view, picture, room) => page.views.around(box, picture, room));
    }

    /** Left, top, width and height, in pixels of the photo. */
    function numbers() {
        const share = state.width / state.scene.size[0];
        const [left, top, width, height] = [...document.querySelectorAll("#numbers input")].map((one) => Number(one.value) * share);
        const mask = state.mask.slice();
        masks.rectangle(mask, state.width, state.height, {x: left, y: top}, {x: left + width, y: top + height}, 1);
        canvas.replace(mask);
    }

    /** Without the weights it stays off, and what is missing is said. */
    function select() {
        const able = Boolean(find("#select-line [data-able]"));
        document.body.classList.add("more", "selecting");
        if (able) tools.choose(tools.current() === "select" ? "brush" : "select");
        if (tools.current() !== "select" && able) document.body.classList.remove("selecting");
        refresh();
    }

    const DO = {
        choose: () => page.files.choose(),
        erase: () => tools.choose(tools.current() === "eraser" ? "brush" : "eraser"),
        undo: canvas.undo,
        redo: canvas.redo,
        hide: () => canvas.set({hidden: !state.hidden}),
        more: () => document.body.classList.toggle("more"),
        wipe: () => canvas.set({wipe: state.wipe === null ? 0 : null}),
        closer,
        numbers,
        fit: () => page.proposal.ask("fit"),
        dust: () => page.proposal.ask("dust"),
        restore: () => state.shown && !state.scene.many && page.results.toggle(),
        vary: () => state.shown && page.trigger("vary-ask"),
        patch: () => page.trigger("patch-ask"),
        ...Object.fromEntries([0, 1, 2].map((at) => [`variant-${at}`, () => page.results.choose(at)])),
        take: () => page.proposal.take(),
        leave: () => page.proposal.leave(),
        "select-smaller": () => page.select.resize(-1),
        "select-larger": () => page.select.resize(1),
        ...Object.fromEntries(tools.TOOLS.map((name) => [`tool-${name}`, () => tools.choose(name)])),
        "tool-select": select,
        ...Object.fromEntries(Object.keys(masks.CHANGES).map((name) => [name, () => change(name)])),
    };

    // ---- how things stand ----

    const HINT = "Paint over what should go first.";

    const pressed = (name, on) => buttons(name).forEach((one) => one.setAttribute("aria-pressed", String(Boolean(on))));
    const able = (name, on) => buttons(name).forEach((one) => (one.disabled = !on));

    /** Fill and Compare stay where a keyboard finds them; Gradio makes them anew each time. */
    function markUnpainted() {
        const none = document.body.classList.contains("unpainted");
        document.querySelectorAll("#go, #compare-go").forEach((one) => one.setAttribute("aria-disabled", String(none)));
    }

    function refresh() {
        const body = document.body.classList, {history} = state;
        body.toggle("has-photo", Boolean(state.photo));
        body.toggle("has-result", Boolean(state.result));
        body.toggle("many-photo", Boolean(state.scene?.many));
        body.toggle("filling", state.busy);
        body.toggle("unpainted", Boolean(state.mask) && !state.mask.includes(1));
        markUnpainted();
        if (!body.contains("unpainted") && find("#note").textContent === HINT) page.say("");
        body.toggle("proposing", Boolean(state.proposal));
        pressed("erase", tools.current() === "eraser");
        tools.TOOLS.forEach((name) => pressed(`tool-${name}`, tools.current() === name));
        pressed("hide", state.hidden);
        pressed("more", body.contains("more"));
        buttons("more").forEach((one) => one.setAttribute("aria-expanded", String(body.contains("more"))));
        pressed("wipe", state.wipe !== null);
        pressed("closer", !state.fitted);
        able("undo", !state.busy && (state.shown || history?.past.length));
        able("redo", !state.busy && (page.results?.steps("future") || history?.future.length || (state.result && !state.shown && state.result.mask === history?.now)));
        const variants = page.results?.shown() ?? {count: 0};
        body.toggle("varied", variants.count > 1);
        [0, 1, 2].forEach((at) => pressed(`variant-${at}`, variants.at === at));
        pressed("restore", page.results?.restoring());
        for (const name of ["restore", "vary", "patch"]) able(name, state.shown && !state.busy);
        if (find("#select-size")) find("#select-size").hidden = !page.select?.answered();
        able("select-smaller", page.select?.resizable(-1));
        able("select-larger", page.select?.resizable(1));
        buttons("hold").forEach((one) => one.classList.toggle("held", state.held));
        brush();
        const element = canvas.element();
        element.style.cursor = state.wipe !== null ? "ew-resize" : ["brush", "eraser"].includes(tools.current()) ? "none" : "crosshair";
        if (state.photo) element.setAttribute("aria-label", label());
    }

    function label() {
        const painted = state.mask.includes(1) ? "something is painted over" : "nothing is painted over";
        const what = state.shown ? "the result" : painted;
        return `${state.scene.name}, ${state.scene.size.join(" × ")} pixels: ${what}. ${NAMES[tools.current()]}.`;
    }

    function brush() {
        const slider = find("#brush-size"), largest = tools.largest();
        if (!slider || !state.photo) return;
        const pixels = Math.max(1, Math.round((tools.diameter() * state.scene.size[0]) / state.width));
        slider.value = largest > 1 ? (100 * Math.log(tools.diameter())) / Math.log(largest) : 0;
        slider.setAttribute("aria-valuetext", `${pixels} pixels of the photo`);
        find("#brush-size + output").textContent = `${pixels} px`;
    }

    // ---- events ----

    const press = (...ids) => {
        const button = ids.map((id) => find(`#${id} button, button#${id}`)).find((one) => visible(one) && !one.disabled);
        button?.click();
        return Boolean(button);
    };
    const KEYS = {
        "[": tools.smaller,
        "]": tools.larger,
        b: () => tools.choose("brush"),
        e: DO.erase,
        r: () => tools.choose("rectangle"),
        l: () => tools.choose("lasso"),
        s: () => DO["tool-select"](),
        x: DO.hide,
        i: () => change("invert"),
        "+": () => change("grow"),
        "-": () => change("shrink"),
        w: () => state.shown && DO.wipe(),
        z: closer,
        0: canvas.fit,
        f: DO.fit,
        o: DO.restore,
        Enter: () => (state.proposal ? DO.take() : press("go", "many-go")),
        Escape: () => (state.proposal ? DO.leave() : press("stop", "compare-stop", "many-stop") || (state.wipe !== null && DO.wipe())),
        ArrowLeft: () => slide(-0.05),
        ArrowRight: () => slide(0.05),
    };
    const slide = (by) => state.wipe !== null && canvas.set({wipe: Math.min(1, Math.max(0, state.wipe + by))});

    /** Whether a key belongs to what has the focus. */
    function taken(event) {
        const at = event.target, repeats = ["Enter", " "].includes(event.key) || event.key.startsWith("Arrow");
        if (at.isContentEditable || at.matches("textarea, select, [role=textbox], [role=combobox], [role=listbox]")) return true;
        if (at.matches("input:not([type=range], [type=radio], [type=checkbox], [type=file])")) return true;
        return repeats && at.id !== "canvas" && at.matches("button, a, summary, input, label, [role], [tabindex]");
    }

    document.addEventListener("keydown", (event) => {
        if (taken(event) || event.altKey || !visible(canvas.element())) return;
        const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
        if (event.ctrlKey || event.metaKey) {
            const back = key === "z" && !event.shiftKey, forth = key === "y" || (key === "z" && event.shiftKey);
            if (back) canvas.undo();
            if (forth) canvas.redo();
            if (back || forth) event.preventDefault();
        } else if (key === " ") {
            event.preventDefault();
            if (event.repeat) return;
            tools.space(true);
            canvas.set({held: true, cursor: null});
        } else if (KEYS[key] && !(event.repeat && !"[]+-".includes(key) && !key.startsWith("Arrow"))) {
            if (!key.startsWith("Arrow") || state.wipe !== null) event.preventDefault();
            KEYS[key]();
        }
    });
    const release = () => {
        tools.space(false);
        if (state.held) canvas.set({held: false});
    };
    document.addEventListener("keyup", (event) => event.key === " " && release());
    window.addEventListener("blur", release);

    document.addEventListener("click", (event) => { // a hint, not an error
        if (!event.target.closest("#go, #compare-go") || !document.body.classList.contains("unpainted")) return;
        event.stopImmediatePropagation();
        page.say(HINT);
    }, true);
    document.addEventListener("click", (event) => {
        const button = event.target.closest("[data-do]");
        if (!button || button.disabled) return;
        DO[button.dataset.do]?.();
        refresh();
    });
    document.addEventListener("input", (event) => event.target.id === "brush-size" && tools.size(tools.largest() ** (event.target.value / 100)));
    document.addEventListener("input", (event) => event.target.closest("#grow") && canvas.draw());
    document.addEventListener("pointerdown", (event) => event.target.closest('[data-do="hold"]') && canvas.set({held: true}));
    for (const ended of ["pointerup", "pointercancel"]) document.addEventListener(ended, () => state.held && canvas.set({held: false}));
    document.addEventListener("contextmenu", (event) => event.target.closest('[data-do="hold"]') && event.preventDefault());
    document.addEventListener("keydown", (event) => event.key === " " && event.target.closest?.('[data-do="hold"]') && canvas.set({held: true}));
    document.addEventListener("keydown", (event) => {
        if (!["Delete", "Backspace"].includes(event.key) || !event.target.closest?.("#many-photos .thumbnail-item.selected")) return;
        event.preventDefault();
        press("many-remove");
    });

    page.refresh = refresh;
    page.markUnpainted = markUnpainted;
    page.press = press;
    refresh();
}
