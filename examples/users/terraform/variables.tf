variable "name" {
  description = "The name of the function, the API and what belongs to them."
  type        = string
  default     = "users"

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,39}$", var.name))
    error_message = "name must be 1 to 40 letters, digits and hyphens, and begin with a letter."
  }
}

variable "region" {
  description = "The region of the function and the API; best the cluster's."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be a region's code, such as eu-central-1."
  }
}

variable "tags" {
  description = "Tags for everything, besides Application and ManagedBy."
  type        = map(string)
  default     = {}
}

# The database: `sunup database create` writes these into terraform.tfvars.

variable "db_engine" {
  description = "Which database: aurora (Aurora PostgreSQL) or dsql (Aurora DSQL)."
  type        = string
  default     = "aurora"

  validation {
    condition     = contains(["aurora", "dsql"], var.db_engine)
    error_message = "db_engine must be aurora or dsql."
  }
}

variable "db_host" {
  description = "The cluster's endpoint; needed, unless create_dsql_cluster makes the cluster."
  type        = string
  default     = null

  validation {
    condition     = var.db_engine != "aurora" ? true : can(regex("^[a-z0-9.-]+\\.[a-z0-9-]+\\.rds\\.amazonaws\\.com(\\.cn)?$", var.db_host))
    error_message = "db_host must be the cluster's own endpoint (...rds.amazonaws.com), without scheme and port: the token is signed for that name, so an alias of your own does not work. One of Aurora DSQL (...on.aws) needs db_engine = \"dsql\"."
  }

  validation {
    condition     = var.db_engine != "dsql" || var.create_dsql_cluster ? true : can(regex("^[a-z0-9]{26}\\.dsql(-[a-z0-9]+)?\\.[a-z0-9-]+\\.on\\.aws$", var.db_host))
    error_message = "db_host must be the endpoint of an Aurora DSQL cluster (<identifier>.dsql.<region>.on.aws), without scheme and port; or create_dsql_cluster = true makes one."
  }
}

variable "db_cluster_resource_id" {
  description = "Of Aurora: the cluster's resource id (DbClusterResourceId), which the IAM policy names."
  type        = string
  default     = null

  validation {
    condition     = var.db_engine != "aurora" ? true : can(regex("^cluster-[A-Z0-9]+$", var.db_cluster_resource_id))
    error_message = "db_cluster_resource_id looks like cluster-ABCDEFGHIJKL0123456789; it is not the cluster's name. sunup database show prints it."
  }
}

variable "db_name" {
  description = "The database. Aurora DSQL has one only, postgres, whatever this says."
  type        = string
  default     = "users"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]{0,62}$", var.db_name))
    error_message = "db_name must be a lower-case PostgreSQL name: letters, digits and underscores, at most 63."
  }
}

variable "db_user" {
  description = "The role of the app, which owns nothing. Not the cluster's admin."
  type        = string
  default     = "users_app"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]{0,62}$", var.db_user)) && var.db_user != "postgres" && !(var.db_engine == "dsql" && var.db_user == "admin")
    error_message = "db_user must be a lower-case PostgreSQL name, and not postgres (of Aurora DSQL: admin): the app's role must not be the admin. sunup database create makes one."
  }
}

variable "max_acu" {
  description = "Of Aurora: the cluster's maximum capacity; max_connections follows from it."
  type        = number
  default     = 4

  validation {
    condition     = var.max_acu >= 1 && var.max_acu <= 256 && var.max_acu * 2 == floor(var.max_acu * 2)
    error_message = "max_acu must be 1 to 256, in steps of 0.5."
  }
}

variable "db_idle_session_timeout" {
  description = "Of Aurora: seconds after which the server ends an idle session. A frozen function would keep the database awake."
  type        = number
  default     = 60

  validation {
    condition     = var.db_idle_session_timeout >= 5 && var.db_idle_session_timeout <= 3600
    error_message = "db_idle_session_timeout must be 5 to 3600 seconds; the database pauses this long after the last request, plus its own pause time."
  }
}

# An Aurora DSQL cluster that Terraform makes; without these, `sunup database create --engine dsql`.

variable "create_dsql_cluster" {
  description = "Make the Aurora DSQL cluster here, protected against deletion; its role and rights are made by sunup database create --engine dsql --cluster."
  type        = bool
  default     = false

  validation {
    condition     = !var.create_dsql_cluster || var.db_engine == "dsql"
    error_message = "create_dsql_cluster needs db_engine = \"dsql\"."
  }
}

variable "dsql_deletion_protection" {
  description = "Whether the cluster that create_dsql_cluster makes is protected against deletion."
  type        = bool
  default     = true
}

