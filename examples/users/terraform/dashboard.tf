# CloudWatch User Guide, "Dashboard body structure and syntax": "." repeats the line above, "..." all of it.
locals {
  widgets = concat(
    [
      {
        title = "Requests and errors"
        metrics = [
          ["AWS/Lambda", "Invocations", "FunctionName", var.name, { stat = "Sum" }],
          [".", "Errors", ".", ".", { stat = "Sum" }],
        ]
      },
      {
        title = "Duration of the function, ms"
        metrics = [
          ["AWS/Lambda", "Duration", "FunctionName", var.name, { stat = "p50" }],
          ["...", { stat = "p95" }],
          ["...", { stat = "p99" }],
        ]
      },
      {
        title = "Instances at once, and requests refused for want of one"
        metrics = [
          ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", var.name, { stat = "Maximum" }],
          [".", "Throttles", ".", ".", { stat = "Sum", yAxis = "right" }],
        ]
      },
      {
        title = "The API: latency, ms, and answers 4xx and 5xx"
        metrics = [
          ["AWS/ApiGateway", "Latency", "ApiId", aws_apigatewayv2_api.api.id, { stat = "p95" }],
          [".", "4xx", ".", ".", { stat = "Sum", yAxis = "right" }],
          [".", "5xx", ".", ".", { stat = "Sum", yAxis = "right" }],
        ]
      },
    ],
    [
      for widget in [
        {
          title   = "Capacity of the database, ACU; 0 while it sleeps"
          metrics = [["AWS/RDS", "ServerlessDatabaseCapacity", "DBClusterIdentifier", var.db_cluster_identifier, { stat = "Maximum" }]]
        },
        {
          title   = "Connections of the database"
          metrics = [["AWS/RDS", "DatabaseConnections", "DBClusterIdentifier", var.db_cluster_identifier, { stat = "Maximum" }]]
        },
      ] : merge(widget, { region = local.db_region }) if var.db_engine == "aurora" && var.db_cluster_identifier != null
    ],
    # Aurora DSQL User Guide, "Monitoring Aurora DSQL with Amazon CloudWatch"; the dimension as one of
    # its makers shows it (Marc Bowes, "DSQL: how to spend a dollar").
    [
      for widget in [
        {
          title = "What the database is paid for, DPU (100,000 a month are free), and its size, bytes"
          metrics = [
            ["AWS/AuroraDSQL", "TotalDPU", "ClusterId", local.dsql_identifier, { stat = "Sum" }],
            [".", "ClusterStorageSize", ".", ".", { stat = "Maximum", yAxis = "right" }],
          ]
        },
        {
          title = "Transactions; those that lost to another one, and those that took too long"
          metrics = [
            ["AWS/AuroraDSQL", "TotalTransactions", "ClusterId", local.dsql_identifier, { stat = "Sum" }],
            [".", "OccConflicts", ".", ".", { stat = "Sum", yAxis = "right" }],
            [".", "QueryTimeouts", ".", ".", { stat = "Sum", yAxis = "right" }],
          ]
        },
        {
          title   = "COMMIT, ms"
          metrics = [["AWS/AuroraDSQL", "CommitLatency", "ClusterId", local.dsql_identifier, { stat = "Average" }]]
        },
      ] : merge(widget, { region = local.db_region }) if var.db_engine == "dsql"
    ],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for number, widget in local.widgets : {
        type   = "metric"
        x      = number % 2 * 12
        y      = floor(number / 2) * 6
        width  = 12
        height = 6
        properties = {
          title   = widget.title
          region  = lookup(widget, "region", var.region)
          view    = "timeSeries"
          period  = 60
          metrics = widget.metrics
        }
      }
    ]
  })
}
