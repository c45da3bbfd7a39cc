"""The Dragoman client for Python, and the `dragoman` command."""
