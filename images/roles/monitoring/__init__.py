"""Monitoring: Prometheus and Alertmanager, rendered as one piece of the gateway's bundle."""
