"""A blind vote between fills: what is voted on, in which order, and where the votes are kept. The page is `ui.vote`."""
