"""Charts of the pages, made from small tables."""
