"""What maintainers run, from the repository's folder."""
