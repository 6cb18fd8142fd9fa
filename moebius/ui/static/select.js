// A click or a box that selects an object: its place goes to the server, and the mask that comes back is added to what is
// painted, or taken away. Gradio's hidden button #select-ask sends `place()`, and its answer comes to `found` or `failed`.
(page) => {
    const {canvas, state} = page, {find} = canvas;
    const FAR = 2; // of three sizes the most steps from one to another
    const clicks = []; // not answered yet; the first is being looked for
    let last = null; // the last answered one, with the masks before and after it
    const say = (text) => (find("#select-said").textContent = text);

    function ask() {
        say(clicks.length > 1 ? `Looking for ${clicks.length} objects…` : "Looking for the object…");
        page.trigger("select-ask");
    }

    function want(click) {
        if (state.shown) page.keepResult();
        page.proposal.drop();
        clicks.push({photo: state.photo, level: 0, ...click});
        if (clicks.length === 1) ask();
    }

    const share = ({x, y}) => [Math.min(0.9999, Math.max(0, x / state.width)), Math.min(0.9999, Math.max(0, y / state.height))];

    /** `at`: in pixels of the picture. */
    const clicked = (at, erase) => want({erase, place: [...share(at), null, null]});

    /** `a`, `b`: two opposite corners. */
    function boxed(a, b, erase) {
        const [[x0, y0], [x1, y1]] = [share(a), share(b)];
        if (x0 !== x1 && y0 !== y1) want({erase, place: [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)]});
    }

    /** Whether the last answer stands as it came, and one of another size may be asked for. */
    const resizable = (by) => Boolean(last && last.after === state.mask && !clicks.length && Math.abs(last.level + by) <= FAR);

    /** The next larger or smaller thing at the same place, in place of the last answer. */
    function resize(by) {
        if (resizable(by)) want({...last, level: last.level + by});
    }

    async function found(file) {
        const click = clicks[0], {erase, photo} = click;
        const object = photo && photo === state.photo ? await page.pixels(file, (data, at) => data[4 * at] > 127) : null;
        if (object && photo === state.photo) {
            const before = click.after === state.mask ? click.before : state.mask;
            canvas.replace(before.map(erase ? (one, at) => one & (1 - object[at]) : (one, at) => one | object[at]));
            last = {...click, before, after: state.mask};
            const share = (100 * object.reduce((sum, one) => sum + one, 0)) / object.length;
            say(`${erase ? "Removed" : "Added"}: ${share < 1 ? "less than 1" : Math.round(share)} % of the photo.`);
        } else say("");
        clicks.shift();
        page.refresh();
        if (clicks.length) ask();
    }

    function failed() {
        clicks.length = 0;
        say("");
    }

    const place = async () => {
        await page.kept;
        return [...clicks[0].place, clicks[0].level];
    };

    page.select = {answered: () => last !== null, clicked, boxed, resize, resizable, place, found, failed, waiting: () => clicks.length};
}