variable "dsql_witness_region" {
  description = "For a cluster in two regions: the third one, which keeps a part of the log. It cannot be added to a cluster that is in one region."
  type        = string
  default     = null

  validation {
    condition     = var.dsql_witness_region == null ? true : var.create_dsql_cluster && can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.dsql_witness_region)) && var.dsql_witness_region != var.region
    error_message = "dsql_witness_region must be a region's code, such as us-west-2, another than region, and needs create_dsql_cluster = true."
  }
}

variable "dsql_peer" {
  description = "For a cluster in two regions: the ARN of the other one (its output dsql_cluster_arn), in a second apply. Each of the two names the other."
  type        = string
  default     = null

  validation {
    condition     = var.dsql_peer == null ? true : var.dsql_witness_region != null && can(regex("^arn:aws[a-z-]*:dsql:[a-z0-9-]+:[0-9]{12}:cluster/[a-z0-9]{26}$", var.dsql_peer))
    error_message = "dsql_peer must be the ARN of an Aurora DSQL cluster, and needs dsql_witness_region."
  }
}

# The function.

variable "lambda_zip" {
  description = "The deployment package that `sunup package` made, seen from where terraform runs. For a new function only."
  type        = string
  default     = "../lambda.zip"

  validation {
    condition     = fileexists(var.lambda_zip)
    error_message = "lambda_zip does not exist. Make it first: sunup package"
  }
}

variable "lambda_handler" {
  description = "module.name of the handler, of a new function."
  type        = string
  default     = "lambda_function.handler"
}

variable "lambda_runtime" {
  description = "Lambda's Python, of a new function; later it goes live with the code, by sunup deploy."
  type        = string
  default     = "python3.13"

  validation {
    condition     = contains(["python3.11", "python3.12", "python3.13", "python3.14"], var.lambda_runtime)
    error_message = "lambda_runtime must be python3.11, python3.12, python3.13 or python3.14."
  }
}

variable "lambda_architecture" {
  description = "The processor, of a new function; later it goes live with the code. arm64 costs a fifth less."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.lambda_architecture)
    error_message = "lambda_architecture must be arm64 or x86_64."
  }
}

variable "lambda_memory" {
  # Processor time is proportional to memory: 128 MB have 7 % of a processor and 256 MB 14 %, so the
  # TLS handshake of a cold start takes half as long at 256, for about the same price per request.
  description = "Memory in MB, and with it the share of a processor (1769 MB have one)."
  type        = number
  default     = 256

  validation {
    condition     = var.lambda_memory >= 128 && var.lambda_memory <= 10240 && var.lambda_memory == floor(var.lambda_memory)
    error_message = "lambda_memory must be a whole number of MB from 128 to 10240."
  }
}

variable "lambda_timeout" {
  # sunup answers 503 one second before this or the gateway's 30 s, whichever is earlier.
  description = "Seconds after which Lambda ends a request."
  type        = number
  default     = 30

  validation {
    condition     = var.lambda_timeout >= 20 && var.lambda_timeout <= 30
    error_message = "lambda_timeout must be 20 to 30 seconds: the gateway gives up after 30 s and the function would run on unseen; a sleeping database takes about 15 s to wake."
  }
}

variable "reserved_concurrency" {
  description = "The most instances at once, null for no limit of its own. Each holds one connection. Needs 100 unreserved in the account, which new accounts may lack."
  type        = number
  default     = null

  validation {
    condition = var.reserved_concurrency == null ? true : (
      var.reserved_concurrency >= 1 && var.reserved_concurrency <= local.connection_limit - local.connections_kept_free
    )
    error_message = "reserved_concurrency must be at least 1 and at most ${local.connection_limit - local.connections_kept_free}: ${var.db_engine == "dsql" ? "" : "with max_acu = ${var.max_acu} "}the database takes ${local.connection_limit} connections, of which ${local.connections_kept_free} are kept free.${var.db_engine == "dsql" ? "" : " Raise max_acu to raise it."}"
  }
}

variable "snap_start" {
  description = "Start from a snapshot of the initialised function. It is charged for while a version exists, and pays off for slow imports only."
  type        = bool
  default     = false

  validation {
    condition     = !var.snap_start || var.lambda_runtime != "python3.11"
    error_message = "snap_start needs python3.12 or newer."
  }
}

variable "environment" {
  description = "More variables for the function. No secrets, which belong in parameters: these can be read with lambda:GetFunctionConfiguration."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name)) && !startswith(name, "AWS_")])
    error_message = "environment's names must be letters, digits and underscores, and not begin with AWS_."
  }
}

