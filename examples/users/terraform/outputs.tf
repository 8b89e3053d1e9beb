output "api_url" {
  description = "Where the API answers."
  value       = var.domain_name == null ? aws_apigatewayv2_api.api.api_endpoint : "https://${var.domain_name}"
}

output "lambda_function_name" {
  description = "The function's name."
  value       = aws_lambda_function.api.function_name
}

output "lambda_function_arn" {
  description = "The function's ARN."
  value       = aws_lambda_function.api.arn
}

output "lambda_log_group_name" {
  description = "The function's log, which `sunup logs` reads."
  value       = aws_cloudwatch_log_group.function.name
}

output "lambda_iam_role_arn" {
  description = "The role that signs the tokens."
  value       = aws_iam_role.function.arn
}

output "lambda_alias" {
  description = "The alias that the API calls; sunup deploy and sunup rollback move it."
  value       = aws_lambda_alias.live.name
}

output "access_log_group_name" {
  description = "The gateway's log: what never reached the function is here only."
  value       = aws_cloudwatch_log_group.access.name
}

output "db_host" {
  description = "Of Aurora DSQL: the endpoint."
  value       = var.db_engine == "dsql" ? local.db_host : null
}

output "dsql_cluster_identifier" {
  description = "The Aurora DSQL cluster, for sunup database create --cluster."
  value       = var.db_engine == "dsql" ? local.dsql_identifier : null
}

output "dsql_cluster_arn" {
  description = "The Aurora DSQL cluster; of two regions, the other one's dsql_peer."
  value       = var.db_engine == "dsql" ? local.dsql_arn : null
}

output "connection_limit" {
  description = "How many connections the database takes: of Aurora from max_acu, of Aurora DSQL 10,000."
  value       = local.connection_limit
}

output "domain_target" {
  description = "What a CNAME of domain_name must point to, where hosted_zone_id is not given."
  value       = var.domain_name == null ? null : aws_apigatewayv2_domain_name.api[0].domain_name_configuration[0].target_domain_name
}

output "alarm_names" {
  description = "The alarms, which judge a gradual shift (sunup deploy --canary)."
  value       = [for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name]
}

output "authorization" {
  description = "Who may call: NONE (anybody), JWT or AWS_IAM."
  value       = var.authorization
}
