# Wakes the database before people come: the function connects, and answers nobody.

data "aws_iam_policy_document" "scheduler" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    # Not for another account's schedules (EventBridge Scheduler User Guide, "confused deputy").
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_iam_role" "scheduler" {
  count = var.wake_schedule == null ? 0 : 1

  name               = "${var.name}-scheduler"
  assume_role_policy = data.aws_iam_policy_document.scheduler.json
}

data "aws_iam_policy_document" "wake" {
  statement {
    actions   = ["lambda:InvokeFunction"]
    resources = [aws_lambda_alias.live.arn]
  }
}

resource "aws_iam_role_policy" "wake" {
  count = var.wake_schedule == null ? 0 : 1

  name   = "wake"
  role   = aws_iam_role.scheduler[0].id
  policy = data.aws_iam_policy_document.wake.json
}

resource "aws_scheduler_schedule" "wake" {
  count = var.wake_schedule == null ? 0 : 1

  name                         = "${var.name}-wake"
  description                  = "Wakes the database"
  schedule_expression          = var.wake_schedule
  schedule_expression_timezone = var.wake_timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_alias.live.arn
    role_arn = aws_iam_role.scheduler[0].arn
    input    = jsonencode({ sunup = "wake" })

    # Of the delivery: too late is of no use. Scheduler calls asynchronously, so a wake that fails in
    # the function counts as an error, and Lambda itself tries it twice more, after one and two minutes
    # (Lambda Developer Guide, "Invoke a Lambda function on a schedule" and "Asynchronous invocation").
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 2
    }
  }

  depends_on = [aws_iam_role_policy.wake]
}
