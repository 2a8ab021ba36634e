"""What runs on the machine: fetches a model's files, verifies them, and says so in a marker.

It travels alone, and imports the standard library and nothing else (Python 3.11 and later). One job comes on stdin as
JSON (`job.Job`); lines of progress go to stdout, and the last line is the result, a JSON object.
"""
