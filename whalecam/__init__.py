"""WhaleCAM: find, prove and sign the images whose classification rests on the water."""

__version__ = "0.2.0"
