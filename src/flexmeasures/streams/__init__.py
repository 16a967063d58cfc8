"""The door of long connections: WebSocket to clients, MQTT to the broker, mDNS announcements.

One small asynchronous process, so that no request worker waits for a reader. Use cases and rights live in services.
"""
