# Where the database is, whichever of the two engines it is.
locals {
  db_host = var.create_dsql_cluster ? local.dsql_host : var.db_host
  db_name = var.db_engine == "dsql" ? "postgres" : var.db_name

  # The cluster's region, which is in its name, need not be the function's.
  db_region = var.create_dsql_cluster ? var.region : try(
    regex("\\.([a-z]{2}(?:-[a-z]+)+-[0-9]+)\\.rds\\.amazonaws\\.com", var.db_host)[0],
    regex("\\.dsql(?:-[a-z0-9]+)?\\.([a-z]{2}(?:-[a-z]+)+-[0-9]+)\\.on\\.aws$", var.db_host)[0],
    var.region,
  )

  # An ordinary session's idle timeout; Aurora DSQL refuses a connection that names it, and needs none.
  db_session = var.db_engine == "dsql" ? {} : { DB_IDLE_SESSION_TIMEOUT = tostring(var.db_idle_session_timeout) }
}
