"""Pairs with a truth: objects pasted into photos, with the shadow and the reflection that they would have."""
