locals {
  alarm_actions = var.alarm_email == null ? [] : [aws_sns_topic.alarms[0].arn]

  # Sums over five minutes. A quiet API sends no data, which is fine. FunctionName alone covers all
  # versions and aliases (Lambda Developer Guide, "Viewing metrics for Lambda functions"), so also a
  # release that a gradual shift has just begun to call.
  alarms = {
    errors = {
      description = "The function failed or ran out of time"
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = aws_lambda_function.api.function_name }
    }
    throttles = {
      description = "Requests were refused because all concurrency was in use"
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = aws_lambda_function.api.function_name }
    }
    server-errors = {
      description = "The API answered with server errors; a database that did not wake in time is one"
      namespace   = "AWS/ApiGateway"
      metric      = "5xx"
      dimensions  = { ApiId = aws_apigatewayv2_api.api.id }
    }
    database-refusals = {
      description = "The database refused connections: full, or it does not accept the token"
      namespace   = "sunup/${var.name}"
      metric      = "DatabaseRefusals"
      dimensions  = {}
    }
  }
}

resource "aws_cloudwatch_log_metric_filter" "database_refusals" {
  count = var.alarms ? 1 : 0

  name           = "${var.name}-database-refusals"
  log_group_name = aws_cloudwatch_log_group.function.name

  # The codes of docs/failures.md that somebody must act on, in the request's log line.
  pattern = "{ $.code = \"database_full\" || $.code = \"token_refused\" || $.code = \"access_refused\" || $.code = \"credentials_missing\" || $.code = \"tls_failed\" || $.code = \"database_missing\" }"

  metric_transformation {
    namespace = "sunup/${var.name}"
    name      = "DatabaseRefusals"
    value     = "1"
  }
}

resource "aws_sns_topic" "alarms" {
  count = var.alarm_email == null ? 0 : 1

  name = "${var.name}-alarms"
}

resource "aws_sns_topic_subscription" "alarms" {
  count = var.alarm_email == null ? 0 : 1

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, alarm in local.alarms : name => alarm if var.alarms }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}
