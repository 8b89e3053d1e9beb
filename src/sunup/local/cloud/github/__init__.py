"""GitHub's side: the repository, and templates of its files: `@name@` stands for what differs."""
