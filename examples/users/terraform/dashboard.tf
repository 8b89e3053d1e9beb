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
    # What sunup measures: as metrics, or asked of the log (Logs Insights, which charges for what it reads).
    [
      for widget in [
        {
          title = "Requests that waited for the database to wake, ms"
          metrics = [
            ["sunup", "resume_ms", "function", var.name, { stat = "p50" }],
            ["...", { stat = "Maximum" }],
            ["...", { stat = "SampleCount", yAxis = "right" }],
          ]
        },
        {
          title = "Query time of a request, ms"
          metrics = [
            ["sunup", "query_ms", "function", var.name, { stat = "p50" }],
            ["...", { stat = "p95" }],
          ]
        },
        {
          title = "Cold starts, and answers of 5xx"
          metrics = [
            ["sunup", "cold_start", "function", var.name, { stat = "Sum" }],
            [".", "errors", ".", ".", { stat = "Sum" }],
          ]
        },
        {
          title   = "Failures of the database, by code"
          metrics = [for code in local.failure_codes : ["sunup", code, "function", var.name, { stat = "Sum" }]]
        },
      ] : widget if var.metrics == "emf"
    ],
    [
      for widget in [
        {
          title = "Requests, those that waited for the database to wake, cold starts"
          view  = "timeSeries"
          query = "filter ispresent(status) and ispresent(path) | stats count(*) as requests, count(resume_ms) as waited, count(cold_start) as cold by bin(5m)"
        },
        {
          title = "Wait for the database to wake, ms"
          view  = "timeSeries"
          query = "filter resume_ms > 0 | stats pct(resume_ms, 50) as p50, max(resume_ms) as longest by bin(1h)"
        },
        {
          title = "Query time of a request, ms"
          view  = "timeSeries"
          query = "filter ispresent(query_ms) | stats pct(query_ms, 50) as p50, pct(query_ms, 95) as p95 by bin(5m)"
        },
        {
          title = "Failures by code"
          view  = "table"
          query = "filter ispresent(code) and ispresent(path) | stats count(*) as requests, max(duration_ms) as longest by code, status | sort requests desc"
        },
        {
          title = "The slowest requests"
          view  = "table"
          query = "filter ispresent(status) and ispresent(path) | fields @timestamp, method, path, status, duration_ms, resume_ms, query_ms, request_id | sort duration_ms desc | limit 20"
        },
      ] : widget if var.metrics == "off"
    ],
  )

  log_group = aws_cloudwatch_log_group.function.name

  # sunup's failures (docs/failures.md).
  failure_codes = [
    "access_refused", "connection_lost", "connections_busy", "connections_throttled", "credentials_missing", "database_full",
    "database_missing", "database_read_only", "database_resuming", "database_unavailable", "database_unreachable",
    "password_refused", "tls_failed", "token_refused", "transaction_conflict",
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for number, widget in local.widgets : {
        type   = can(widget.query) ? "log" : "metric"
        x      = number % 2 * 12
        y      = floor(number / 2) * 6
        width  = 12
        height = 6
        properties = {
          for name, value in {
            title   = widget.title
            region  = lookup(widget, "region", var.region)
            view    = lookup(widget, "view", "timeSeries")
            period  = can(widget.query) ? null : 60
            metrics = lookup(widget, "metrics", null)
            query   = can(widget.query) ? "SOURCE '${local.log_group}' | ${widget.query}" : null
          } : name => value if value != null
        }
      }
    ]
  })
}
