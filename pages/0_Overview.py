"""The overview at the address of its name; the menu leads to the first page, which is the same."""

from whalecam.app.screens import overview

overview.show()
