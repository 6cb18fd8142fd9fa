// A mask that the server proposes in place of what is painted: seen over it, and taken or not. Gradio's hidden buttons
// #ask-… send what is painted; the answer comes to `found` or `failed`.
(page) => {
    const {canvas, state} = page, {find} = canvas;
    const WORDS = {fit: "Looking for the object …", dust: "Looking for dust …"};
    const LEAST_PX = 24; // of a dot's button
    let asked = null; // the mask that an answer is for
    let dots = []; // {x, y, radius, kept, button}, in pixels of the picture

    function ask(kind) {
        if (!state.photo || state.busy || asked) return;
        if (state.shown) page.keepResult();
        drop();
        asked = state.mask;
        page.say(WORDS[kind]);
        page.trigger(`ask-${kind}`);
    }

    /**
     * `file`: white = the mask that is proposed. `discs`: what may be added one by one, x, y and radius in shares of the
     * longer side. Neither: nothing is proposed, and `text` says why.
     */
    async function found(file, text, discs) {
        const mask = asked;
        asked = null;
        page.say(file || discs ? "" : text);
        if (discs && mask === state.mask) dot(discs);
        const proposal = discs ? withDots() : file && (await page.pixels(file, (data, at) => data[4 * at] > 127));
        if (!proposal || mask !== state.mask || state.busy) return; // painted on meanwhile, or another photo
        canvas.set({proposal, hidden: false, shown: false});
        find("#proposal-said").textContent = text;
        canvas.stage().scrollIntoView({block: "nearest"});
        find("[data-do=take]").focus({preventScroll: true});
    }

    function dot(discs) {
        const longer = Math.max(state.width, state.height);
        dots = discs.map(([x, y, radius], index) => {
            const button = Object.assign(document.createElement("button"), {type: "button", className: "dot"});
            button.setAttribute("aria-label", `Spot ${index + 1} of ${discs.length}`);
            const one = {x: x * longer, y: y * longer, radius: Math.max(1, radius * longer), kept: true, button};
            button.addEventListener("click", () => {
                one.kept = !one.kept;
                canvas.set({proposal: withDots()});
                place();
            });
            canvas.stage().append(button);
            return one;
        });
    }

    function withDots() {
        const mask = state.mask.slice();
        for (const one of dots) if (one.kept) page.masks.line(mask, state.width, state.height, one, one, one.radius, 1);
        return mask;
    }

    /** The dots' buttons lie where the picture does. */
    function place() {
        if (!state.proposal) {
            for (const {button} of dots) button.remove();
            dots = [];
        }
        for (const {x, y, radius, kept, button} of dots) {
            const size = Math.max(LEAST_PX, 2 * radius * state.view.scale + 8);
            Object.assign(button.style, {width: `${size}px`, height: `${size}px`});
            button.style.transform = `translate(${state.view.x + x * state.view.scale - size / 2}px, ${state.view.y + y * state.view.scale - size / 2}px)`;
            button.setAttribute("aria-pressed", String(kept));
        }
    }

    function failed() {
        asked = null;
        page.say("");
    }

    function take() {
        if (state.proposal) canvas.replace(state.proposal);
        canvas.element().focus({preventScroll: true});
    }

    function drop() {
        if (state.proposal) canvas.set({proposal: null});
    }

    function leave() {
        drop();
        canvas.element().focus({preventScroll: true});
    }

    page.proposal = {ask, found, failed, take, drop, leave, place};
}
