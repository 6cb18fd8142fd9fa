"""From scores to figures, tables, plots and pages."""
