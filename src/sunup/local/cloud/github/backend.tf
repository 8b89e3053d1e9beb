@mark@
# Where the state is, for everybody who deploys; the bucket is made by @ci@/ (once).
terraform {
  backend "s3" {
    bucket       = @bucket@
    key          = @key@
    region       = @region@
    encrypt      = true
    use_lockfile = true # Terraform 1.11, OpenTofu 1.10
  }
}
