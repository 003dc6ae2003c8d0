"""What runs in the browser: a folder of Python, JavaScript and CSS for each component."""
