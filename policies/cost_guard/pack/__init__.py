"""The gate as a policy pack: its rules on single resources and on the whole stack, and all that only the engine needs.

Importing it imports nothing: a command that asks which rules there are (`registry`) loads no SDK.
"""
