"""What runs on a laptop or in CI, and never on Lambda: no deployment package contains it."""
