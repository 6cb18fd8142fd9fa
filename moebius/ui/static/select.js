// A click that selects an object: its place goes to the server, and the mask that comes back is added to what is
// painted, or taken away. Gradio's hidden button #select-ask sends `place()`, and its answer comes to `found` or `failed`.
(page) => {
    const {canvas, state, tools} = page, {find} = canvas;
    const clicks = []; // not answered yet; the first is being looked for
    const say = (text) => (find("#select-said").textContent = text);

    function ask() {
        say(clicks.length > 1 ? `Looking for ${clicks.length} objects…` : "Looking for the object…");
        page.trigger("select-ask");
    }

    /** `at`: in pixels of the picture. */
    function clicked(at, erase) {
        if (state.shown) page.keepResult();
        clicks.push({x: at.x / state.width, y: at.y / state.height, erase, photo: state.photo});
        if (clicks.length === 1) ask();
    }

    async function found(file) {
        const {erase, photo} = clicks[0];
        const object = photo && photo === state.photo ? await page.pixels(file, (data, at) => data[4 * at] > 127) : null;
        if (object && photo === state.photo) {
            canvas.replace(state.mask.map(erase ? (one, at) => one & (1 - object[at]) : (one, at) => one | object[at]));
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

    const place = async () => {
        await page.kept;
        return [clicks[0].x, clicks[0].y];
    };

    page.select = {clicked, place, found, failed, waiting: () => clicks.length};
}