variable "log_level" {
  description = "DEBUG (with each statement, without its parameters), INFO, WARNING, ERROR or CRITICAL."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], var.log_level)
    error_message = "log_level must be DEBUG, INFO, WARNING, ERROR or CRITICAL."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 14

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "timezone" {
  description = "The time zone of the log's times."
  type        = string
  default     = "UTC"

  validation {
    condition     = can(regex("^[A-Za-z_]+(/[A-Za-z0-9_+-]+)*$", var.timezone))
    error_message = "timezone must be a time zone's name, such as UTC or Asia/Tokyo."
  }
}

variable "metrics" {
  # sunup writes them into the request's log line (CloudWatch's embedded metric format).
  description = "emf: CloudWatch metrics of cold starts, waits for the database, query time and failures; five, and one for each code of a failure, $0.30 a month each beyond an account's ten free ones. off: none."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "emf"], var.metrics)
    error_message = "metrics must be off or emf."
  }
}

variable "tracing" {
  description = "Traces with X-Ray, of one request a second and 5 % of the others (Lambda's own rate). They are charged for beyond 100,000 a month."
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = "A KMS key of your own for the function's variables and the logs, null for AWS's. Its policy must allow logs.<region>.amazonaws.com to use it, and this account's roles."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:${var.region}:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (not an alias) in the function's own region."
  }
}

variable "parameters" {
  description = "Secrets for the function: the variable's name, and the SSM parameter that holds its value. The function fetches them at INIT (sunup.parameters); they are not in Terraform's state. One with a KMS key other than AWS's and kms_key_arn needs kms:Decrypt in statements."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, parameter in var.parameters : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name)) && !startswith(name, "AWS_") && can(regex("^([a-zA-Z0-9_.-]+|(/[a-zA-Z0-9_.-]+)+)$", parameter))])
    error_message = "parameters must map variables' names (letters, digits, underscores, not AWS_) to names of SSM parameters, such as { STRIPE_KEY = \"/shop/stripe-key\" }: a name with a slash begins with one."
  }

  # sunup.parameters leaves a variable alone that is set.
  validation {
    condition = length(setintersection(
      keys(var.parameters),
      concat(keys(var.environment), ["DB_HOST", "DB_NAME", "DB_USER", "DB_IDLE_SESSION_TIMEOUT", "GATEWAY_TIMEOUT", "LOG_LEVEL", "METRICS", "TRACES", "TZ"]),
    )) == 0
    error_message = "parameters must not name a variable that environment or another setting sets already: the function would keep that value."
  }
}

variable "statements" {
  description = "What else the function may do: IAM statements with actions and resources, such as { actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::my-bucket/*\"] }."
  type = list(object({
    actions   = list(string)
    resources = list(string)
  }))
  default = []

  validation {
    condition     = alltrue([for each in var.statements : length(each.actions) > 0 && length(each.resources) > 0 && alltrue([for action in each.actions : can(regex("^[a-z0-9-]+:[A-Za-z][A-Za-z0-9]*[*]?$", action))])])
    error_message = "statements must name actions such as s3:GetObject (not * and not s3:*) and resources."
  }
}

variable "vpc" {
  description = "For an ordinary cluster in a VPC: where the function's network interfaces are. An express cluster needs none. A function in a VPC reaches the internet through a NAT gateway only."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null

  validation {
    condition = var.vpc == null ? true : length(var.vpc.subnet_ids) > 0 && length(var.vpc.security_group_ids) > 0 && alltrue(concat(
      [for id in var.vpc.subnet_ids : startswith(id, "subnet-")],
      [for id in var.vpc.security_group_ids : startswith(id, "sg-")],
    ))
    error_message = "vpc must name at least one subnet (subnet-...) and one security group (sg-...)."
  }
}

variable "wake_schedule" {
  description = "Of Aurora: when to wake the database, before people come: an expression of EventBridge Scheduler such as cron(45 7 ? * MON-FRI *), null for never. Each wake costs about six minutes of the database."
  type        = string
  default     = null

  validation {
    # One of day of month and day of week is ? (EventBridge Scheduler User Guide, "Schedule types").
    condition     = var.wake_schedule == null ? true : can(regex("^(cron\\(\\S+ \\S+ (\\? \\S+ [^ ?]+|[^ ?]+ \\S+ \\?) \\S+\\)|rate\\([1-9][0-9]* (minute|hour|day)s?\\)|at\\([0-9T:-]+\\))$", var.wake_schedule))
    error_message = "wake_schedule must be an expression such as cron(45 7 ? * MON-FRI *): minute, hour, day of month, month, day of week, year, and a ? for one of the two days; or rate(1 day), or at(2030-01-31T07:45:00)."
  }

  validation {
    condition     = var.wake_schedule == null || var.db_engine == "aurora"
    error_message = "wake_schedule is of no use with Aurora DSQL, which is there within milliseconds."
  }
}

