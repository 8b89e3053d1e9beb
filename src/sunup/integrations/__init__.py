"""sunup's connections for other libraries: one module each, imported only where it is used."""
