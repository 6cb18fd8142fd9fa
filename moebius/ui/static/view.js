// Where the picture lies on the stage: `scale`, pixels of the page for one of the picture, and its upper left corner.
// Pure functions.
(page) => {
    const LARGEST = 16; // times the size at which the whole picture fits

    /** The whole picture in the middle of the stage. */
    function fit(picture, stage) {
        const scale = Math.min(stage.width / picture.width, stage.height / picture.height);
        return {scale, x: (stage.width - picture.width * scale) / 2, y: (stage.height - picture.height * scale) / 2};
    }

    /** No smaller than it fits, and no edge further in than it has to be. */
    function within(view, picture, stage) {
        const whole = fit(picture, stage);
        const scale = Math.min(Math.max(view.scale, whole.scale), whole.scale * LARGEST);
        const place = (at, size, room) => (size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, at)));
        return {
            scale,
            x: place(view.x, picture.width * scale, stage.width),
            y: place(view.y, picture.height * scale, stage.height),
        };
    }

    /** Zoomed by `factor`, with the picture's point at `from` moved to `to`, both in pixels of the stage. */
    function zoom(view, factor, from, to, picture, stage) {
        const whole = fit(picture, stage).scale;
        const scale = Math.min(Math.max(view.scale * factor, whole), whole * LARGEST);
        const ratio = scale / view.scale;
        return within({scale, x: to.x - (from.x - view.x) * ratio, y: to.y - (from.y - view.y) * ratio}, picture, stage);
    }

    /** A box of the picture in the middle, with as much around it. */
    function around([left, top, right, bottom], picture, stage) {
        const scale = Math.min(stage.width / (2 * (right - left)), stage.height / (2 * (bottom - top)));
        const bounded = Math.min(Math.max(scale, fit(picture, stage).scale), fit(picture, stage).scale * LARGEST);
        const middle = {x: (left + right) / 2, y: (top + bottom) / 2};
        return within({scale: bounded, x: stage.width / 2 - middle.x * bounded, y: stage.height / 2 - middle.y * bounded}, picture, stage);
    }

    const toPicture = (view, at) => ({x: (at.x - view.x) / view.scale, y: (at.y - view.y) / view.scale});

    page.views = {fit, within, zoom, around, toPicture};
}
