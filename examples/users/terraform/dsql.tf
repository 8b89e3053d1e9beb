# Aurora DSQL (db_engine = "dsql"): unlike Aurora's express configuration, Terraform can make a cluster.
# What it cannot make is in the database: the app's role, which IAM role may be it (AWS IAM GRANT), and
# its rights. `sunup database create --engine dsql --cluster` and `sunup deploy` do that.

locals {
  # <identifier>.dsql.<region>.on.aws (Aurora DSQL User Guide, "Accessing Aurora DSQL").
  dsql_identifier = var.create_dsql_cluster ? one(aws_dsql_cluster.this[*].identifier) : try(split(".", var.db_host)[0], "")
  dsql_host       = var.create_dsql_cluster ? "${local.dsql_identifier}.dsql.${var.region}.on.aws" : var.db_host
  dsql_arn        = "arn:${data.aws_partition.current.partition}:dsql:${local.db_region}:${data.aws_caller_identity.current.account_id}:cluster/${local.dsql_identifier}"
}

resource "aws_dsql_cluster" "this" {
  count = var.create_dsql_cluster ? 1 : 0

  deletion_protection_enabled = var.dsql_deletion_protection

  # A cluster in two regions waits for its peer after this (PENDING_SETUP), and takes no connection.
  dynamic "multi_region_properties" {
    for_each = var.dsql_witness_region == null ? [] : [1]

    content {
      witness_region = var.dsql_witness_region
    }
  }

  tags = { Name = var.name }
}

resource "aws_dsql_cluster_peering" "this" {
  count = var.dsql_peer == null ? 0 : 1

  identifier     = local.dsql_identifier
  clusters       = [var.dsql_peer]
  witness_region = var.dsql_witness_region
}
