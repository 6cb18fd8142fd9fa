"""The Many photos tab."""
