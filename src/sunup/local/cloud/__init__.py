"""What is made on AWS: the cluster, its database and roles, the function and its log."""
