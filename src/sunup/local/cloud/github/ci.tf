@mark@
# What GitHub's jobs need in AWS: a bucket for the state, and two roles without keys. Applied once, by
# an administrator, here: terraform init && terraform apply
# Made by `sunup ci github`; yours to change.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  description = "The region of the function and the API."
  type        = string
  default     = @region@
}

variable "name" {
  description = "The function's name: all that may be changed begins with it."
  type        = string
  default     = @name@

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{2,39}$", var.name))
    error_message = "name must be 3 to 40 letters, digits and hyphens: IAM permissions go by this prefix."
  }
}

variable "bucket" {
  description = "The bucket for the state."
  type        = string
  default     = @bucket@
}

variable "create_bucket" {
  description = "false where the bucket is there already, as for another stage."
  type        = bool
  default     = @create_bucket@
}

variable "state" {
  description = "The state's objects in the bucket."
  type        = list(string)
  default     = @state@
}

variable "packages" {
  description = "Where packages above 50 MB go, as bucket/folder: [tool.sunup] bucket names it."
  type        = string
  default     = @packages@
}

variable "repository" {
  description = "GitHub's owner/name."
  type        = string
  default     = @repository@
}

variable "repository_id" {
  description = "GitHub's number of the repository: a new one of the same name is another. gh api repos/OWNER/NAME --jq .id"
  type        = string
  default     = @repository_id@

  validation {
    condition     = can(regex("^[0-9]+$", var.repository_id))
    error_message = "repository_id must be a number: gh api repos/OWNER/NAME --jq .id"
  }
}

variable "owner_id" {
  description = "GitHub's number of the owner. gh api repos/OWNER/NAME --jq .owner.id"
  type        = string
  default     = @owner_id@

  validation {
    condition     = can(regex("^[0-9]+$", var.owner_id))
    error_message = "owner_id must be a number: gh api repos/OWNER/NAME --jq .owner.id"
  }
}

variable "environment" {
  description = "The GitHub environment whose jobs may deploy; protect it with reviewers."
  type        = string
  default     = @environment@
}

variable "migration_users" {
  description = "The roles of the database that migrate, as db_cluster_resource_id/user."
  type        = list(string)
  default     = @migration_users@
}

variable "dsql_clusters" {
  description = "The Aurora DSQL clusters that are migrated, by their admin, as region/identifier. The jobs do not make, change or delete one, where Terraform has it: an administrator does."
  type        = list(string)
  default     = @dsql_clusters@

  validation {
    condition     = alltrue([for each in var.dsql_clusters : can(regex("^[a-z0-9-]+/[a-z0-9]{26}$", each))])
    error_message = "dsql_clusters must be as region/identifier, such as eu-central-1/abcdefghijklmnopqrstuvwxyz."
  }
}

variable "create_provider" {
  description = "false where the account has GitHub's OIDC provider already: there can be one only."
  type        = bool
  default     = @create_provider@
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  issuer    = "token.actions.githubusercontent.com"
  provider  = "arn:${local.partition}:iam::${local.account}:oidc-provider/${local.issuer}"

  # Both forms of GitHub's subject: repositories made, renamed or moved since 2026-07-15 have the
  # numbers in it (GitHub Docs, "OpenID Connect reference").
  owner = split("/", var.repository)[0]
  short = split("/", var.repository)[1]
  named = ["${local.owner}/${local.short}", "${local.owner}@${var.owner_id}/${local.short}@${var.repository_id}"]

  # A colon in it is escaped there (the same page).
  environment = replace(var.environment, ":", "%3A")

  subjects = {
    deploy = [for each in local.named : "repo:${each}:environment:${local.environment}"]
    plan   = [for each in local.named : "repo:${each}:pull_request"]
  }
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_provider ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "trust" {
  for_each = local.subjects

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [local.provider]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = each.value
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:repository_id"
      values   = [var.repository_id]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:repository_owner_id"
      values   = [var.owner_id]
    }
  }
}

