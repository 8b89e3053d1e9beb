"""Templates of the files for GitHub's jobs: `@name@` stands for what differs."""
