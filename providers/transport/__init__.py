"""HTTP to the clouds: time-outs, retries and pace, and asking several at once."""
