"""Serial ports: listed, watched for hot-plugging, opened, read and written."""
