# The users API on AWS: an HTTP API in front of a Lambda function, which signs in to Aurora with IAM
# tokens. The Aurora cluster itself is made by `sunup database create`: Terraform's AWS provider has
# no argument for the express configuration (hashicorp/terraform-provider-aws#47117). On Aurora DSQL
# (db_engine = "dsql") either makes it: see dsql.tf.

terraform {
  required_version = ">= 1.9" # validations that look at other variables

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge({ Application = var.name, ManagedBy = "terraform" }, var.tags)
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  # Each Lambda instance holds one connection. max_connections follows from the maximum ACU, capped
  # because the cluster pauses at zero (Aurora User Guide, "Maximum connections for Aurora Serverless v2").
  aurora_connections = min(2000, floor(189.5 + (max(var.max_acu, 1) - 1) * 211.4))

  # Aurora DSQL takes 10,000 (its User Guide, "Cluster quotas and database limits").
  connection_limit = var.db_engine == "dsql" ? 10000 : local.aurora_connections

  # For migrations, psql and PostgreSQL's own superuser_reserved_connections.
  connections_kept_free = 10
}

# A warning, not an error: some APIs are meant to be open.
check "the_api_is_protected" {
  assert {
    condition     = var.authorization != "NONE" || var.public
    error_message = "Anybody on the internet can call this API, and each call can wake the database. Set authorization to JWT or AWS_IAM, or say that it is meant so: public = true."
  }
}
