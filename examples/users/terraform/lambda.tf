resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# Terraform owns the function, `sunup deploy` its code and what the alias points to. What goes live
# with the code (runtime, processor, handler) counts at creation only.
resource "aws_lambda_function" "api" {
  function_name = var.name
  role          = aws_iam_role.function.arn

  filename      = var.lambda_zip
  handler       = var.lambda_handler
  runtime       = var.lambda_runtime
  architectures = [var.lambda_architecture]

  memory_size                    = var.lambda_memory
  timeout                        = var.lambda_timeout
  reserved_concurrent_executions = var.reserved_concurrency == null ? -1 : var.reserved_concurrency

  publish = false # sunup deploy publishes, with the commit in the description

  kms_key_arn = var.kms_key_arn

  environment {
    # With `tracing` X-Ray, unless `environment` says otherwise (TRACES = "otel").
    variables = merge({ TRACES = var.tracing ? "xray" : "off" }, var.environment, local.parameters, local.db_session, {
      DB_HOST         = local.db_host
      DB_NAME         = local.db_name
      DB_USER         = var.db_user
      GATEWAY_TIMEOUT = tostring(local.gateway_timeout)
      LOG_LEVEL       = var.log_level
      METRICS         = var.metrics
      TZ              = var.timezone
    })
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function.name
    # sunup itself writes what LOG_LEVEL asks for. A filter here would take the level of a line that it does not understand
    # for INFO, and drop lines with metrics.
    application_log_level = var.log_level == "DEBUG" ? "DEBUG" : "INFO"
    system_log_level      = "INFO" # platform.report: durations and memory, which `sunup logs` shows
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  # Of published versions only, as the alias calls them.
  dynamic "snap_start" {
    for_each = var.snap_start ? [1] : []

    content {
      apply_on = "PublishedVersions"
    }
  }

  lifecycle {
    ignore_changes = [
      filename, source_code_hash, s3_bucket, s3_key, s3_object_version, handler, runtime, architectures,
    ]
  }

  depends_on = [aws_iam_role_policy.logs, aws_iam_role_policy.database, aws_iam_role_policy.settings]
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "What the API calls"
  function_name    = aws_lambda_function.api.function_name
  function_version = "$LATEST" # until sunup deploy has published the first release

  lifecycle {
    ignore_changes = [function_version, routing_config, description]
  }
}

resource "aws_lambda_permission" "api_gateway" {
  statement_id  = "AllowApiGateway"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.api.function_name
  qualifier     = aws_lambda_alias.live.name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.api.execution_arn}/*/*"
}
