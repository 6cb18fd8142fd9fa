"""Results for people: tables of figures, and drawings of photos with their holes."""
