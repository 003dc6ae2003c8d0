"""What surrounds every page: the frame, who may see it, who reviews, long jobs, links."""
