"""What many images have in common: places in a map, strategies of the network, where a species is looked at."""