resource "aws_iam_role" "github" {
  for_each = local.subjects

  name               = "${var.name}-github-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.trust[each.key].json

  depends_on = [aws_iam_openid_connect_provider.github]
}

# What a plan reads. Of the states only its own; the lock is an object beside it.
data "aws_iam_policy_document" "read" {
  statement {
    actions   = ["s3:ListBucket"]
    resources = [local.bucket]
  }

  statement {
    actions   = ["s3:GetObject"]
    resources = local.state_objects
  }

  statement {
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = [for each in local.state_objects : "${each}.tflock"]
  }

  statement {
    actions = [
      "lambda:GetFunction", "lambda:GetFunctionConfiguration", "lambda:GetFunctionCodeSigningConfig",
      "lambda:GetFunctionConcurrency", "lambda:GetPolicy", "lambda:GetAlias", "lambda:ListAliases",
      "lambda:ListVersionsByFunction", "lambda:ListTags",
    ]
    resources = local.functions
  }

  statement {
    actions = [
      "iam:GetRole", "iam:GetRolePolicy", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies",
      "iam:ListInstanceProfilesForRole",
    ]
    resources = local.roles
  }

  statement {
    actions   = ["apigateway:GET"]
    resources = ["arn:${local.partition}:apigateway:${var.region}::/*"]
  }

  # These list, or know no resources (Service Authorization Reference).
  statement {
    actions = [
      "logs:DescribeLogGroups", "logs:DescribeMetricFilters", "logs:ListTagsForResource",
      "cloudwatch:DescribeAlarms", "cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource",
      "sts:GetCallerIdentity",
    ]
    resources = ["*"]
  }

  statement {
    actions = ["sns:GetTopicAttributes", "sns:GetSubscriptionAttributes", "sns:ListTagsForResource", "scheduler:GetSchedule"]
    resources = [
      "arn:${local.partition}:sns:${var.region}:${local.account}:${var.name}*",
      "arn:${local.partition}:scheduler:${var.region}:${local.account}:schedule/default/${var.name}*",
    ]
  }

  # Of a cluster that is in Terraform's state (create_dsql_cluster).
  dynamic "statement" {
    for_each = length(local.dsql_clusters) > 0 ? [1] : []

    content {
      actions   = ["dsql:GetCluster", "dsql:GetVpcEndpointServiceName", "dsql:ListTagsForResource"]
      resources = local.dsql_clusters
    }
  }
}

