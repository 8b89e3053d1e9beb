"""Aurora DSQL: its clusters, the app's role in one, and what a deployment does about it."""
