// Keys of the Vote tab: each presses its button, once for what is shown.
(page) => {
    const KEYS = {1: "left", 2: "right", 0: "equal", "=": "equal", f: "flaw", s: "skip", z: "back"};
    const shown = () => document.querySelector("#vote .vote")?.dataset.ticket ?? "";
    let voted = null;
    document.addEventListener("keydown", (event) => {
        if (!document.querySelector("#vote-tab-button[aria-selected=true]")) return;
        if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest?.("input, textarea")) return;
        const choice = KEYS[event.key.toLowerCase()];
        if (!choice) return;
        event.preventDefault();
        if (choice !== "back" && (!shown() || voted === shown())) return; // the next pair is not there yet
        voted = choice === "back" ? null : shown();
        document.querySelector(`#vote-${choice}`)?.click();
    });
}
