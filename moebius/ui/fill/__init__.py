"""The Fill tab and the photo beside it."""