# What a deployment changes: what begins with the app's name, and nothing else.
data "aws_iam_policy_document" "write" {
  statement {
    actions   = ["s3:PutObject", "s3:GetObject"]
    resources = concat(local.state_objects, ["arn:${local.partition}:s3:::${var.packages}/*"])
  }

  statement {
    actions = [
      "lambda:CreateFunction", "lambda:DeleteFunction", "lambda:UpdateFunctionCode",
      "lambda:UpdateFunctionConfiguration", "lambda:PublishVersion", "lambda:CreateAlias", "lambda:UpdateAlias",
      "lambda:DeleteAlias", "lambda:AddPermission", "lambda:RemovePermission", "lambda:TagResource",
      "lambda:UntagResource", "lambda:PutFunctionConcurrency", "lambda:DeleteFunctionConcurrency",
    ]
    resources = local.functions
  }

  # Not the roles of these jobs: they could give themselves more.
  statement {
    actions = [
      "iam:CreateRole", "iam:DeleteRole", "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy",
      "iam:DeleteRolePolicy", "iam:TagRole", "iam:UntagRole",
    ]
    resources = local.app_roles
  }

  statement {
    actions   = ["iam:PassRole"]
    resources = local.app_roles

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["lambda.amazonaws.com", "scheduler.amazonaws.com"]
    }
  }

  statement {
    actions   = ["apigateway:POST", "apigateway:PUT", "apigateway:PATCH", "apigateway:DELETE", "apigateway:TagResource", "apigateway:UntagResource"]
    resources = ["arn:${local.partition}:apigateway:${var.region}::/*"]
  }

  statement {
    actions = ["logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:DeleteRetentionPolicy", "logs:PutMetricFilter", "logs:DeleteMetricFilter", "logs:TagResource", "logs:UntagResource"]
    resources = [
      for prefix in ["/aws/lambda/", "/aws/vendedlogs/apigateway/"] :
      "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:${prefix}${var.name}*"
    ]
  }

  # For the gateway's access log (API Gateway Developer Guide, "Configure logging for HTTP APIs").
  statement {
    actions   = ["logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery", "logs:ListLogDeliveries", "logs:DescribeResourcePolicies", "logs:PutResourcePolicy"]
    resources = ["*"]
  }

  statement {
    actions = ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:TagResource", "cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards", "sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:Unsubscribe", "sns:TagResource", "scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule"]
    resources = [
      "arn:${local.partition}:cloudwatch:${var.region}:${local.account}:alarm:${var.name}*",
      "arn:${local.partition}:cloudwatch::${local.account}:dashboard/${var.name}*",
      "arn:${local.partition}:sns:${var.region}:${local.account}:${var.name}*",
      "arn:${local.partition}:scheduler:${var.region}:${local.account}:schedule/default/${var.name}*",
    ]
  }

  dynamic "statement" {
    for_each = length(var.migration_users) > 0 ? [1] : []

    content {
      actions   = ["rds-db:connect"]
      resources = [for each in var.migration_users : "arn:${local.partition}:rds-db:${var.region}:${local.account}:dbuser:${each}"]
    }
  }

  # As admin: nobody else may make tables in the schema public, and let the function in.
  dynamic "statement" {
    for_each = length(local.dsql_clusters) > 0 ? [1] : []

    content {
      actions   = ["dsql:DbConnectAdmin"]
      resources = local.dsql_clusters
    }
  }
}

locals {
  functions = [
    "arn:${local.partition}:lambda:${var.region}:${local.account}:function:${var.name}",
    "arn:${local.partition}:lambda:${var.region}:${local.account}:function:${var.name}-*",
    "arn:${local.partition}:lambda:${var.region}:${local.account}:function:${var.name}:*",
  ]
  app_roles = [
    for suffix in ["function", "scheduler", "*-function", "*-scheduler"] :
    "arn:${local.partition}:iam::${local.account}:role/${var.name}-${suffix}"
  ]
  roles = local.app_roles

  dsql_clusters = [
    for each in var.dsql_clusters :
    "arn:${local.partition}:dsql:${split("/", each)[0]}:${local.account}:cluster/${split("/", each)[1]}"
  ]

  bucket        = "arn:${local.partition}:s3:::${var.bucket}"
  state_objects = [for each in var.state : "${local.bucket}/${each}"]
}

resource "aws_iam_role_policy" "read" {
  for_each = local.subjects

  name   = "read"
  role   = aws_iam_role.github[each.key].id
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_role_policy" "write" {
  name   = "write"
  role   = aws_iam_role.github["deploy"].id
  policy = data.aws_iam_policy_document.write.json
}

resource "aws_s3_bucket" "state" {
  count = var.create_bucket ? 1 : 0

  bucket = var.bucket
}

# An overwritten state can be had back.
resource "aws_s3_bucket_versioning" "state" {
  count = var.create_bucket ? 1 : 0

  bucket = aws_s3_bucket.state[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  count = var.create_bucket ? 1 : 0

  bucket = aws_s3_bucket.state[0].id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

output "AWS_PLAN_ROLE" {
  description = "A variable of the repository: gh variable set AWS_PLAN_ROLE --body ..."
  value       = aws_iam_role.github["plan"].arn
}

output "AWS_DEPLOY_ROLE" {
  description = "A variable of the environment: gh variable set AWS_DEPLOY_ROLE --env ... --body ..."
  value       = aws_iam_role.github["deploy"].arn
}
