"""Makes the deployment package: the zip file that Lambda unpacks."""
