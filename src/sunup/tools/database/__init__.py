"""The Aurora cluster: made, described, deleted; its database and roles."""
