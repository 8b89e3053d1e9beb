"""How a process gets connected, whatever the driver: credentials, token, TLS, waking, sessions."""
