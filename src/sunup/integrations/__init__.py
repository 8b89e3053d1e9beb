"""sunup's connections for other libraries: one module each, imported only by who uses it."""
