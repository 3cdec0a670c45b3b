"""What the commands that speak to S3 share: where (place), how (connection), and moving a file (upload, download)."""
