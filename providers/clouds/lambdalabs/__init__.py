"""Lambda's on-demand cloud (API v1 at cloud.lambda.ai). `lambda` is a keyword, hence the folder's name."""
