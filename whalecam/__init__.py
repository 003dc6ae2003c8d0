"""WhaleCAM: find, prove and sign the images whose classification rests on the water."""
