"""Where certificates are read: a Secret, or a bucket that speaks S3."""