variable "wake_timezone" {
  description = "The time zone of wake_schedule."
  type        = string
  default     = "UTC"

  validation {
    condition     = can(regex("^[A-Za-z_]+(/[A-Za-z0-9_+-]+)*$", var.wake_timezone))
    error_message = "wake_timezone must be a time zone's name, such as Europe/Berlin."
  }
}

# The API.

variable "authorization" {
  description = "Who may call: NONE (anybody), JWT or AWS_IAM."
  type        = string
  default     = "NONE"

  validation {
    condition     = contains(["NONE", "JWT", "AWS_IAM"], var.authorization)
    error_message = "authorization must be NONE, JWT or AWS_IAM."
  }
}

variable "jwt" {
  description = "For authorization = JWT: who issues the tokens, and for whom."
  type = object({
    issuer   = string
    audience = list(string)
  })
  default = null

  validation {
    condition     = (var.authorization == "JWT") == (var.jwt != null)
    error_message = "jwt = { issuer = \"https://...\", audience = [\"...\"] } is needed with authorization = JWT, and only then."
  }

  validation {
    condition     = var.jwt == null ? true : startswith(var.jwt.issuer, "https://") && length(var.jwt.audience) > 0
    error_message = "jwt.issuer must begin with https:// and jwt.audience must name at least one audience."
  }
}

variable "public" {
  description = "Say that the API is meant to be open, to silence the warning."
  type        = bool
  default     = false
}

variable "throttle_rate" {
  description = "Requests a second on average, for all clients together; above it they get 429."
  type        = number
  default     = 50

  validation {
    condition     = var.throttle_rate > 0 && var.throttle_rate <= 10000
    error_message = "throttle_rate must be above 0 and at most 10000, which is the account's own limit."
  }
}

variable "throttle_burst" {
  description = "Requests at once beyond the rate."
  type        = number
  default     = 100

  validation {
    condition     = var.throttle_burst >= 1 && var.throttle_burst <= 5000 && var.throttle_burst == floor(var.throttle_burst)
    error_message = "throttle_burst must be a whole number from 1 to 5000, which is the account's own limit."
  }
}

variable "cors_origins" {
  description = "Origins of browser pages that may call, such as https://app.example.com; [] for none."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.cors_origins : origin == "*" || can(regex("^https?://[^/]+$", origin))])
    error_message = "cors_origins must be origins, such as https://app.example.com (no path, no slash at the end), or *."
  }
}

variable "domain_name" {
  description = "A domain of your own for the API, null for API Gateway's."
  type        = string
  default     = null

  validation {
    condition     = (var.domain_name == null) == (var.certificate_arn == null)
    error_message = "domain_name and certificate_arn belong together: give both or none."
  }
}

variable "certificate_arn" {
  description = "The ACM certificate of domain_name, in the same region."
  type        = string
  default     = null

  validation {
    condition     = var.certificate_arn == null ? true : can(regex("^arn:[a-z-]+:acm:${var.region}:", var.certificate_arn))
    error_message = "certificate_arn must be a certificate of ACM in the API's own region."
  }
}

variable "hosted_zone_id" {
  description = "The Route 53 zone that gets the record for domain_name, null to make it yourself."
  type        = string
  default     = null

  validation {
    condition     = var.hosted_zone_id == null ? true : var.domain_name != null
    error_message = "hosted_zone_id is of use with domain_name only."
  }
}

variable "alarms" {
  description = "CloudWatch alarms on errors, throttles, 5xx and refused database connections (ten alarms are free)."
  type        = bool
  default     = true
}

variable "alarm_email" {
  description = "Who is told of alarms; the address gets a mail to confirm. Null: they show in the console only."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null ? true : var.alarms && can(regex("^[^@\\s]+@[^@\\s]+$", var.alarm_email))
    error_message = "alarm_email must be an e-mail address, and needs alarms = true."
  }
}

variable "dashboard" {
  description = "A CloudWatch dashboard of the function, the API and the database. An account's first three are free; with metrics = \"off\" some of it is asked of the log, at $0.005 for each GB of it whenever the page is loaded."
  type        = bool
  default     = false
}

variable "db_cluster_identifier" {
  description = "Of Aurora: the cluster's name, for the dashboard: the first part of db_host. Null leaves the database out of it."
  type        = string
  default     = null

  validation {
    condition     = var.db_cluster_identifier == null ? true : can(regex("^[a-z](-?[a-z0-9]){0,62}$", var.db_cluster_identifier))
    error_message = "db_cluster_identifier must be a cluster's name, such as shop (not its endpoint)."
  }
}
