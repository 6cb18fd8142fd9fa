"""What people read and look at: tables of figures, and drawings of photos with their holes."""
