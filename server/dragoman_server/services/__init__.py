"""The services: they check and translate types, and compute nothing themselves."""
