"""Sources of certificates: Secrets and S3 buckets."""
