"""What the commands do, apart from how they look. On the developer's machine, never on Lambda."""
