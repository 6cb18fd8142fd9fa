"""What is wrong with a photo's file; each message says what came, what is allowed and what to do."""


class PhotoError(ValueError):
    """A file that is not a photo we can take."""


class TooLargeError(PhotoError):
    """More bytes or pixels than are allowed."""


class NotAPhotoError(PhotoError):
    """Another kind of file, or of picture."""
