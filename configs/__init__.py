"""Run configurations; each file's docstring holds its command and its expected result."""
