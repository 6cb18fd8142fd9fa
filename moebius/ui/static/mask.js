// Masks: Uint8Array, 1 = repaint, row by row. Pure functions; each that paints returns the box that it touched.
(page) => {
    /** Left, top, right, bottom of whole pixels within the picture; null: nothing of it lies there. */
    function box(left, top, right, bottom, width, height) {
        const at = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top)), Math.min(width, Math.ceil(right)), Math.min(height, Math.ceil(bottom))];
        return at[0] < at[2] && at[1] < at[3] ? at : null;
    }

    /** Every pixel whose middle lies within `radius` of the line from `a` to `b`. */
    function line(mask, width, height, a, b, radius, value) {
        const touched = box(Math.min(a.x, b.x) - radius, Math.min(a.y, b.y) - radius, Math.max(a.x, b.x) + radius, Math.max(a.y, b.y) + radius, width, height);
        if (!touched) return null;
        const dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy, most = radius * radius;
        for (let y = touched[1]; y < touched[3]; y++) {
            for (let x = touched[0]; x < touched[2]; x++) {
                const px = x + 0.5 - a.x, py = y + 0.5 - a.y;
                const share = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
                const ex = px - share * dx, ey = py - share * dy;
                if (ex * ex + ey * ey <= most) mask[y * width + x] = value;
            }
        }
        return touched;
    }

    /** Every pixel whose middle lies inside the polygon, by the even-odd rule. */
    function polygon(mask, width, height, points, value) {
        const xs = points.map((one) => one.x), ys = points.map((one) => one.y);
        const touched = points.length > 2 && box(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys), width, height);
        if (!touched) return null;
        for (let y = touched[1]; y < touched[3]; y++) {
            const at = y + 0.5, crossings = [];
            points.forEach((one, index) => {
                const other = points[(index + 1) % points.length];
                if (one.y <= at !== other.y <= at) crossings.push(one.x + ((at - one.y) / (other.y - one.y)) * (other.x - one.x));
            });
            crossings.sort((one, other) => one - other);
            for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
                const from = Math.max(0, Math.ceil(crossings[pair] - 0.5)), to = Math.min(width, Math.ceil(crossings[pair + 1] - 0.5));
                if (from < to) mask.fill(value, y * width + from, y * width + to);
            }
        }
        return touched;
    }

    const rectangle = (mask, width, height, a, b, value) =>
        polygon(mask, width, height, [a, {x: b.x, y: a.y}, b, {x: a.x, y: b.y}], value);

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
        grow,
        shrink: (mask, width, height, radius) => invert(grow(invert(mask), width, height, radius)),
        invert,
        clear: (mask) => new Uint8Array(mask.length),
    };

    /** The smallest box around what is painted; null: nothing is. */
    function bounds(mask, width, height) {
        let [left, top, right, bottom] = [width, height, 0, 0];
        for (let y = 0; y < height; y++) {
            const first = mask.subarray(y * width, (y + 1) * width).indexOf(1);
            if (first < 0) continue;
            left = Math.min(left, first);
            right = Math.max(right, mask.subarray(y * width, (y + 1) * width).lastIndexOf(1) + 1);
            top = Math.min(top, y);
            bottom = y + 1;
        }
        return right ? [left, top, right, bottom] : null;
    }

    /** An eighth of the memory. */
    function pack(mask) {
        const bits = new Uint8Array(Math.ceil(mask.length / 8));
        mask.forEach((one, at) => one && (bits[at >> 3] |= 1 << (at & 7)));
        return bits;
    }

    function unpack(bits, length) {
        return Uint8Array.from({length}, (_, at) => (bits[at >> 3] >> (at & 7)) & 1);
    }

    /** What can be undone and redone: the masks before and after, 60 of them at most. */
    class History {
        constructor(mask) {
            [this.past, this.future, this.now, this.length] = [[], [], pack(mask), mask.length];
        }

        /** Take the mask as it is after a change; false: nothing was changed. */
        add(mask) {
            const bits = pack(mask);
            if (bits.every((one, at) => one === this.now[at])) return false;
            this.past.push(this.now);
            if (this.past.length > 60) this.past.shift();
            [this.now, this.future] = [bits, []];
            return true;
        }

        /** The mask one step back, or forth; null: there is none. */
        step(from, to) {
            if (!from.length) return null;
            to.push(this.now);
            this.now = from.pop();
            return unpack(this.now, this.length);
        }

        undo = () => this.step(this.past, this.future);
        redo = () => this.step(this.future, this.past);
    }

    page.masks = {line, polygon, rectangle, CHANGES, bounds, pack, unpack, History};
}
