"""Published protocols and methods, each in a module of its own; the commands that run them lie one floor up."""
