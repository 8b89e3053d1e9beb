data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "function" {
  name               = "${var.name}-function"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

data "aws_iam_policy_document" "logs" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function.arn}:*"]
  }
}

resource "aws_iam_role_policy" "logs" {
  name   = "logs"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.logs.json
}

# This is the only wall in front of the database: an express cluster has no VPC and no security group,
# and neither has Aurora DSQL. Of Aurora, one cluster by its resource id, one role by its name; a colon
# before dbuser's parts, a slash between. Of Aurora DSQL, the cluster: which role, the database says
# (AWS IAM GRANT). Not dsql:DbConnectAdmin, which is its admin's.
data "aws_iam_policy_document" "database" {
  statement {
    actions = [var.db_engine == "dsql" ? "dsql:DbConnect" : "rds-db:connect"]
    resources = [
      var.db_engine == "dsql" ? local.dsql_arn : "arn:${data.aws_partition.current.partition}:rds-db:${local.db_region}:${data.aws_caller_identity.current.account_id}:dbuser:${var.db_cluster_resource_id}/${var.db_user}",
    ]
  }
}

resource "aws_iam_role_policy" "database" {
  name   = "database"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.database.json
}

# What further settings need; nothing without them. The role is every release's, also that of one to
# which sunup rollback goes back.
locals {
  # A name's first slash is the one after "parameter" (Systems Manager User Guide, "Restricting access
  # to Parameter Store parameters using IAM policies").
  function_parameters = [
    for parameter in values(var.parameters) :
    "arn:${data.aws_partition.current.partition}:ssm:${var.region}:${data.aws_caller_identity.current.account_id}:parameter/${trimprefix(parameter, "/")}"
  ]

  # The names, not the values: the function fetches them at INIT (docs/deploy.md).
  parameters = length(var.parameters) == 0 ? {} : { SUNUP_PARAMETERS = jsonencode(var.parameters) }

  # All six, on all resources (Lambda Developer Guide, "Giving Lambda functions access to resources in
  # an Amazon VPC").
  network_actions = [
    "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
  ]

  # No kms:Decrypt for parameters with AWS's own key: aws/ssm's policy lets in whoever may read the
  # parameter, through Systems Manager (KMS Developer Guide, "AWS managed keys"). A third key needs a
  # statement of its own.
  further_statements = concat(
    # X-Ray's actions that write know no resources (Service Authorization Reference).
    var.tracing ? [{ actions = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], resources = ["*"] }] : [],
    var.kms_key_arn == null ? [] : [{ actions = ["kms:Decrypt"], resources = [var.kms_key_arn] }],
    length(var.parameters) == 0 ? [] : [{ actions = ["ssm:GetParameters"], resources = local.function_parameters }],
    var.vpc == null ? [] : [{ actions = local.network_actions, resources = ["*"] }],
    var.statements,
  )
}

data "aws_iam_policy_document" "settings" {
  dynamic "statement" {
    for_each = local.further_statements

    content {
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }

  # Lambda needs them, the function's code does not (the same page, "Security best practices").
  dynamic "statement" {
    for_each = var.vpc == null ? [] : [1]

    content {
      effect    = "Deny"
      actions   = local.network_actions
      resources = ["*"]

      condition {
        test     = "ArnEquals"
        variable = "lambda:SourceFunctionArn"
        values   = ["arn:${data.aws_partition.current.partition}:lambda:${var.region}:${data.aws_caller_identity.current.account_id}:function:${var.name}"]
      }
    }
  }
}

resource "aws_iam_role_policy" "settings" {
  count = length(local.further_statements) > 0 ? 1 : 0

  name   = "settings"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.settings.json

  # Taken away after the function is changed, which needs it until then.
  lifecycle {
    create_before_destroy = true
  }
}
