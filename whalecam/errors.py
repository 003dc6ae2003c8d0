"""Errors meant for people: each message says what is wrong, where, and what would be right."""


class WhalecamError(Exception):
    """Base of every error that WhaleCAM raises on purpose."""


class DatasetError(WhalecamError):
    """The CSV, the image folder, a mask folder or a box file cannot be used as given."""


class ModelError(WhalecamError):
    """A network cannot be built, loaded, trained or cut in two."""


class RunError(WhalecamError):
    """A run folder is missing, broken, of another version or not far enough along."""


class ReviewError(WhalecamError):
    """A verdict cannot be recorded, undone or imported."""


class AccessError(WhalecamError):
    """Nobody can sign in: the server's secrets are wrong."""


class ExtraError(WhalecamError):
    """An optional part of the install is missing."""
